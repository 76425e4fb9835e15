/* One path: convolution, projections and the scans that share them, into y. */
static void run_path(const block_t *b, const path_t *p, const float *rows, int32_t length,
                     const work_t *w, float **spare, float *kept)
{
    float *mixed = w->mixed, *y = w->y;
    float *parts = w->parts, *step = w->step, *room = w->room;
    const int32_t inner = b->inner, ld = p->x_proj.cols, count = length * inner;
    const float *taps = small(&p->taps, spare), *tap_bias = small(&p->tap_bias, spare);
    const float *bias = small(&p->bias, spare), *skip = small(&p->skip, spare);
    gemm_t g;
    scan_t s;
    int32_t t, i, way;

    token_conv(rows, 2 * inner, kept, taps, tap_bias, &b->conv, length, mixed);
#if STREAM
    if (kept) {
        keep_past(rows, &b->conv, kept);
        kept += b->conv.before * b->conv.channels;
    }
#endif
    STAGE(STAGE_CONV)
    gemm_of(&g, mixed, inner, inner, parts, ld);
    project(&g, &p->x_proj, length, room, ROOM);
    gemm_of(&g, parts, ld, p->dt_proj.rows, step, inner);
    g.bias = bias;
    project(&g, &p->dt_proj, length, room, ROOM);
    for (i = 0; i < count; i += LANES) {
        v_store_n(step + i, v_softplus(v_load_n(step + i, count - i)), count - i);
    }
    STAGE(STAGE_X_PROJ)
    for (t = 0; t < length; t++) {
        for (i = 0; i < inner; i += LANES) {
            const int32_t n = inner - i, at = t * inner + i;
            const vec v = v_mul(v_load_n(mixed + at, n), v_load_n(skip + i, n));
            const vec scaled = v_mul(v, v_set(b->skip_share));
            v_store_n(y + at, p->first ? scaled : v_add(scaled, v_load_n(y + at, n)), n);
        }
    }
    s.u = mixed;
    s.step = step;
    s.a = small(&p->rate, spare);
    s.b = parts + p->dt_proj.rows;
    s.c = s.b + b->states;
    s.y = y;
    s.state = kept;
    s.share = b->scan_share;
    s.ld = ld;
    s.channels = inner;
    s.states = b->states;
    s.length = length;
    for (way = 0; way < p->ways; way++) {
        s.reverse = p->ways > 1 ? way : p->backward;
        scan(&s);
    }
    STAGE(STAGE_SCAN)
}

/* x + mixer(norm(x)) for `length` tokens [length][WIDTH]. */
static void run_block(const block_t *b, float *tokens, int32_t length, const work_t *w,
                      float *kept)
{
    float *rows = w->rows, *mixed = w->mixed, *y = w->y;
    float *room = w->room, *spare = w->small;
    const int32_t inner = b->inner;
    const float *gain;
    norm_t norm;
    gemm_t g;
    int32_t t;

    norm_of(&norm, &b->norm, &spare);
    for (t = 0; t < length; t++) token_norm(tokens + t * WIDTH, &norm, mixed + t * WIDTH);
    STAGE(STAGE_NORM)
    gemm_of(&g, mixed, WIDTH, WIDTH, rows, 2 * inner);
    project(&g, &b->in_proj, length, room, ROOM);
    STAGE(STAGE_IN_PROJ)
    gain = small(&b->gain, &spare);
    for (t = 0; t < b->paths; t++) {
        float *free_again = spare;
        run_path(b, &b->path[t], rows, length, w, &free_again, kept);
    }
    for (t = 0; t < length; t++) {
        const float *z = rows + t * 2 * inner + inner;
        gate_row(y + t * inner, z, gain, b->eps, inner, mixed + t * inner);
    }
    STAGE(STAGE_GATE)
    gemm_of(&g, mixed, inner, inner, tokens, WIDTH);
    g.add = 1;
    project(&g, &b->out_proj, length, room, ROOM);
    STAGE(STAGE_OUT_PROJ)
}
