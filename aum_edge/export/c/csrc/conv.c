/* Depthwise convolution along tokens, then SiLU: rows x (stride ldx) to out [length][channels].
   Tap j of row t looks at row t + j - before; rows before the clip come from `past` [before]
   [channels] where there is one, all others outside are zero. */
static void token_conv(const float *x, int32_t ldx, const float *past, const float *taps,
                       const float *bias, const conv_t *conv, int32_t length, float *out)
{
    const int32_t channels = conv->channels;
    int32_t c, t, j;
    for (c = 0; c < channels; c += LANES) {
        const int32_t n = channels - c;
        const vec start = v_load_n(bias + c, n);
        for (t = 0; t < length; t++) {
            vec sum = start;
            for (j = 0; j < conv->taps; j++) {
                const int32_t row = t + j - conv->before;
                const float *at;
                if (row >= length) break;
                if (row >= 0) {
                    at = x + row * ldx + c;
                } else if (past) {
                    at = past + (row + conv->before) * channels + c;
                } else {
                    continue;
                }
                sum = v_fma(v_load_n(at, n), v_load_n(taps + j * channels + c, n), sum);
            }
            v_store_n(out + t * channels + c, v_silu(sum), n);
        }
    }
}

/* The last `before` inputs, for the next token of a stream. */
#if STREAM
static void keep_past(const float *x, const conv_t *conv, float *past)
{
    const int32_t channels = conv->channels, rows = conv->before;
    int32_t i;
    if (rows == 0) return;
    for (i = 0; i < (rows - 1) * channels; i++) past[i] = past[i + channels];
    for (i = 0; i < channels; i++) past[(rows - 1) * channels + i] = x[i];
}
#endif
