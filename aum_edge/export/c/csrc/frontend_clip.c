/* Log-mel [FE_MELS] of one frame of a clip [FE_SAMPLES]; reads no sample outside it. */
static void fe_frame(const float *samples, int32_t frame, float *mels, float *scratch)
{
    fe_view view;
    view.samples = samples;
    view.count = FE_SAMPLES;
    view.first = frame * FE_HOP - FE_HALF;
    FE_SET_MEAN(view)
    fe_window(&view, mels, scratch);
}
