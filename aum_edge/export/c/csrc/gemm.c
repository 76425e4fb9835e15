/* c[rows][cols] = bias + sum over segments and depth of a * w, then ReLU if asked for. Row r of
   segment s is depth floats from a[s] + r * lda; w [segments * depth][ldw]. The last vector of a
   row of w may be read beyond cols: whatever follows lies in the same array. */
typedef struct {
    const float *a[4];
    const float *w, *bias;
    float *c;
    int32_t segments, depth, lda, ldw, ldc;
    int8_t relu, add; /* add: to what c holds, bias is not looked at */
} gemm_t;

@TILES@

static void gemm(const gemm_t *g, int32_t rows, int32_t cols)
{
    int32_t col = 0;
    while (col < cols) {
        const int32_t left = (cols - col + LANES - 1) / LANES;
        const int32_t vectors = left < TILE_VECTORS ? left : TILE_VECTORS;
        const int32_t height = vectors == 1 ? TILE_ROWS_1 : TILE_ROWS;
        const int32_t last = cols - col - (vectors - 1) * LANES;
        int32_t row = 0;
        while (row < rows) {
            int32_t take = rows - row < height ? rows - row : height;
            if (take > TILE_ROWS && take < height) take = TILE_ROWS;
            tile(g, row, col, take, vectors, last);
            row += take;
        }
        col += vectors * LANES;
    }
}

/* A layer: rows of a times weights w, plus bias. Weights that are not float pass through `room`,
   as many rows at a time as `size` floats hold. */
static void project(gemm_t *g, const tensor_t *w, int32_t rows, float *room, int32_t size)
{
    g->ldw = w->cols;
#if HAS_HALF || HAS_INT8
    if (w->type != TYPE_FLOAT) {
        gemm_t part = *g;
        const int32_t ld = (w->cols + 15) / 16 * 16, most = size / ld;
        int32_t s, k;
        part.segments = 1;
        part.w = room;
        part.ldw = ld;
        for (s = 0; s < g->segments; s++) {
            for (k = 0; k < g->depth; k += most) {
                const int32_t left = g->depth - k;
                part.depth = left < most ? left : most;
                part.a[0] = g->a[s] + k;
                expand(w, s * g->depth + k, part.depth, room, ld);
                gemm(&part, rows, w->cols);
                part.add = 1;
            }
        }
        return;
    }
#endif
    (void)room;
    (void)size;
    g->w = WEIGHTS_FLOAT + w->at;
    gemm(g, rows, w->cols);
}
