/* Log-mel [FE_MELS][FE_FRAMES] of a clip [FE_SAMPLES], relative to its own highest and means. */
static void fe_clip(const float *samples, float *features, float *scratch)
{
    float *const mels = scratch + FE_SCRATCH - FE_MELS;
    int32_t frame, k;
    for (frame = 0; frame < FE_FRAMES; frame++) {
        fe_frame(samples, frame, mels, scratch);
        for (k = 0; k < FE_MELS; k++)
            features[k * FE_FRAMES + frame] = mels[k];
    }
#if FE_HAS_RANGE
    fe_limit(features);
#endif
#if FE_HAS_MEAN
    fe_centre(features);
#endif
}
