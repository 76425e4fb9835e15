/* Vectors of LANES floats: AVX-512, AVX2, NEON (64 bit) or SSE2, whatever the compiler may use;
   one float where there is none or where AUM_SCALAR is defined. No compiler flag is needed for
   speed beyond the instruction set: products and sums are fused explicitly. */
#if !defined(AUM_SCALAR) && defined(__AVX512F__)
#if defined(__GNUC__) && !defined(__clang__)
/* gcc's own header makes it warn in C++. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif
#define LANES 16
typedef __m512 vec;
#define v_load(p) _mm512_loadu_ps(p)
#define v_store(p, v) _mm512_storeu_ps((p), (v))
#define v_set(x) _mm512_set1_ps(x)
#define v_add(a, b) _mm512_add_ps((a), (b))
#define v_sub(a, b) _mm512_sub_ps((a), (b))
#define v_mul(a, b) _mm512_mul_ps((a), (b))
#define v_div(a, b) _mm512_div_ps((a), (b))
#define v_fma(a, b, c) _mm512_fmadd_ps((a), (b), (c))
#define v_max(a, b) _mm512_max_ps((a), (b))
#define v_min(a, b) _mm512_min_ps((a), (b))
#define v_round(x) _mm512_roundscale_ps((x), 8)
#define v_scale(x, n) _mm512_scalef_ps((x), (n))
#define v_codes(p) \
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p))))
#define v_halves(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(p)))
#elif !defined(AUM_SCALAR) && defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define LANES 8
typedef __m256 vec;
#define v_load(p) _mm256_loadu_ps(p)
#define v_store(p, v) _mm256_storeu_ps((p), (v))
#define v_set(x) _mm256_set1_ps(x)
#define v_add(a, b) _mm256_add_ps((a), (b))
#define v_sub(a, b) _mm256_sub_ps((a), (b))
#define v_mul(a, b) _mm256_mul_ps((a), (b))
#define v_div(a, b) _mm256_div_ps((a), (b))
#define v_fma(a, b, c) _mm256_fmadd_ps((a), (b), (c))
#define v_max(a, b) _mm256_max_ps((a), (b))
#define v_min(a, b) _mm256_min_ps((a), (b))
#define v_round(x) _mm256_round_ps((x), 8)
#define v_scale(x, n)                                                \
    _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x),     \
                                         _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23)))
#define v_codes(p) \
    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p))))
#if defined(__F16C__)
#define v_halves(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#endif
#elif !defined(AUM_SCALAR) && defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#define LANES 4
typedef float32x4_t vec;
#define v_load(p) vld1q_f32(p)
#define v_store(p, v) vst1q_f32((p), (v))
#define v_set(x) vdupq_n_f32(x)
#define v_add(a, b) vaddq_f32((a), (b))
#define v_sub(a, b) vsubq_f32((a), (b))
#define v_mul(a, b) vmulq_f32((a), (b))
#define v_div(a, b) vdivq_f32((a), (b))
#define v_fma(a, b, c) vfmaq_f32((c), (a), (b))
#define v_max(a, b) vmaxq_f32((a), (b))
#define v_min(a, b) vminq_f32((a), (b))
#define v_round(x) vrndnq_f32(x)
#define v_scale(x, n) \
    vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(x), vshlq_n_s32(vcvtnq_s32_f32(n), 23)))
/* Four of the eight codes that are read. */
#define v_codes(p) vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vld1_s8(p)))))
#elif !defined(AUM_SCALAR) && defined(__SSE2__)
#include <emmintrin.h>
#define LANES 4
typedef __m128 vec;
#define v_load(p) _mm_loadu_ps(p)
#define v_store(p, v) _mm_storeu_ps((p), (v))
#define v_set(x) _mm_set1_ps(x)
#define v_add(a, b) _mm_add_ps((a), (b))
#define v_sub(a, b) _mm_sub_ps((a), (b))
#define v_mul(a, b) _mm_mul_ps((a), (b))
#define v_div(a, b) _mm_div_ps((a), (b))
#define v_fma(a, b, c) _mm_add_ps(_mm_mul_ps((a), (b)), (c))
#define v_max(a, b) _mm_max_ps((a), (b))
#define v_min(a, b) _mm_min_ps((a), (b))
#define v_round(x) _mm_cvtepi32_ps(_mm_cvtps_epi32(x))
#define v_scale(x, n) \
    _mm_castsi128_ps(_mm_add_epi32(_mm_castps_si128(x), _mm_slli_epi32(_mm_cvtps_epi32(n), 23)))
#define v_codes(p) _mm_cvtepi32_ps(_mm_set_epi32((p)[3], (p)[2], (p)[1], (p)[0]))
#else
#define LANES 1
typedef float vec;
#define v_load(p) (*(p))
#define v_store(p, v) (*(p) = (v))
#define v_set(x) (x)
#define v_add(a, b) ((a) + (b))
#define v_sub(a, b) ((a) - (b))
#define v_mul(a, b) ((a) * (b))
#define v_div(a, b) ((a) / (b))
#define v_fma(a, b, c) ((a) * (b) + (c))
/* As on x86: of a pair that cannot be compared the second one is taken. */
#define v_max(a, b) ((a) > (b) ? (a) : (b))
#define v_min(a, b) ((a) < (b) ? (a) : (b))
#define v_codes(p) ((float)*(p))
INLINE vec v_round(vec x) { return (float)(int32_t)(x < 0.0f ? x - 0.5f : x + 0.5f); }
INLINE vec v_scale(vec x, vec n)
{
    const uint32_t shift = (uint32_t)(int32_t)n;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits += shift << 23;
    memcpy(&x, &bits, sizeof bits);
    return x;
}
#endif

/* The first n lanes; the others read as zero and are not written. */
#if LANES == 1
#define v_load_n(p, n) ((void)(n), *(p))
#define v_store_n(p, v, n) ((void)(n), (void)(*(p) = (v)))
#define v_sum(v) (v)
#elif LANES == 16
#define v_some(n) ((__mmask16)((n) >= 16 ? 0xFFFFu : (1u << (n)) - 1u))
#define v_load_n(p, n) _mm512_maskz_loadu_ps(v_some(n), (p))
#define v_store_n(p, v, n) _mm512_mask_storeu_ps((p), v_some(n), (v))
#define v_sum(v) _mm512_reduce_add_ps(v)
#else
/* Out of line: they are rare, and inlined everywhere they would be half of the code. */
OUTLINE vec v_load_part(const float *p, int32_t n)
{
    float part[LANES] = {0};
    int32_t i;
#if LANES == 8
    if (n == 4) return _mm256_insertf128_ps(_mm256_setzero_ps(), _mm_loadu_ps(p), 0);
#endif
    for (i = 0; i < n; i++) part[i] = p[i];
    return v_load(part);
}

OUTLINE void v_store_part(float *p, vec v, int32_t n)
{
    float part[LANES];
    int32_t i;
#if LANES == 8
    if (n == 4) {
        _mm_storeu_ps(p, _mm256_castps256_ps128(v));
        return;
    }
#endif
    v_store(part, v);
    for (i = 0; i < n; i++) p[i] = part[i];
}

INLINE vec v_load_n(const float *p, int32_t n)
{
    return n >= LANES ? v_load(p) : v_load_part(p, n);
}

INLINE void v_store_n(float *p, vec v, int32_t n)
{
    if (n >= LANES) {
        v_store(p, v);
    } else {
        v_store_part(p, v, n);
    }
}

INLINE float v_sum(vec v)
{
    float part[LANES], total = 0.0f;
    int32_t i;
    v_store(part, v);
    for (i = 0; i < LANES; i++) total += part[i];
    return total;
}
#endif
