/* x + mixer(norm(x)) for `length` tokens [length][WIDTH]. */
static void run_block(const block_t *b, float *tokens, int32_t length, const work_t *w,
                      float *kept)
{
    float *rows = w->rows, *mixed = w->mixed, *decay = w->decay;
    float *room = w->room, *spare = w->small;
    const int32_t inner = b->inner, ld = b->in_proj.cols, ld_mixed = b->conv.channels;
    const int32_t steps = b->bias.cols;
    const float *bias, *rate, *skip, *taps, *tap_bias, *gain;
    norm_t norm;
    gemm_t g;
    scan_t s;
    int32_t t, i, way;

    norm_of(&norm, &b->norm, &spare);
    for (t = 0; t < length; t++) token_norm(tokens + t * WIDTH, &norm, mixed + t * WIDTH);
    STAGE(STAGE_NORM)
    gemm_of(&g, mixed, WIDTH, WIDTH, rows, ld);
    project(&g, &b->in_proj, length, room, ROOM);
    STAGE(STAGE_IN_PROJ)

    taps = small(&b->taps, &spare);
    tap_bias = small(&b->tap_bias, &spare);
    token_conv(rows + inner, ld, kept, taps, tap_bias, &b->conv, length, mixed);
#if STREAM
    if (kept) {
        keep_past(rows + inner, &b->conv, kept);
        kept += b->conv.before * b->conv.channels;
    }
#endif
    STAGE(STAGE_CONV)

    bias = small(&b->bias, &spare);
    rate = small(&b->rate, &spare);
    for (t = 0; t < length; t++) {
        float *step = rows + t * ld + inner + ld_mixed;
        for (i = 0; i < steps; i += LANES) {
            const int32_t n = steps - i;
            const vec v = v_softplus(v_add(v_load_n(step + i, n), v_load_n(bias + i, n)));
            v_store_n(step + i, v, n);
            v_store_n(decay + t * steps + i, v_exp(v_mul(v, v_load_n(rate + i, n))), n);
        }
    }
    skip = small(&b->skip, &spare);
    s.u = mixed;
    s.y = rows + inner;
    s.state = kept;
    s.ld_u = ld_mixed;
    s.ld_step = ld;
    s.ld_decay = steps;
    s.ld_y = ld;
    s.channels = inner;
    s.states = b->states;
    s.length = length;
    for (t = 0; t < length; t++) {
        for (i = 0; i < inner; i += LANES) {
            const int32_t n = inner - i;
            const vec u = v_load_n(mixed + t * ld_mixed + i, n);
            v_store_n(s.y + t * ld + i, v_mul(u, of_heads(skip, i, n)), n);
        }
    }
    for (way = 0; way < b->ways; way++) {
        s.b = mixed + inner + (b->sets > 1 ? 2 * way * b->states : 0);
        s.c = s.b + b->states;
        s.step = rows + inner + ld_mixed + way * (inner / HEAD);
        s.decay = decay + way * (inner / HEAD);
        s.reverse = b->ways > 1 ? way : b->backward;
        scan(&s);
    }
    STAGE(STAGE_SCAN)

    gain = small(&b->gain, &spare);
    for (t = 0; t < length; t++) {
        gate_row(s.y + t * ld, rows + t * ld, gain, b->eps, inner, mixed + t * inner);
    }
    STAGE(STAGE_GATE)
    gemm_of(&g, mixed, inner, inner, tokens, WIDTH);
    g.add = 1;
    project(&g, &b->out_proj, length, room, ROOM);
    STAGE(STAGE_OUT_PROJ)
}
