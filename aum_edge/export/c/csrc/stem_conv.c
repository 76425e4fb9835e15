/* The stem, column by column in time: each convolution keeps its last three input columns
   [height + 2][inputs], whose first and last rows stay zero. */
typedef struct {
    int32_t inputs, outputs, height, made, step, ring; /* made: rows of an output column */
    tensor_t weight, bias;
} level_t;

static const level_t LEVELS[3] = {
@LEVELS@
};

static float *ring(const work_t *w, int32_t level, int32_t index)
{
    const level_t *v = &LEVELS[level];
    return w->rings + v->ring + (index % 3) * (v->height + 2) * v->inputs;
}

/* Where the next frame's mels go. */
static float *next_frame(const work_t *w)
{
    return ring(w, 0, w->state->seen[0]) + 1;
}

/* Weights and biases of the convolutions stay expanded as long as the arena is used. */
static void stem_begin(const work_t *w)
{
    float *room = w->stem;
    int32_t i;
    for (i = 0; i < RINGS; i++) w->rings[i] = 0.0f;
    for (i = 0; i < 3; i++) {
        (void)small(&LEVELS[i].weight, &room);
        (void)small(&LEVELS[i].bias, &room);
    }
}

static void depthwise(const level_t *v, const float *const *in, const float *weight,
                      const float *bias, float *out)
{
    const int32_t channels = v->outputs;
    int32_t c, f, k, j;
    for (c = 0; c < channels; c += LANES) {
        const int32_t n = channels - c;
        const vec start = v_load_n(bias + c, n);
        for (f = 0; f < v->made; f++) {
            vec sum = start;
            for (k = 0; k < 3; k++) {
                for (j = 0; j < 3; j++) {
                    const vec tap = v_load_n(weight + (3 * k + j) * channels + c, n);
                    sum = v_fma(v_load_n(in[k] + (2 * f + j) * channels + c, n), tap, sum);
                }
            }
            v_store_n(out + f * channels + c, sum, n);
        }
    }
}

/* A column has been put into a level's ring: run every convolution that it completes. */
static void advance(const work_t *w, int32_t level)
{
    float *room = w->stem;
    const float *weight = NULL, *bias = NULL;
    int32_t i;
    for (i = 0; i < level; i++) {
        (void)placed(&LEVELS[i].weight, &room);
        (void)placed(&LEVELS[i].bias, &room);
    }
    for (;; level++) {
        const level_t *v = &LEVELS[level];
        const int32_t seen = ++w->state->seen[level];
        const int32_t centre = seen - 1 - AHEAD;
        gemm_t g;
        if (centre < 0 || centre % v->step != 0) return;
        weight = placed(&v->weight, &room);
        bias = placed(&v->bias, &room);
        gemm_of(&g, ring(w, level, seen), 2 * v->inputs, 3 * v->inputs, NULL, v->outputs);
        g.a[1] = ring(w, level, seen + 1);
        g.a[2] = ring(w, level, seen + 2);
        if (level == 2) {
            depthwise(v, g.a, weight, bias, w->columns + w->state->waiting * COLUMN);
            STAGE(STAGE_DEPTHWISE)
            fold_put(w);
            return;
        }
        g.segments = 3;
        g.c = ring(w, level + 1, w->state->seen[level + 1]) + v->outputs;
        g.w = weight;
        g.ldw = v->outputs;
        g.bias = bias;
        g.relu = 1;
        gemm(&g, v->made, v->outputs);
        STAGE(level == 0 ? STAGE_CONV_1 : STAGE_CONV_2)
    }
}

static void put_frame(const work_t *w)
{
    advance(w, 0);
}

/* The clip is over: a centred convolution still looks one column ahead. */
static void stem_end(const work_t *w)
{
#if AHEAD
    int32_t level, i;
    for (level = 0; level < 3; level++) {
        const level_t *v = &LEVELS[level];
        float *column = ring(w, level, w->state->seen[level]) + v->inputs;
        for (i = 0; i < v->height * v->inputs; i++) column[i] = 0.0f;
        advance(w, level);
    }
#endif
    fold(w);
}
