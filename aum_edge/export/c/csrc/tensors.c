/* A matrix of weights [rows][cols], or a vector with one row. */
typedef struct {
    int32_t rows, cols;
    int32_t at;       /* first value in the array of its type */
    int32_t scale_at; /* int8: one scale a column, in the array of their type */
    int8_t type, scale_type;
} tensor_t;

enum { TYPE_FLOAT = 0, TYPE_HALF = 1, TYPE_INT8 = 2 };

#if HAS_HALF
/* IEEE half to float; exact. */
static float half_value(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half >> 15) << 31;
    const uint32_t exponent = (half >> 10) & 31u;
    const uint32_t mantissa = half & 1023u;
    uint32_t bits = sign | ((exponent + 112u) << 23) | (mantissa << 13);
    float value;
    if (exponent == 0) {
        value = (float)mantissa * 5.9604644775390625e-8f;
        return sign ? -value : value;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void expand_halves(const tensor_t *w, int32_t first, int32_t rows, float *out, int32_t ld)
{
    const uint16_t *halves = WEIGHTS_HALF + w->at + first * w->cols;
    const int32_t cols = w->cols;
    int32_t r, c;
    for (r = 0; r < rows; r++) {
        c = 0;
#ifdef v_halves
        for (; c + LANES <= cols; c += LANES) v_store(out + c, v_halves(halves + c));
#endif
        for (; c < cols; c++) out[c] = half_value(halves[c]);
        out += ld;
        halves += cols;
    }
}
#endif

#if HAS_HALF || HAS_INT8
#if HAS_INT8
/* int8 rows [first, first + rows) times their columns' scales, to rows of ld floats. Writes up to
   a vector beyond, and behind that scales that are not stored as floats. */
static void expand_codes(const tensor_t *w, int32_t first, int32_t rows, float *out, int32_t ld)
{
    const int8_t *codes = WEIGHTS_INT8 + w->at + first * w->cols;
    const float *scales = NULL;
    const int32_t cols = w->cols;
    int32_t r, c;
#if HAS_HALF
    if (w->scale_type == TYPE_HALF) {
        float *copy = out + rows * ld + 16;
        for (c = 0; c < cols; c++) copy[c] = half_value(WEIGHTS_HALF[w->scale_at + c]);
        scales = copy;
    }
#endif
    if (w->scale_type == TYPE_FLOAT) scales = WEIGHTS_FLOAT + w->scale_at;
    for (r = 0; r < rows; r++) {
        for (c = 0; c < cols; c += LANES) {
            v_store(out + c, v_mul(v_codes(codes + c), v_load(scales + c)));
        }
        out += ld;
        codes += cols;
    }
}
#endif

static void expand(const tensor_t *w, int32_t first, int32_t rows, float *out, int32_t ld)
{
#if HAS_INT8
    if (w->type == TYPE_INT8) expand_codes(w, first, rows, out, ld);
#endif
#if HAS_HALF
    if (w->type == TYPE_HALF) expand_halves(w, first, rows, out, ld);
#endif
}
#endif

/* A small tensor as floats: where it lies, or expanded into *room, which moves on by whole cache
   lines. */
static const float *small(const tensor_t *w, float **room)
{
    if (w->cols == 0) return NULL;
#if HAS_HALF || HAS_INT8
    if (w->type != TYPE_FLOAT) {
        float *out = *room;
        expand(w, 0, w->rows, out, w->cols);
        *room = out + (w->rows * w->cols + 15) / 16 * 16;
        return out;
    }
#endif
    (void)room;
    return WEIGHTS_FLOAT + w->at;
}

/* Where small() has put a tensor, or would put it: nothing is expanded. */
#if CONV_STEM
static const float *placed(const tensor_t *w, float **room)
{
    if (w->type != TYPE_FLOAT) {
        float *out = *room;
        *room = out + (w->rows * w->cols + 15) / 16 * 16;
        return out;
    }
    return WEIGHTS_FLOAT + w->at;
}
#endif
