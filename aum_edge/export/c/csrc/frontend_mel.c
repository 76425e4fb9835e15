#if FE_MAGNITUDE
/* Square root of x >= 0 without a library: relative error below 2e-7; 0 and Inf are themselves. */
INLINE float fe_root(float x)
{
    uint32_t bits;
    float y;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t guess = 0x5f3759dfu - (bits >> 1);
    memcpy(&y, &guess, sizeof y);
    y *= 1.5f - 0.5f * x * y * y;
    y *= 1.5f - 0.5f * x * y * y;
    y *= 1.5f - 0.5f * x * y * y;
    return bits >= 0x7f800000u ? x : x * y;
}
#endif

/* Natural logarithm of a normal number above 0: error below 1.2e-7 of the result and 6e-8 beside
   it. Inf and NaN are themselves. */
INLINE float fe_log(float x)
{
    uint32_t bits, rest;
    int32_t exponent;
    float m, e, p;
    memcpy(&bits, &x, sizeof bits);
    /* x = m 2^exponent with m from sqrt(1/2) to sqrt(2). */
    exponent = (int32_t)((bits + (0x3f800000u - 0x3f3504f3u)) >> 23) - 127;
    rest = bits - ((uint32_t)exponent << 23);
    memcpy(&m, &rest, sizeof m);
    m -= 1.0f;
    e = (float)exponent;
    p = FE_LOG_POLYNOMIAL(m);
    p = m * m * (m * p - 0.5f) + e * 1.42860677e-06f;
    return bits >= 0x7f800000u ? x : (p + m) + e * 0.693145752f;
}

/* Sum of one band's powers times its weights. */
INLINE float fe_band(const float *power, const float *weights, int32_t count)
{
    float sum = 0.0f;
    int32_t k;
    for (k = 0; k < count; k++)
        sum += power[k] * weights[k];
    return sum;
}

/* Powers to log-mel [FE_MELS]. Weights of a band fill whole fours; powers are 0 up to there. */
static void fe_mel(float *FE_RESTRICT power, float *FE_RESTRICT mels)
{
    const float *weights = fe_weights;
    int32_t band = 0, k;
    for (k = FE_POINTS + 1; k < FE_POWERS; k++)
        power[k] = 0.0f;
#if FE_MAGNITUDE
    for (k = 0; k < FE_POWERS; k++)
        power[k] = fe_root(power[k]);
#endif
#if FE_FOUR
    for (; band + 4 <= FE_MELS; band += 4) {
        fe_four sums[4];
        int32_t of;
        for (of = 0; of < 4; of++) {
            const float *const x = power + fe_bands[band + of].first;
            fe_four sum = {0.0f, 0.0f, 0.0f, 0.0f};
            for (k = 0; k < fe_bands[band + of].count; k += 4, weights += 4)
                sum += fe_get(x + k) * fe_get(weights);
            sums[of] = sum;
        }
        fe_flip(sums);
        fe_put(mels + band, (sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
#endif
    for (; band < FE_MELS; band++) {
        const int32_t count = fe_bands[band].count;
        mels[band] = fe_band(power + fe_bands[band].first, weights, count);
        weights += (count + 3) / 4 * 4;
    }
    for (k = 0; k < FE_MELS; k++)
        mels[k] = fe_log(FE_FLOORED(mels[k]));
}
