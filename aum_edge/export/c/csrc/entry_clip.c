int @PREFIX@_run(void *arena, const float *samples, float *logits)
{
    work_t w;
    int32_t frame;
    if (arena == NULL || samples == NULL || logits == NULL) return @NAME@_NULL_POINTER;
    if (!is_made_for(arena, MADE_FOR_CLIPS)) return @NAME@_NOT_INITIALISED;
    clip_places(arena, &w);
    clip_begin(&w);
    for (frame = 0; frame < FRAMES; frame++) {
        float *mels = next_frame(&w);
        fe_frame(samples, frame, mels, w.features);
        normalise(mels);
        STAGE(STAGE_FRONT_END)
        put_frame(&w);
    }
    clip_end(&w, logits);
    return @NAME@_OK;
}
