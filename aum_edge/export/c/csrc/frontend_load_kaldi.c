/* Mean of a window's samples, in 16 sums so that rounding stays small. */
static float fe_mean(const float *samples)
{
    float sums[16] = {0.0f}, total = 0.0f;
    int32_t at, l;
    for (at = 0; at < FE_WINDOW / 16 * 16; at += 16)
        for (l = 0; l < 16; l++)
            sums[l] += samples[at + l];
    for (at = FE_WINDOW / 16 * 16; at < FE_WINDOW; at++)
        total += samples[at];
    for (l = 0; l < 16; l++)
        total += sums[l];
    return total / (float)FE_WINDOW;
}

/* The same without offset and with pre-emphasis; the sample before the first is a copy of it. */
static void fe_load(const fe_view *view, int32_t column, float *FE_RESTRICT re, float *FE_RESTRICT im)
{
    const float *const samples = view->samples + view->first;
    const float mean = view->mean;
    float edge[2 * FE_TILE + 1];
    int32_t row, l;
    for (row = 0; row < FE_ROWS; row++, re += FE_TILE, im += FE_TILE) {
        const int32_t in_window = row * FE_COLUMNS + column, at = 2 * in_window;
        const float *x = edge + 1;
        if (row >= FE_ROW_END) {
            for (l = 0; l < FE_TILE; l++)
                re[l] = im[l] = 0.0f;
            continue;
        }
        if (at > 0 && at <= FE_WINDOW - 2 * FE_TILE)
            x = samples + at;
        else
            for (l = -1; l < 2 * FE_TILE; l++) {
                const int32_t of = at + l < 0 ? 0 : at + l;
                edge[l + 1] = of < FE_WINDOW ? samples[of] : mean;
            }
        for (l = 0; l < FE_TILE; l++) {
            const float before = x[2 * l - 1] - mean, even = x[2 * l] - mean;
            const float odd = x[2 * l + 1] - mean;
            re[l] = (even - FE_PRE_EMPHASIS * before) * fe_even[in_window + l];
            im[l] = (odd - FE_PRE_EMPHASIS * even) * fe_odd[in_window + l];
        }
    }
}
