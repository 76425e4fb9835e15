/* Every band less its mean over the clip; sums of 32 frames are added up, so rounding stays small. */
static void fe_centre(float *features)
{
    int32_t band, start, k;
    for (band = 0; band < FE_MELS; band++, features += FE_FRAMES) {
        float total = 0.0f;
        for (start = 0; start < FE_FRAMES; start += 32) {
            const int32_t end = start + 32 < FE_FRAMES ? start + 32 : FE_FRAMES;
            float sum = 0.0f;
            for (k = start; k < end; k++)
                sum += features[k];
            total += sum;
        }
        total /= (float)FE_FRAMES;
        for (k = 0; k < FE_FRAMES; k++)
            features[k] -= total;
    }
}
