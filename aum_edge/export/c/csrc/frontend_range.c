/* No feature further than FE_RANGE below the highest. NaN stays NaN, and spreads, as in torch. */
static void fe_limit(float *features)
{
    float highest = features[0];
    int32_t k;
    for (k = 1; k < FE_MELS * FE_FRAMES; k++)
        highest = features[k] > highest || features[k] != features[k] ? features[k] : highest;
    highest -= FE_RANGE;
    for (k = 0; k < FE_MELS * FE_FRAMES; k++)
        features[k] = features[k] > highest || features[k] != features[k] ? features[k] : highest;
}
