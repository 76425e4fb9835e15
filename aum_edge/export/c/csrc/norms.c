/* 1 / sqrt(x) for x > 0, within 3e-7 of its value: a guess from the bits, three Newton steps. */
static float inverse_root(float x)
{
    const float half = 0.5f * x;
    uint32_t bits;
    float y;
    memcpy(&bits, &x, sizeof bits);
    bits = 0x5F3759DFu - (bits >> 1);
    memcpy(&y, &bits, sizeof y);
    y = y * (1.5f - half * y * y);
    y = y * (1.5f - half * y * y);
    y = y * (1.5f - half * y * y);
    return y + y * (0.5f - half * y * y);
}

/* out = x / sqrt(mean(x * x) + eps) * gain. */
static void rms_row(const float *x, const float *gain, float eps, int32_t size, float *out)
{
    vec total = v_set(0.0f), scale;
    int32_t i;
    for (i = 0; i < size; i += LANES) {
        const vec v = v_load_n(x + i, size - i);
        total = v_fma(v, v, total);
    }
    scale = v_set(inverse_root(v_sum(total) / (float)size + eps));
    for (i = 0; i < size; i += LANES) {
        const vec v = v_mul(v_load_n(x + i, size - i), scale);
        v_store_n(out + i, v_mul(v, v_load_n(gain + i, size - i)), size - i);
    }
}

#if LAYER_NORM
/* out = (x - mean) / sqrt(variance + eps) * gain + bias. */
static void token_norm(const float *x, const norm_t *norm, float *out)
{
    vec total = v_set(0.0f), mean, scale;
    int32_t i;
    for (i = 0; i < WIDTH; i += LANES) total = v_add(total, v_load_n(x + i, WIDTH - i));
    mean = v_set(v_sum(total) / (float)WIDTH);
    total = v_set(0.0f);
    for (i = 0; i < WIDTH; i += LANES) {
        vec v = v_sub(v_load_n(x + i, WIDTH - i), mean);
        v_store_n(out + i, v, WIDTH - i);
        v = v_load_n(out + i, WIDTH - i);
        total = v_fma(v, v, total);
    }
    scale = v_set(inverse_root(v_sum(total) / (float)WIDTH + norm->eps));
    for (i = 0; i < WIDTH; i += LANES) {
        const vec v = v_mul(v_load_n(out + i, WIDTH - i), scale);
        const vec gain = v_load_n(norm->gain + i, WIDTH - i);
        v_store_n(out + i, v_fma(v, gain, v_load_n(norm->bias + i, WIDTH - i)), WIDTH - i);
    }
}
#else
static void token_norm(const float *x, const norm_t *norm, float *out)
{
    rms_row(x, norm->gain, norm->eps, WIDTH, out);
}
#endif
