/* Vectors of one instruction set: loads, sums over lanes and 2 to the power x.
 *
 * Included once for every instruction set and type that scan.c builds, with REAL (float or
 * double), WIDTH (bytes of a register) and NAME(x) (x with the set's own ending) defined.
 */
#define LANES ((int)(WIDTH / sizeof(REAL)))
#define PARTS (SPAN / WIDTH)
#define BLOCK ((int)(SPAN / sizeof(REAL)))
#define VEC NAME(vec)

typedef REAL VEC __attribute__((vector_size(WIDTH)));

/* Memory is only aligned to its elements. */
static INLINE VEC NAME(load)(const REAL *from)
{
    VEC x;
    memcpy(&x, from, sizeof x);
    return x;
}

static INLINE void NAME(store)(REAL *to, VEC x) { memcpy(to, &x, sizeof x); }

static INLINE VEC NAME(splat)(REAL x) { return (VEC){0} + x; }

/* Sum over the lanes; halves are added, so that rounding errors stay small. */
static INLINE REAL NAME(sum)(VEC x)
{
    REAL part[WIDTH / sizeof(REAL)];
    memcpy(part, &x, sizeof x);
#if WIDTH >= 64
    {
        REAL half __attribute__((vector_size(32))), other __attribute__((vector_size(32)));
        memcpy(&half, part, 32);
        memcpy(&other, (char *)part + 32, 32);
        half += other;
        memcpy(part, &half, 32);
    }
#endif
#if WIDTH >= 32
    {
        REAL half __attribute__((vector_size(16))), other __attribute__((vector_size(16)));
        memcpy(&half, part, 16);
        memcpy(&other, (char *)part + 16, 16);
        half += other;
        memcpy(part, &half, 16);
    }
#endif
    REAL total = part[0];
    for (int i = 1; i < (int)(16 / sizeof(REAL)); i++) total += part[i];
    return total;
}

#if IS_DOUBLE
/* float64 is there for checks and is not in a hurry. */
static INLINE VEC NAME(power)(VEC x)
{
    for (int i = 0; i < LANES; i++) x[i] = exp2(x[i]);
    return x;
}
#else
typedef int32_t NAME(ints) __attribute__((vector_size(WIDTH)));

/* a where the mask is set, b elsewhere. */
static INLINE VEC NAME(choose)(NAME(ints) mask, VEC a, VEC b)
{
    NAME(ints) x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    x = (x & mask) | (y & ~mask);
    memcpy(&a, &x, sizeof a);
    return a;
}

/* 2 to the x, to 2 units in the last place: the nearest whole number n goes into the exponent
 * bits, a polynomial with p(0) = 1 exactly takes the rest r in [-0.5, 0.5] (least squares for
 * relative error on Chebyshev nodes, 1.6e-8). Below -126.5 the result is 0, from 127.5 on it is
 * infinite, and NaN stays NaN. */
static INLINE VEC NAME(power)(VEC x)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    const VEC lowest = NAME(splat)(-127.0f), highest = NAME(splat)(128.0f);
    x = NAME(choose)(x < lowest, lowest, x);
    x = NAME(choose)(x > highest, highest, x);
    const VEC moved = x + (shift + 127.0f);
    const VEC r = x - (moved - (shift + 127.0f));
    NAME(ints) bits;
    memcpy(&bits, &moved, sizeof bits);
    bits = bits << 23;
    VEC scale;
    memcpy(&scale, &bits, sizeof scale);
    VEC p = NAME(splat)(1.54664985e-4f);
    p = p * r + 1.33985787e-3f;
    p = p * r + 9.61803915e-3f;
    p = p * r + 5.55033353e-2f;
    p = p * r + 2.40226511e-1f;
    p = p * r + 6.93147202e-1f;
    p = p * r + 1.0f;
    return p * scale;
}
#endif
