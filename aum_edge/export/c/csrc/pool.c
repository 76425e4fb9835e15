static const norm_tensors_t LAST_NORM = @LAST_NORM@;
static const tensor_t HEAD_WEIGHT = @HEAD_WEIGHT@, HEAD_BIAS = @HEAD_BIAS@;

/* w->pool: the sum of the normed tokens, their maximum, the newest one. */
static void pool_put(const work_t *w, const float *tokens, int32_t count, int32_t before)
{
    float *sum = w->pool, *most = sum + WIDTH, *newest = most + WIDTH, *spare = w->small;
    norm_t norm;
    int32_t t, i;
    norm_of(&norm, &LAST_NORM, &spare);
    for (t = 0; t < count; t++) {
        const int32_t first = before + t == 0;
        token_norm(tokens + t * WIDTH, &norm, newest);
        for (i = 0; i < WIDTH; i += LANES) {
            const int32_t n = WIDTH - i;
            const vec v = v_load_n(newest + i, n);
            v_store_n(sum + i, first ? v : v_add(v_load_n(sum + i, n), v), n);
            v_store_n(most + i, first ? v : v_max(v_load_n(most + i, n), v), n);
        }
    }
}

static void classify(const work_t *w, int32_t tokens, float *logits)
{
    const float *sum = w->pool, *most = sum + WIDTH, *newest = most + WIDTH;
    float *pooled = w->mixed, *spare = w->small;
    gemm_t g;
    int32_t i;
    for (i = 0; i < WIDTH; i++) {
        const float mean = sum[i] / (float)tokens;
        const float value[4] = {mean, most[i], mean + most[i], newest[i]};
        pooled[i] = value[POOLING];
    }
    gemm_of(&g, pooled, WIDTH, WIDTH, logits, CLASSES);
    g.bias = small(&HEAD_BIAS, &spare);
    project(&g, &HEAD_WEIGHT, 1, w->room, ROOM);
    STAGE(STAGE_HEAD)
}
