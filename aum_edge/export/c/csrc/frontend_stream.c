/* Samples that a stream still needs; the next frame's window begins at `start` among them, before
   the first one at the stream's beginning. */
typedef struct {
    int32_t held, start;
    float samples[FE_SPAN];
} fe_stream;

static void fe_begin(fe_stream *state)
{
    state->held = 0;
    state->start = -FE_HALF;
}

/* Forget what neither the next window nor a reflection at the stream's end needs. */
static void fe_forget(fe_stream *state)
{
    const int32_t spare = state->held - FE_KEPT;
    const int32_t count = state->start < spare ? state->start : spare;
    if (count <= 0)
        return;
    state->held -= count;
    state->start -= count;
    memmove(state->samples, state->samples + count, (size_t)state->held * sizeof(float));
}

static void fe_next(fe_stream *state, float *mels, float *scratch)
{
    fe_view view;
    view.samples = state->samples;
    view.count = state->held;
    view.first = state->start;
    FE_SET_MEAN(view)
    fe_window(&view, mels, scratch);
    state->start += FE_HOP;
    fe_forget(state);
}

/* Takes up to `count` samples and returns how many; stops after a frame, and then *ready is 1 and
   mels [FE_MELS] holds it. To be called until all are taken and *ready is 0. */
static size_t fe_push(fe_stream *state, const float *samples, size_t count, float *mels,
                      float *scratch, int *ready)
{
    size_t taken = 0;
    for (;;) {
        /* The first window hears a reflection, for which its mirror must have come. */
        const int32_t mirror = state->start < 0 ? 1 - state->start : 0;
        const int32_t end = state->start + FE_SPAN, need = end > mirror ? end : mirror;
        size_t some = count - taken, room;
        *ready = state->held >= need;
        if (*ready) {
            fe_next(state, mels, scratch);
            return taken;
        }
        if (some == 0)
            return taken;
        if (state->held == FE_SPAN)
            fe_forget(state);
        room = (size_t)((need < FE_SPAN ? need : FE_SPAN) - state->held);
        some = some < room ? some : room;
        memcpy(state->samples + state->held, samples + taken, some * sizeof(float));
        state->held += (int32_t)some;
        taken += some;
    }
}
