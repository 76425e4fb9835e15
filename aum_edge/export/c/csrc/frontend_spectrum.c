/* Four neighbours in a register where the compiler and the machine have both. */
#if !defined(AUM_SCALAR) && (defined(__SSE2__) || defined(__ARM_NEON)) && FE_ROWS % 4 == 0 && \
    FE_TILE % 4 == 0 && (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12))
#define FE_FOUR 1
typedef float fe_four __attribute__((vector_size(16)));

INLINE fe_four fe_get(const float *from)
{
    fe_four value;
    memcpy(&value, from, sizeof value);
    return value;
}

INLINE void fe_put(float *to, fe_four value)
{
    memcpy(to, &value, sizeof value);
}

/* Four rows of four become four columns. */
INLINE void fe_flip(fe_four *FE_RESTRICT v)
{
    const fe_four a = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5);
    const fe_four b = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5);
    const fe_four c = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
    const fe_four d = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
    v[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
    v[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
    v[2] = __builtin_shufflevector(c, d, 0, 1, 4, 5);
    v[3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
}
#else
#define FE_FOUR 0
#endif

/* Between the two steps: a tile's rows [FE_ROWS][FE_TILE] times their twiddle factors. */
static void fe_twist(int32_t column, float *FE_RESTRICT re, float *FE_RESTRICT im)
{
    const float *w = fe_twiddles + (size_t)column * (2 * (FE_ROWS - 1));
    int32_t row, l;
    for (row = 1; row < FE_ROWS; row++, w += 2 * FE_TILE) {
        float *const r = re + row * FE_TILE, *const i = im + row * FE_TILE;
        for (l = 0; l < FE_TILE; l++) {
            const float x = r[l], y = i[l], c = w[l], s = w[l + FE_TILE];
            r[l] = x * c + y * s;
            i[l] = y * c - x * s;
        }
    }
}

/* A tile's columns become rows out [FE_TILE][FE_ROWS], in the natural order of its rows. */
static void fe_turn(const float *FE_RESTRICT tile, float *FE_RESTRICT out)
{
    int32_t k, l;
#if FE_FOUR
    for (k = 0; k < FE_ROWS; k += 4)
        for (l = 0; l < FE_TILE; l += 4) {
            fe_four v[4];
            int32_t of;
            for (of = 0; of < 4; of++)
                v[of] = fe_get(tile + fe_row_place[k + of] * FE_TILE + l);
            fe_flip(v);
            for (of = 0; of < 4; of++)
                fe_put(out + (l + of) * FE_ROWS + k, v[of]);
        }
#else
    for (k = 0; k < FE_ROWS; k++) {
        const float *const row = tile + fe_row_place[k] * FE_TILE;
        for (l = 0; l < FE_TILE; l++)
            out[l * FE_ROWS + k] = row[l];
    }
#endif
}

/* Power of bins k and FE_POINTS - k from Z[k] = z and Z[FE_POINTS - k] = y of the FFT of half the
   length; c and s are of 2 pi k / n_fft. The window holds the halves. */
INLINE void fe_pair(float zr, float zi, float yr, float yi, float c, float s,
                           float *low, float *high)
{
    const float er = zr + yr, ei = zi - yi, or_ = zi + yi, oi = yr - zr;
    const float tr = or_ * c + oi * s, ti = oi * c - or_ * s;
    const float ar = er + tr, ai = ei + ti, br = er - tr, bi = ei - ti;
    *low = ar * ar + ai * ai;
    *high = br * br + bi * bi;
}

/* One row against its mirror: z, c and low go up, y, s and high go down, high from FE_ROWS on. */
static void fe_fold(const float *zr, const float *zi, const float *yr, const float *yi,
                    const float *c, const float *s, float *FE_RESTRICT low, float *FE_RESTRICT high)
{
    int32_t i;
    for (i = 0; i < FE_ROWS; i++)
        fe_pair(zr[i], zi[i], yr[FE_ROWS - i], yi[FE_ROWS - i], c[i], s[FE_ROWS - i], low + i,
                high + (FE_ROWS - i));
}

/* Powers [FE_POINTS + 1] into im, from re and im [FE_COLUMNS][FE_ROWS], whose rows are out of order.
   The first of a row has its mirror in another one: these are done first, into `firsts`. */
static void fe_power(float *re, float *im, float *work)
{
    float *const firsts = work, *const low = work + FE_COLUMNS + 1, *const high = low + FE_ROWS;
    int32_t k;
    firsts[0] = 4.0f * (re[0] + im[0]) * (re[0] + im[0]);
    firsts[FE_COLUMNS] = 4.0f * (re[0] - im[0]) * (re[0] - im[0]);
    for (k = 1; k <= FE_COLUMNS / 2; k++) {
        const int32_t z = fe_column_place[k] * FE_ROWS, at = k * FE_ROWS;
        const int32_t y = fe_column_place[FE_COLUMNS - k] * FE_ROWS;
        fe_pair(re[z], im[z], re[y], im[y], fe_cosines[at], fe_cosines[FE_POINTS / 2 - at],
                firsts + k, firsts + (FE_COLUMNS - k));
    }
    for (k = 0; k < FE_COLUMNS / 2; k++) {
        const int32_t z = fe_column_place[k] * FE_ROWS, at = k * FE_ROWS;
        const int32_t y = fe_column_place[FE_COLUMNS - 1 - k] * FE_ROWS;
        fe_fold(re + z, im + z, re + y, im + y, fe_cosines + at,
                fe_cosines + (FE_POINTS / 2 - FE_ROWS - at), low, high);
        memcpy(re + z, low, FE_ROWS * sizeof *re);
        memcpy(re + y, high, FE_ROWS * sizeof *re);
    }
    for (k = 0; k < FE_COLUMNS; k++) {
        memcpy(im + k * FE_ROWS, re + fe_column_place[k] * FE_ROWS, FE_ROWS * sizeof *im);
        im[k * FE_ROWS] = firsts[k];
    }
    im[FE_POINTS] = firsts[FE_COLUMNS];
}
