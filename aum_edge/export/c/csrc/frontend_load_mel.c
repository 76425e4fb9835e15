/* Sample `at` of a clip: beyond its ends a reflection or silence. */
static float fe_sample(const fe_view *view, int32_t at)
{
#if FE_REFLECT
    /* A clip too short to be reflected is silent up to one sample more than half a window. */
    const int32_t last = view->count > FE_HALF ? view->count - 1 : FE_HALF;
    if (at < 0)
        at = -at;
    if (at > last)
        at = 2 * last - at;
#endif
    return at >= 0 && at < view->count ? view->samples[at] : 0.0f;
}

/* Windowed samples of FE_TILE columns, even ones into re and odd ones into im [FE_ROWS][FE_TILE]. */
static void fe_load(const fe_view *view, int32_t column, float *FE_RESTRICT re, float *FE_RESTRICT im)
{
    float edge[2 * FE_TILE];
    int32_t row, l;
    for (row = 0; row < FE_ROWS; row++, re += FE_TILE, im += FE_TILE) {
        const int32_t at = view->first + 2 * (row * FE_COLUMNS + column);
        const int32_t in_window = (row - FE_ROW_FIRST) * FE_COLUMNS + column;
        const float *x = edge;
        if (row < FE_ROW_FIRST || row >= FE_ROW_END) {
            for (l = 0; l < FE_TILE; l++)
                re[l] = im[l] = 0.0f;
            continue;
        }
        if (at >= 0 && at <= view->count - 2 * FE_TILE)
            x = view->samples + at;
        else
            for (l = 0; l < 2 * FE_TILE; l++)
                edge[l] = fe_sample(view, at + l);
        for (l = 0; l < FE_TILE; l++) {
            re[l] = x[2 * l] * fe_even[in_window + l];
            im[l] = x[2 * l + 1] * fe_odd[in_window + l];
        }
    }
}
