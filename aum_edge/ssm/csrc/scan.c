/* Selective scan and SSD, forward and analytic backward, in float32 and float64.
 *
 * Plain C without Python or torch headers; called through ctypes, one call a thread, each with
 * batch rows or channels of its own. Channels run in blocks whose states stay in cache. Backward
 * keeps one state every CHUNK tokens and recomputes those between, so memory grows with
 * length / CHUNK. recurrence.h is built once for every instruction set, and the caller picks the
 * best one that the machine at hand has: the file runs on any CPU of its family.
 *
 * Layout: u, y [batch][length][E]; delta [batch][length] with step_row elements a token, of which
 * the scan uses E and SSD one for every `head` channels; A [E][N] or [E / head]; B, C
 * [batch][length][G][N]; states [batch][E][N].
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if !defined(__GNUC__)
#error "the kernel is written with GNU C's vector types: gcc or clang"
#endif

#define CHUNK 64
#define SPAN 128 /* bytes of one row of a block: 32 channels in float32 */
#define INLINE inline __attribute__((always_inline))

#if defined(_WIN32)
#define API __declspec(dllexport)
#else
#define API
#endif

/* One call; void pointers are float or double. What is not needed is null. */
typedef struct {
    int64_t batch, length, channels, states, groups;
    int64_t head;       /* channels that share a step and a rate; 0 for the scan */
    int64_t step_row;   /* elements of delta from one token to the next */
    int64_t reverse;    /* from the last token to the first */
    int64_t add;        /* add to y and gu instead of writing them */
    int64_t first, end; /* the channels to run */
    int64_t is_double;
    const void *u, *delta, *A, *B, *C, *gy, *g_last;
    void *y, *last, *gu, *gd, *gA, *gB, *gC;
} job;

/* Token that runs at a step. */
static INLINE int64_t token(const job *j, int64_t step)
{
    return j->reverse ? j->length - 1 - step : step;
}

/* Every CPU of the family. */
#define WIDTH 16
#define REAL float
#define IS_DOUBLE 0
#define NAME(x) x##_plain
#include "recurrence.h"
#undef REAL
#undef IS_DOUBLE
#undef NAME
#define REAL double
#define IS_DOUBLE 1
#define NAME(x) x##_double
#include "recurrence.h"
#undef REAL
#undef IS_DOUBLE
#undef NAME
#undef WIDTH

#if (defined(__x86_64__) || defined(__i386__)) && !defined(AUM_PLAIN)
#define SETS 3
#define REAL float
#define IS_DOUBLE 0

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define WIDTH 32
#define NAME(x) x##_avx2
#include "recurrence.h"
#undef NAME
#undef WIDTH
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")
#endif
#define WIDTH 64
#define NAME(x) x##_avx512
#include "recurrence.h"
#undef NAME
#undef WIDTH
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

static int has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}
#else
#define SETS 1
#endif

/* setuptools builds this file as an extension module, which must have an entry of this name. */
API void *PyInit__scan(void) { return 0; }

/* Bytes of a job, for the caller to check that both mean the same. */
API int64_t aum_job_size(void) { return (int64_t)sizeof(job); }

/* How many instruction sets this machine can run: plain, avx2, avx512 in this order. */
API int aum_sets(void)
{
#if SETS == 3
    __builtin_cpu_init();
    return has_avx512() ? 3 : has_avx2() ? 2 : 1;
#else
    return 1;
#endif
}

/* The forward or backward pass with set 0, 1 or 2; float64 has one form. gA, gB, gC and SSD's gd
 * are added to and must hold numbers. Returns 0, or 1 when memory is short. */
API int aum_run(const job *j, int set, int backward)
{
    if (j->is_double) return run_job_double(j, backward);
#if SETS == 3
    if (set == 2) return run_job_avx512(j, backward);
    if (set == 1) return run_job_avx2(j, backward);
#endif
    (void)set;
    return run_job_plain(j, backward);
}
