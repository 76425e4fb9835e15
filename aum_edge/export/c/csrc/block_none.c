/* x + mixer(norm(x)) for `length` tokens [length][WIDTH]: a gated convolution without a scan. */
static void run_block(const block_t *b, float *tokens, int32_t length, const work_t *w,
                      float *kept)
{
    float *rows = w->rows, *mixed = w->mixed;
    float *room = w->room, *spare = w->small;
    const int32_t inner = b->inner;
    const float *taps, *tap_bias, *gain;
    norm_t norm;
    gemm_t g;
    int32_t t;

    norm_of(&norm, &b->norm, &spare);
    for (t = 0; t < length; t++) token_norm(tokens + t * WIDTH, &norm, mixed + t * WIDTH);
    STAGE(STAGE_NORM)
    gemm_of(&g, mixed, WIDTH, WIDTH, rows, 2 * inner);
    project(&g, &b->in_proj, length, room, ROOM);
    STAGE(STAGE_IN_PROJ)
    taps = small(&b->taps, &spare);
    tap_bias = small(&b->tap_bias, &spare);
    token_conv(rows, 2 * inner, kept, taps, tap_bias, &b->conv, length, mixed);
#if STREAM
    if (kept) keep_past(rows, &b->conv, kept);
#endif
    STAGE(STAGE_CONV)
    gain = small(&b->gain, &spare);
    for (t = 0; t < length; t++) {
        const float *z = rows + t * 2 * inner + inner;
        gate_row(mixed + t * inner, z, gain, b->eps, inner, mixed + t * inner);
    }
    STAGE(STAGE_GATE)
    gemm_of(&g, mixed, inner, inner, tokens, WIDTH);
    g.add = 1;
    project(&g, &b->out_proj, length, room, ROOM);
    STAGE(STAGE_OUT_PROJ)
}
