/* The stem is one convolution whose kernel is the token's own frames: they are gathered as they
   come, the first REACH of them before the clip. */
static float *next_frame(const work_t *w)
{
    return w->columns + w->state->waiting * COLUMN + w->state->seen[0] % TIME_STRIDE * MELS;
}

static void stem_begin(const work_t *w)
{
    int32_t i;
    for (i = 0; i < REACH * MELS; i++) w->columns[i] = 0.0f;
    w->state->seen[0] = REACH;
}

static void put_frame(const work_t *w)
{
    w->state->seen[0]++;
    if (w->state->seen[0] % TIME_STRIDE == 0) fold_put(w);
}

/* The clip is over: frames that the last token lacks are zero. */
static void stem_end(const work_t *w)
{
    while (w->state->seen[0] % TIME_STRIDE != 0) {
        float *frame = next_frame(w);
        int32_t i;
        for (i = 0; i < MELS; i++) frame[i] = 0.0f;
        put_frame(w);
    }
    fold(w);
}
