enum { MADE_FOR_CLIPS = 0x41554D43, MADE_FOR_STREAM = 0x41554D53 };

static int check_arena(const void *arena, size_t bytes, size_t needed)
{
    if (arena == NULL) return @NAME@_NULL_POINTER;
    if ((uintptr_t)arena % @NAME@_ALIGNMENT != 0) return @NAME@_MISALIGNED;
    return bytes < needed ? @NAME@_TOO_SMALL : @NAME@_OK;
}

static int is_made_for(const void *arena, uint32_t purpose)
{
    uint32_t found;
    memcpy(&found, arena, sizeof found);
    return found == purpose;
}

static void normalise(float *mels)
{
    int32_t i;
    for (i = 0; i < MELS; i++) mels[i] = (mels[i] - MEAN) * GAIN;
}

static void run_blocks(const work_t *w, int32_t length, float *kept)
{
    int32_t i;
    for (i = 0; i < DEPTH; i++) {
        run_block(&BLOCKS[i], w->tokens, length, w, kept);
        if (kept) kept += BLOCKS[i].kept;
    }
}

static void clip_places(void *arena, work_t *w)
{
    float *base = (float *)arena;
    w->state = (state_t *)arena;
@CLIP_PLACES@
    w->kept = NULL;
    w->batch = BATCH;
}

static void clip_begin(const work_t *w)
{
    memset(w->state->seen, 0, sizeof w->state->seen);
    w->state->waiting = w->state->steps = 0;
    stem_begin(w);
}

static void clip_end(const work_t *w, float *logits)
{
    stem_end(w);
    run_blocks(w, TOKENS, NULL);
    pool_put(w, w->tokens, TOKENS, 0);
    classify(w, TOKENS, logits);
}

size_t @PREFIX@_size(void) { return @NAME@_ARENA_BYTES; }

int @PREFIX@_init(void *arena, size_t bytes)
{
    const uint32_t purpose = MADE_FOR_CLIPS;
    const int error = check_arena(arena, bytes, @NAME@_ARENA_BYTES);
    if (error == @NAME@_OK) memcpy(arena, &purpose, sizeof purpose);
    return error;
}

static void run_features(const work_t *w, const float *features, float *logits)
{
    int32_t frame, i;
    clip_begin(w);
    for (frame = 0; frame < FRAMES; frame++) {
        float *mels = next_frame(w);
        for (i = 0; i < MELS; i++) mels[i] = features[i * FRAMES + frame];
        normalise(mels);
        STAGE(STAGE_INPUT)
        put_frame(w);
    }
    clip_end(w, logits);
}

int @PREFIX@_run_features(void *arena, const float *features, float *logits)
{
    work_t w;
    if (arena == NULL || features == NULL || logits == NULL) return @NAME@_NULL_POINTER;
    if (!is_made_for(arena, MADE_FOR_CLIPS)) return @NAME@_NOT_INITIALISED;
    clip_places(arena, &w);
    run_features(&w, features, logits);
    return @NAME@_OK;
}

int @PREFIX@_run(void *arena, const float *samples, float *logits)
{
    work_t w;
    if (arena == NULL || samples == NULL || logits == NULL) return @NAME@_NULL_POINTER;
    if (!is_made_for(arena, MADE_FOR_CLIPS)) return @NAME@_NOT_INITIALISED;
    clip_places(arena, &w);
#if WHOLE_CLIP
    fe_clip(samples, w.features, w.scratch);
    STAGE(STAGE_FRONT_END)
    run_features(&w, w.features, logits);
#else
    {
        int32_t frame;
        clip_begin(&w);
        for (frame = 0; frame < FRAMES; frame++) {
            float *mels = next_frame(&w);
            fe_frame(samples, frame, mels, w.scratch);
            normalise(mels);
            STAGE(STAGE_FRONT_END)
            put_frame(&w);
        }
        clip_end(&w, logits);
    }
#endif
    return @NAME@_OK;
}
