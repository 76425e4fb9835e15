/* The recurrence and its adjoint for one block of channels, of one instruction set.
 *
 * Channels lie in the lanes. `heads` is a constant where these functions are used: 0 for the
 * selective scan, whose every state decays at its own rate, 1 for SSD, where the channels of a
 * head share one rate and one step. Rates are kept times log2(e), for power() is base 2.
 */
#include "lanes.h"

/* How fast a block's states decay, state-major (scan) or one row (SSD), padded with zeros. */
static INLINE void NAME(load_rates)(const job *j, int heads, int64_t first, int64_t width,
                                    REAL *out)
{
    const REAL *A = j->A;
    const REAL log2e = (REAL)1.4426950408889634;
    const int64_t rows = heads ? 1 : j->states;
    memset(out, 0, sizeof(REAL) * (size_t)(rows * BLOCK));
    for (int64_t e = 0; e < width; e++)
        for (int64_t n = 0; n < rows; n++)
            out[n * BLOCK + e] = log2e * (heads ? A[(first + e) / j->head]
                                                : A[(first + e) * rows + n]);
}

static INLINE void NAME(load_row)(const REAL *row, int64_t width, VEC *out)
{
    REAL padded[SPAN / sizeof(REAL)] = {0};
    if (width == BLOCK) {
        for (int k = 0; k < PARTS; k++) out[k] = NAME(load)(row + k * LANES);
        return;
    }
    for (int64_t e = 0; e < width; e++) padded[e] = row[e];
    for (int k = 0; k < PARTS; k++) out[k] = NAME(load)(padded + k * LANES);
}

static INLINE void NAME(store_row)(REAL *row, int64_t width, int add, const VEC *x)
{
    REAL all[SPAN / sizeof(REAL)];
    if (width == BLOCK) {
        for (int k = 0; k < PARTS; k++)
            NAME(store)(row + k * LANES, add ? NAME(load)(row + k * LANES) + x[k] : x[k]);
        return;
    }
    for (int k = 0; k < PARTS; k++) NAME(store)(all + k * LANES, x[k]);
    for (int64_t e = 0; e < width; e++) row[e] = add ? row[e] + all[e] : all[e];
}

/* The steps of a token: of every channel, or of a head on all its lanes. */
static INLINE void NAME(load_steps)(const job *j, int heads, const REAL *row, int64_t first,
                                    int64_t width, VEC *out)
{
    if (!heads) {
        NAME(load_row)(row + first, width, out);
    } else if (j->head % LANES == 0 && width == BLOCK) {
        for (int k = 0; k < PARTS; k++) out[k] = NAME(splat)(row[(first + k * LANES) / j->head]);
    } else {
        REAL padded[SPAN / sizeof(REAL)] = {0};
        for (int64_t e = 0; e < width; e++) padded[e] = row[(first + e) / j->head];
        for (int k = 0; k < PARTS; k++) out[k] = NAME(load)(padded + k * LANES);
    }
}

/* One batch row of the job, as typed pointers. */
typedef struct {
    const REAL *u, *delta, *A, *B, *C, *gy, *g_last;
    REAL *y, *last, *gu, *gd, *gA, *gB, *gC;
} NAME(rows);

static NAME(rows) NAME(batch_row)(const job *j, int64_t b)
{
    const int64_t tokens = j->length * j->channels, steps = j->length * j->step_row;
    const int64_t inputs = j->length * j->groups * j->states;
    const int64_t states = j->channels * j->states;
#define AT(name, size) ((REAL *)j->name ? (REAL *)j->name + b * (size) : 0)
    NAME(rows) p = {AT(u, tokens),  AT(delta, steps),   AT(A, 0),         AT(B, inputs),
                    AT(C, inputs),  AT(gy, tokens),     AT(g_last, states), AT(y, tokens),
                    AT(last, states), AT(gu, tokens),   AT(gd, steps),    AT(gA, 0),
                    AT(gB, inputs), AT(gC, inputs)};
#undef AT
    return p;
}

/* One token: the states in `before` go on to `after`, decays are kept where there is room, and
 * the output is added up where it is wanted. */
static INLINE void NAME(advance)(const job *j, int heads, const REAL *rates, const VEC *d,
                                 const VEC *x, const REAL *B, const REAL *C, const REAL *before,
                                 REAL *after, REAL *kept, VEC *out)
{
    VEC keep[PARTS];
    if (heads)
        for (int k = 0; k < PARTS; k++) {
            keep[k] = NAME(power)(NAME(load)(rates + k * LANES) * d[k]);
            if (kept) NAME(store)(kept + k * LANES, keep[k]);
        }
    for (int64_t n = 0; n < j->states; n++)
        for (int k = 0; k < PARTS; k++) {
            const int64_t i = n * BLOCK + k * LANES;
            if (!heads) {
                keep[k] = NAME(power)(NAME(load)(rates + i) * d[k]);
                if (kept) NAME(store)(kept + i, keep[k]);
            }
            const VEC h = keep[k] * NAME(load)(before + i) + x[k] * B[n];
            NAME(store)(after + i, h);
            if (out) out[k] += h * C[n];
        }
}

static INLINE void NAME(forward_block)(const job *j, int heads, int64_t b, int64_t first,
                                       int64_t width, REAL *work)
{
    const NAME(rows) p = NAME(batch_row)(j, b);
    const int64_t N = j->states, E = j->channels, group = first / (E / j->groups);
    REAL *rates = work, *state = work + N * BLOCK;
    VEC d[PARTS], x[PARTS], out[PARTS];
    NAME(load_rates)(j, heads, first, width, rates);
    memset(state, 0, sizeof(REAL) * (size_t)(N * BLOCK));
    for (int64_t step = 0; step < j->length; step++) {
        const int64_t t = token(j, step), row = (t * j->groups + group) * N;
        NAME(load_steps)(j, heads, p.delta + t * j->step_row, first, width, d);
        NAME(load_row)(p.u + t * E + first, width, x);
        for (int k = 0; k < PARTS; k++) {
            x[k] *= d[k];
            out[k] = NAME(splat)(0);
        }
        NAME(advance)(j, heads, rates, d, x, p.B + row, p.C + row, state, state, 0, out);
        NAME(store_row)(p.y + t * E + first, width, j->add, out);
    }
    if (!p.last) return;
    for (int64_t e = 0; e < width; e++)
        for (int64_t n = 0; n < N; n++) p.last[(first + e) * N + n] = state[n * BLOCK + e];
}

/* Gradients of one token from its states' gradient gh, which goes on to the token before. */
static INLINE void NAME(token_gradients)(const job *j, int heads, const NAME(rows) * p, int64_t t,
                                         int64_t first, int64_t width, const REAL *rates,
                                         const REAL *kept, const REAL *before, const REAL *state,
                                         REAL *gh, REAL *gA)
{
    const int64_t N = j->states, place = t * j->channels + first;
    const int64_t row = (t * j->groups + first / (j->channels / j->groups)) * N;
    const REAL ln2 = (REAL)0.69314718055994531;
    VEC d[PARTS], u[PARTS], gy[PARTS], x[PARTS], gx[PARTS], gd[PARTS];
    NAME(load_steps)(j, heads, p->delta + t * j->step_row, first, width, d);
    NAME(load_row)(p->u + place, width, u);
    NAME(load_row)(p->gy + place, width, gy);
    for (int k = 0; k < PARTS; k++) {
        x[k] = u[k] * d[k];
        gx[k] = gd[k] = NAME(splat)(0);
    }
    for (int64_t n = 0; n < N; n++) {
        VEC sum_b = NAME(splat)(0), sum_c = NAME(splat)(0);
        for (int k = 0; k < PARTS; k++) {
            const int64_t i = n * BLOCK + k * LANES;
            const VEC g = NAME(load)(gh + i) + gy[k] * p->C[row + n];
            const VEC carried = g * NAME(load)(kept + (heads ? k * LANES : i));
            const VEC inner = carried * NAME(load)(before + i);
            sum_c += gy[k] * NAME(load)(state + i);
            sum_b += g * x[k];
            gx[k] += g * p->B[row + n];
            NAME(store)(gh + i, carried);
            if (heads) {
                gd[k] += inner;
            } else {
                gd[k] += inner * NAME(load)(rates + i);
                NAME(store)(gA + i, NAME(load)(gA + i) + inner * d[k]);
            }
        }
        p->gB[row + n] += NAME(sum)(sum_b);
        p->gC[row + n] += NAME(sum)(sum_c);
    }
    for (int k = 0; k < PARTS; k++) {
        if (heads) {
            NAME(store)(gA + k * LANES, NAME(load)(gA + k * LANES) + gd[k] * d[k]);
            gd[k] *= NAME(load)(rates + k * LANES);
        }
        gd[k] = gd[k] * ln2 + gx[k] * u[k];
        gx[k] *= d[k];
    }
    NAME(store_row)(p->gu + place, width, j->add, gx);
    REAL *steps = p->gd + t * j->step_row;
    if (!heads) {
        NAME(store_row)(steps + first, width, 0, gd);
    } else if (j->head % LANES == 0 && width == BLOCK) {
        for (int k = 0; k < PARTS; k++) steps[(first + k * LANES) / j->head] += NAME(sum)(gd[k]);
    } else {
        REAL all[SPAN / sizeof(REAL)];
        for (int k = 0; k < PARTS; k++) NAME(store)(all + k * LANES, gd[k]);
        for (int64_t e = 0; e < width; e++) steps[(first + e) / j->head] += all[e];
    }
}

/* Runs steps begin to end of a block from the states in `from`. Where `kept` is given, states and
 * decays of every step stay, one after the other; else only the last states, in place. */
static INLINE void NAME(run)(const job *j, int heads, const NAME(rows) * p, int64_t first,
                             int64_t width, int64_t begin, int64_t end, const REAL *rates,
                             REAL *from, REAL *kept)
{
    const int64_t size = j->states * BLOCK, group = first / (j->channels / j->groups);
    const int64_t decays = heads ? BLOCK : size;
    VEC d[PARTS], x[PARTS];
    for (int64_t step = begin; step < end; step++) {
        const int64_t t = token(j, step), row = (t * j->groups + group) * j->states;
        NAME(load_steps)(j, heads, p->delta + t * j->step_row, first, width, d);
        NAME(load_row)(p->u + t * j->channels + first, width, x);
        for (int k = 0; k < PARTS; k++) x[k] *= d[k];
        if (kept) {
            REAL *before = from + (step - begin) * size;
            NAME(advance)(j, heads, rates, d, x, p->B + row, 0, before, before + size,
                          kept + (step - begin) * decays, 0);
        } else {
            NAME(advance)(j, heads, rates, d, x, p->B + row, 0, from, from, 0, 0);
        }
    }
}

/* States are kept every CHUNK tokens and those between run again, last chunk first. */
static INLINE void NAME(backward_block)(const job *j, int heads, int64_t b, int64_t first,
                                        int64_t width, REAL *work)
{
    const NAME(rows) p = NAME(batch_row)(j, b);
    const int64_t N = j->states, size = N * BLOCK, decays = heads ? BLOCK : size;
    const int64_t chunks = (j->length + CHUNK - 1) / CHUNK;
    REAL *rates = work, *gh = work + size, *gA = work + 2 * size, *states = work + 3 * size;
    REAL *kept = states + (CHUNK + 1) * size, *starts = kept + CHUNK * size;
    NAME(load_rates)(j, heads, first, width, rates);
    memset(gh, 0, sizeof(REAL) * (size_t)(2 * size));
    for (int64_t c = 0; c < chunks; c++) {
        memcpy(starts + c * size, gh, sizeof(REAL) * (size_t)size);
        if (c + 1 < chunks)
            NAME(run)(j, heads, &p, first, width, c * CHUNK, (c + 1) * CHUNK, rates, gh, 0);
    }
    memset(gh, 0, sizeof(REAL) * (size_t)size);
    if (p.g_last)
        for (int64_t e = 0; e < width; e++)
            for (int64_t n = 0; n < N; n++) gh[n * BLOCK + e] = p.g_last[(first + e) * N + n];
    for (int64_t c = chunks - 1; c >= 0; c--) {
        const int64_t begin = c * CHUNK;
        const int64_t end = begin + CHUNK < j->length ? begin + CHUNK : j->length;
        memcpy(states, starts + c * size, sizeof(REAL) * (size_t)size);
        NAME(run)(j, heads, &p, first, width, begin, end, rates, states, kept);
        for (int64_t k = end - begin - 1; k >= 0; k--)
            NAME(token_gradients)(j, heads, &p, token(j, begin + k), first, width, rates,
                                  kept + k * decays, states + k * size, states + (k + 1) * size,
                                  gh, gA);
    }
    if (heads)
        for (int64_t e = 0; e < width; e++) p.gA[(first + e) / j->head] += gA[e];
    else
        for (int64_t e = 0; e < width; e++)
            for (int64_t n = 0; n < N; n++) p.gA[(first + e) * N + n] += gA[n * BLOCK + e];
}

/* Blocks never cross from one group of channels into the next. */
static INLINE void NAME(blocks)(const job *j, int heads, int backward, REAL *work)
{
    const int64_t per_group = j->channels / j->groups;
    for (int64_t b = 0; b < j->batch; b++)
        for (int64_t first = j->first; first < j->end;) {
            int64_t width = per_group - first % per_group;
            width = width < BLOCK ? width : BLOCK;
            width = width < j->end - first ? width : j->end - first;
            if (backward)
                NAME(backward_block)(j, heads, b, first, width, work);
            else
                NAME(forward_block)(j, heads, b, first, width, work);
            first += width;
        }
}

static int NAME(run_job)(const job *j, int backward)
{
    const int64_t size = j->states * BLOCK, chunks = (j->length + CHUNK - 1) / CHUNK;
    const int64_t blocks = backward ? 3 + 2 * CHUNK + 1 + chunks : 2;
    REAL *work = malloc(sizeof(REAL) * (size_t)(size * blocks));
    if (!work) return 1;
    if (j->head && backward) NAME(blocks)(j, 1, 1, work);
    if (j->head && !backward) NAME(blocks)(j, 1, 0, work);
    if (!j->head && backward) NAME(blocks)(j, 0, 1, work);
    if (!j->head && !backward) NAME(blocks)(j, 0, 0, work);
    free(work);
    return 0;
}

#undef LANES
#undef PARTS
#undef BLOCK
#undef VEC
