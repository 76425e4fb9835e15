/* Selective scan, forward and analytic backward, float32.
 *
 * Plain C99 without Python or torch headers; called through ctypes, one call a thread, each with
 * batch rows of its own. Channels run in blocks of BLOCK so that the inner loops vectorise and a
 * block's state stays in cache. Backward keeps one state every CHUNK tokens and recomputes those
 * between, so memory grows with length / CHUNK.
 *
 * Layout: u, delta, y [batch][length][E]; A [E][N]; B, C [batch][length][G][N]; states [batch][E][N].
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 32
#define CHUNK 64

#if defined(_WIN32)
#define API __declspec(dllexport)
#else
#define API
#endif

/* setuptools builds this file as an extension module, which must have an entry of this name. */
API void *PyInit__scan(void) { return 0; }

/* exp of a block in place, to about 2 ulp between -87 and 88, 0 below; NaN stays NaN.
 * Three loops, because compilers do not vectorise across the change from integer to float bits. */
static inline void exp_block(float *restrict x)
{
    float p[BLOCK], power[BLOCK];
    int32_t bits[BLOCK];
    for (int e = 0; e < BLOCK; e++) {
        const float low = x[e] < -87.0f ? -87.0f : x[e];
        const float y = low > 88.0f ? 88.0f : low;
        const float n = nearbyintf(y * 1.44269504f);
        const float r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
        float q = 1.9875691500e-4f;
        q = q * r + 1.3981999507e-3f;
        q = q * r + 8.3334519073e-3f;
        q = q * r + 4.1665795894e-2f;
        q = q * r + 1.6666665459e-1f;
        q = q * r + 5.0000001201e-1f;
        p[e] = q * r * r + r + 1.0f;
        bits[e] = ((int32_t)n + 127) * (1 << 23);
    }
    memcpy(power, bits, sizeof power);
    for (int e = 0; e < BLOCK; e++) x[e] = x[e] < -87.0f ? 0.0f : p[e] * power[e];
}

typedef struct {
    int64_t length, channels, states, groups;
    int reverse;
} shape;

/* Token that runs at step t. */
static inline int64_t at(const shape *s, int64_t t) { return s->reverse ? s->length - 1 - t : t; }

/* A of a block of channels, state-major and padded with zeros. */
static void load_decay(const shape *s, const float *A, int64_t first, int64_t width, float *out)
{
    memset(out, 0, sizeof(float) * (size_t)(s->states * BLOCK));
    for (int64_t e = 0; e < width; e++)
        for (int64_t n = 0; n < s->states; n++)
            out[n * BLOCK + e] = A[(first + e) * s->states + n];
}

static inline void load_row(const float *row, int64_t width, float *restrict out)
{
    for (int64_t e = 0; e < BLOCK; e++) out[e] = e < width ? row[e] : 0.0f;
}

/* The decays of one step, exp(delta A). */
static inline void decays(int64_t states, const float *restrict decay, const float *restrict d,
                          float *restrict kept)
{
    for (int64_t n = 0; n < states; n++) {
        float *row = kept + n * BLOCK;
        for (int e = 0; e < BLOCK; e++) row[e] = d[e] * decay[n * BLOCK + e];
        exp_block(row);
    }
}

/* One step of all states of a block: state in place. */
static inline void advance(int64_t states, const float *restrict kept, const float *restrict x,
                           const float *restrict B, float *restrict state)
{
    for (int64_t n = 0; n < states; n++) {
        const float b = B[n];
        for (int e = 0; e < BLOCK; e++) {
            const int64_t i = n * BLOCK + e;
            state[i] = kept[i] * state[i] + x[e] * b;
        }
    }
}

static void forward_block(const shape *s, const float *u, const float *delta, const float *A,
                          const float *B, const float *C, float *y, float *last, int64_t first,
                          int64_t width, float *work)
{
    const int64_t N = s->states, E = s->channels;
    const int64_t group = first / (E / s->groups);
    float *decay = work, *state = work + N * BLOCK, *kept = work + 2 * N * BLOCK;
    float d[BLOCK], x[BLOCK], out[BLOCK];
    load_decay(s, A, first, width, decay);
    memset(state, 0, sizeof(float) * (size_t)(N * BLOCK));
    for (int64_t step = 0; step < s->length; step++) {
        const int64_t t = at(s, step);
        const float *b = B + (t * s->groups + group) * N, *c = C + (t * s->groups + group) * N;
        load_row(delta + t * E + first, width, d);
        load_row(u + t * E + first, width, x);
        for (int e = 0; e < BLOCK; e++) x[e] *= d[e];
        decays(N, decay, d, kept);
        advance(N, kept, x, b, state);
        for (int e = 0; e < BLOCK; e++) out[e] = 0.0f;
        for (int64_t n = 0; n < N; n++)
            for (int e = 0; e < BLOCK; e++) out[e] += state[n * BLOCK + e] * c[n];
        for (int64_t e = 0; e < width; e++) y[t * E + first + e] = out[e];
    }
    for (int64_t e = 0; e < width; e++)
        for (int64_t n = 0; n < N; n++) last[(first + e) * N + n] = state[n * BLOCK + e];
}

/* Returns 0, or 1 when memory is short. */
API int aum_scan_forward(int64_t batch, int64_t length, int64_t channels, int64_t states,
                         int64_t groups, int reverse, const float *u, const float *delta,
                         const float *A, const float *B, const float *C, float *y, float *last)
{
    const shape s = {length, channels, states, groups, reverse};
    const int64_t per_group = channels / groups;
    float *work = malloc(sizeof(float) * (size_t)(3 * states * BLOCK));
    if (!work) return 1;
    for (int64_t b = 0; b < batch; b++)
        for (int64_t first = 0; first < channels;) {
            const int64_t left = per_group - first % per_group;
            const int64_t width = left < BLOCK ? left : BLOCK;
            forward_block(&s, u + b * length * channels, delta + b * length * channels, A,
                          B + b * length * groups * states, C + b * length * groups * states,
                          y + b * length * channels, last + b * channels * states, first, width,
                          work);
            first += width;
        }
    free(work);
    return 0;
}

typedef struct {
    const float *gy, *g_last, *u, *delta, *A, *B, *C;
    float *gu, *gd, *gA, *gB, *gC;
} tensors;

/* Gradients of one token from its state gradient gh; leaves exp(delta A) * gh in gh. */
static void token_gradients(const shape *s, const tensors *p, int64_t t, int64_t first,
                            int64_t width, const float *restrict decay,
                            const float *restrict kept, const float *restrict before,
                            const float *restrict state, float *restrict gh, float *restrict gA)
{
    const int64_t N = s->states, E = s->channels, group = first / (E / s->groups);
    const int64_t row = (t * s->groups + group) * N, place = t * E + first;
    float d[BLOCK], x[BLOCK], gy[BLOCK], gx[BLOCK] = {0}, gd[BLOCK] = {0};
    load_row(p->delta + place, width, d);
    load_row(p->u + place, width, x);
    load_row(p->gy + place, width, gy);
    for (int64_t n = 0; n < N; n++) {
        const float b = p->B[row + n], c = p->C[row + n];
        float sum_b = 0.0f, sum_c = 0.0f;
        for (int e = 0; e < BLOCK; e++) {
            const int64_t i = n * BLOCK + e;
            const float g = gh[i] + gy[e] * c;
            const float carried = g * kept[i];
            const float inner = carried * before[i];
            sum_c += gy[e] * state[i];
            sum_b += g * d[e] * x[e];
            gx[e] += g * b;
            gd[e] += inner * decay[i];
            gA[i] += inner * d[e];
            gh[i] = carried;
        }
        p->gB[row + n] += sum_b;
        p->gC[row + n] += sum_c;
    }
    for (int64_t e = 0; e < width; e++) {
        p->gu[place + e] = gx[e] * d[e];
        p->gd[place + e] = gd[e] + gx[e] * x[e];
    }
}

/* States before every chunk, starts[chunk][N][BLOCK]; what follows the last start is not run. */
static void chunk_starts(const shape *s, const tensors *p, int64_t first, int64_t width,
                         const float *decay, float *kept, float *state, float *starts)
{
    const int64_t N = s->states, E = s->channels, group = first / (E / s->groups);
    float d[BLOCK], x[BLOCK];
    memset(state, 0, sizeof(float) * (size_t)(N * BLOCK));
    for (int64_t step = 0; step < s->length; step++) {
        const int64_t t = at(s, step);
        const int last_start = step + CHUNK >= s->length && step % CHUNK == 0;
        if (step % CHUNK == 0)
            memcpy(starts + step / CHUNK * N * BLOCK, state, sizeof(float) * (size_t)(N * BLOCK));
        if (last_start) break;
        load_row(p->delta + t * E + first, width, d);
        load_row(p->u + t * E + first, width, x);
        for (int e = 0; e < BLOCK; e++) x[e] *= d[e];
        decays(N, decay, d, kept);
        advance(N, kept, x, p->B + (t * s->groups + group) * N, state);
    }
}

static void backward_block(const shape *s, const tensors *p, int64_t first, int64_t width,
                           float *work)
{
    const int64_t N = s->states, E = s->channels, size = N * BLOCK;
    const int64_t group = first / (E / s->groups), chunks = (s->length + CHUNK - 1) / CHUNK;
    float *decay = work, *gh = work + size, *gA = work + 2 * size, *states = work + 3 * size;
    float *kept = states + (CHUNK + 1) * size, *starts = kept + CHUNK * size;
    float d[BLOCK], x[BLOCK];
    load_decay(s, p->A, first, width, decay);
    chunk_starts(s, p, first, width, decay, kept, gh, starts);
    memset(gA, 0, sizeof(float) * (size_t)size);
    memset(gh, 0, sizeof(float) * (size_t)size);
    for (int64_t e = 0; e < width; e++)
        for (int64_t n = 0; n < N; n++) gh[n * BLOCK + e] = p->g_last[(first + e) * N + n];
    for (int64_t chunk = chunks - 1; chunk >= 0; chunk--) {
        const int64_t begin = chunk * CHUNK;
        const int64_t end = begin + CHUNK < s->length ? begin + CHUNK : s->length;
        memcpy(states, starts + chunk * size, sizeof(float) * (size_t)size);
        for (int64_t step = begin; step < end; step++) {
            const int64_t t = at(s, step), k = step - begin;
            load_row(p->delta + t * E + first, width, d);
            load_row(p->u + t * E + first, width, x);
            for (int e = 0; e < BLOCK; e++) x[e] *= d[e];
            float *after = states + (k + 1) * size;
            memcpy(after, states + k * size, sizeof(float) * (size_t)size);
            decays(N, decay, d, kept + k * size);
            advance(N, kept + k * size, x, p->B + (t * s->groups + group) * N, after);
        }
        for (int64_t step = end - 1; step >= begin; step--) {
            const int64_t k = step - begin;
            token_gradients(s, p, at(s, step), first, width, decay, kept + k * size,
                            states + k * size, states + (k + 1) * size, gh, gA);
        }
    }
    for (int64_t e = 0; e < width; e++)
        for (int64_t n = 0; n < N; n++) p->gA[(first + e) * N + n] += gA[n * BLOCK + e];
}

/* gA, gB and gC are added to and must hold zeros; gu and gd are written. 1 when memory is short. */
API int aum_scan_backward(int64_t batch, int64_t length, int64_t channels, int64_t states,
                          int64_t groups, int reverse, const float *gy, const float *g_last,
                          const float *u, const float *delta, const float *A, const float *B,
                          const float *C, float *gu, float *gd, float *gA, float *gB, float *gC)
{
    const shape s = {length, channels, states, groups, reverse};
    const int64_t per_group = channels / groups, rows = length * channels;
    const int64_t tokens = length * groups * states, size = states * BLOCK;
    const int64_t chunks = (length + CHUNK - 1) / CHUNK;
    float *work = malloc(sizeof(float) * (size_t)(size * (3 + 2 * CHUNK + 1 + chunks)));
    if (!work) return 1;
    for (int64_t b = 0; b < batch; b++) {
        const tensors p = {gy + b * rows, g_last + b * channels * states, u + b * rows,
                           delta + b * rows, A, B + b * tokens, C + b * tokens,
                           gu + b * rows, gd + b * rows, gA, gB + b * tokens, gC + b * tokens};
        for (int64_t first = 0; first < channels;) {
            const int64_t left = per_group - first % per_group;
            const int64_t width = left < BLOCK ? left : BLOCK;
            backward_block(&s, &p, first, width, work);
            first += width;
        }
    }
    free(work);
    return 0;
}
