static void stream_places(void *arena, work_t *w)
{
    float *base = (float *)arena;
    w->state = (state_t *)arena;
@STREAM_PLACES@
    w->batch = 1;
}

/* A frame's mels are in their place: normalise them, make a token if it completes one. */
static void stream_frame(const work_t *w, float *mels)
{
    const int32_t before = w->state->steps;
    normalise(mels);
    put_frame(w);
    if (w->state->steps == before) return;
    run_blocks(w, 1, w->kept);
    pool_put(w, w->tokens, 1, before);
}

size_t @PREFIX@_stream_size(void) { return @NAME@_STREAM_BYTES; }

int @PREFIX@_stream_init(void *arena, size_t bytes)
{
    const uint32_t purpose = MADE_FOR_STREAM;
    const int error = check_arena(arena, bytes, @NAME@_STREAM_BYTES);
    work_t w;
    if (error != @NAME@_OK) return error;
    memset(arena, 0, @NAME@_STREAM_BYTES);
    memcpy(arena, &purpose, sizeof purpose);
    stream_places(arena, &w);
    stem_begin(&w);
    fe_begin((fe_stream *)(void *)w.heard);
    return @NAME@_OK;
}

int @PREFIX@_push_features(void *arena, const float *mels)
{
    work_t w;
    float *frame;
    if (arena == NULL || mels == NULL) return @NAME@_NULL_POINTER;
    if (!is_made_for(arena, MADE_FOR_STREAM)) return @NAME@_NOT_INITIALISED;
    stream_places(arena, &w);
    if (w.state->seen[0] > INT32_MAX - 8) return @NAME@_BAD_COUNT;
    frame = next_frame(&w);
    memcpy(frame, mels, MELS * sizeof *frame);
    stream_frame(&w, frame);
    return @NAME@_OK;
}

int @PREFIX@_push(void *arena, const float *samples, size_t count)
{
    work_t w;
    int ready = 1;
    if (arena == NULL || (samples == NULL && count > 0)) return @NAME@_NULL_POINTER;
    if (!is_made_for(arena, MADE_FOR_STREAM)) return @NAME@_NOT_INITIALISED;
    stream_places(arena, &w);
    while (count > 0 || ready) {
        float *mels = next_frame(&w);
        fe_stream *state = (fe_stream *)(void *)w.heard;
        const size_t taken = fe_push(state, samples, count, mels, w.scratch, &ready);
        if (w.state->seen[0] > INT32_MAX - 8) return @NAME@_BAD_COUNT;
        if (taken > 0) samples += taken; /* no sum with NULL, not even of nothing */
        count -= taken;
        if (ready) stream_frame(&w, mels);
    }
    return @NAME@_OK;
}

int @PREFIX@_end(void *arena)
{
    work_t w;
    if (arena == NULL) return @NAME@_NULL_POINTER;
    if (!is_made_for(arena, MADE_FOR_STREAM)) return @NAME@_NOT_INITIALISED;
    stream_places(arena, &w);
    for (;;) {
        float *mels = next_frame(&w);
        if (!fe_end((fe_stream *)(void *)w.heard, mels, w.scratch)) return @NAME@_OK;
        stream_frame(&w, mels);
    }
}

int @PREFIX@_result(void *arena, float *logits)
{
    work_t w;
    if (arena == NULL || logits == NULL) return @NAME@_NULL_POINTER;
    if (!is_made_for(arena, MADE_FOR_STREAM)) return @NAME@_NOT_INITIALISED;
    stream_places(arena, &w);
    if (w.state->steps == 0) return @NAME@_NOT_READY;
    classify(&w, w.state->steps, logits);
    return @NAME@_OK;
}
