/* Log-mel [FE_MELS] of one window. Scratch: FE_SCRATCH floats. */
static void fe_window(const fe_view *view, float *mels, float *scratch)
{
    float *const re = scratch, *const im = re + FE_POINTS, *const work = im + FE_POINTS + 16;
    float *const tile_im = work + FE_ROWS * FE_TILE;
    int32_t column;
    for (column = 0; column < FE_COLUMNS; column += FE_TILE) {
        fe_load(view, column, work, tile_im);
        FE_ROW_PASSES(work, tile_im)
        fe_twist(column, work, tile_im);
        fe_turn(work, re + column * FE_ROWS);
        fe_turn(tile_im, im + column * FE_ROWS);
    }
    FE_COLUMN_PASSES(re, im)
    im[FE_POINTS] = 0.0f; /* read as the mirror of a first, and then not used */
    fe_power(re, im, work);
    fe_mel(im, mels);
}
