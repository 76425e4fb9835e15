static const tensor_t FOLD = @FOLD@, FOLD_BIAS = @FOLD_BIAS@;
#if GROUPS > 1
static const tensor_t BAND = @BAND@;
#endif

/* The columns that wait become tokens, GROUPS of each. */
static void fold(const work_t *w)
{
    const int32_t count = w->state->waiting;
    float *tokens = w->tokens, *spare = w->small;
    const float *bias = small(&FOLD_BIAS, &spare);
    int32_t group, s;
    if (count == 0) return;
    if (w->kept == NULL) tokens += w->state->steps * GROUPS * WIDTH;
    for (group = 0; group < GROUPS; group++) {
        gemm_t g;
        gemm_of(&g, w->columns + group * GROUP_ROWS, COLUMN, GROUP_ROWS, tokens + group * WIDTH,
                GROUPS * WIDTH);
        for (s = 1; s < SEGMENTS; s++) g.a[s] = g.a[0] + s * MELS;
        g.segments = SEGMENTS;
        g.bias = bias;
        project(&g, &FOLD, count, w->fold_room, FOLD_ROOM);
    }
#if GROUPS > 1
    {
        const float *band = small(&BAND, &spare);
        int32_t i, t;
        for (t = 0; t < count; t++) {
            for (i = 0; i < GROUPS * WIDTH; i++) tokens[t * GROUPS * WIDTH + i] += band[i];
        }
    }
#endif
    w->state->steps += count;
    w->state->waiting = 0;
    STAGE(STAGE_FOLD)
}

static void fold_put(const work_t *w)
{
    w->state->waiting++;
    if (w->state->waiting == w->batch) fold(w);
}
