/* Golden vectors of @PREFIX@: makes inputs of whole numbers, runs the model and compares its logits
   with torch's. Build with the model: cc -std=c99 -O2 @PREFIX@.c @PREFIX@_test.c
   Prints the largest differences; returns 0 if all is well, 1 if a logit differs, 2 if a function
   returned an error or accepted what it must refuse. */
#include <stdint.h>
#include <stdio.h>

#include "@PREFIX@.h"

#define FEATURES (@NAME@_MELS * @NAME@_FRAMES)

static const float of_features[@FEATURES@][@NAME@_CLASSES] = {
    @OF_FEATURES@};
static const float of_sounds[@SOUNDS@][@NAME@_CLASSES] = {
    @OF_SOUNDS@};

static union {
    float samples[@NAME@_CLIP_SAMPLES], features[FEATURES];
} input;
static float logits[@NAME@_CLASSES];
#if @STREAMS@
static unsigned char room[2 * @NAME@_ALIGNMENT + @NAME@_ARENA_BYTES + @NAME@_STREAM_BYTES];
static float mels[@NAME@_MELS];
#else
static unsigned char room[2 * @NAME@_ALIGNMENT + @NAME@_ARENA_BYTES];
#endif
static void *arena;
static uint32_t random_state;

static int32_t next_noise(void)
{
    random_state = 1664525u * random_state + 1013904223u;
    return (int32_t)(random_state >> 16) - 32768;
}

/* Division that rounds down. */
static int32_t down(int32_t x, int32_t by)
{
    return x >= 0 ? x / by : -((by - 1 - x) / by);
}

static void make_sound(int32_t index)
{
    int32_t at;
    random_state = (uint32_t)index + 1u;
    for (at = 0; at < @NAME@_CLIP_SAMPLES; at++) {
        int32_t x = next_noise();
        if (index == 1)
            x = down(x, 64) + (int32_t)((uint32_t)at * 881u & 32767u) - 16384;
        else if (index == 3)
            x = at % 1000 == 0 ? 32767 : down(x, 16);
        else
            x = index == 2 ? 0 : down(x, 4);
        input.samples[at] = (float)x * (1.0f / 32768.0f);
    }
}

static void make_features(int32_t index)
{
    int32_t at;
    random_state = (uint32_t)index + 100u;
    for (at = 0; at < FEATURES; at++) {
        const int32_t x = next_noise();
        input.features[at] = (float)(index == 1 ? 0 : x) * @STEP@ + @MEAN@;
    }
}

/* The larger of `worst` and the differences; NaN becomes the largest number there is. */
static float compare(const float *expected, float worst)
{
    int32_t k;
    for (k = 0; k < @NAME@_CLASSES; k++) {
        const float gap = logits[k] > expected[k] ? logits[k] - expected[k] : expected[k] - logits[k];
        if (!(gap <= worst))
            worst = gap >= 0.0f ? gap : 3.4e38f;
    }
    return worst;
}

static int failed(const char *what)
{
    printf("failed %s\n", what);
    return 2;
}

#if @STREAMS@
/* All frames of the features, one by one. */
static int stream_features(void *of)
{
    int32_t frame, k;
    if (@PREFIX@_stream_init(of, @NAME@_STREAM_BYTES) != @NAME@_OK)
        return 1;
    for (frame = 0; frame < @NAME@_FRAMES; frame++) {
        for (k = 0; k < @NAME@_MELS; k++)
            mels[k] = input.features[k * @NAME@_FRAMES + frame];
        if (@PREFIX@_push_features(of, mels) != @NAME@_OK)
            return 1;
    }
    return @PREFIX@_result(of, logits) != @NAME@_OK;
}

/* The whole sound in pieces of growing length. */
static int stream_sound(void *of)
{
    int32_t at = 0, size = 1;
    if (@PREFIX@_stream_init(of, @NAME@_STREAM_BYTES) != @NAME@_OK)
        return 1;
    while (at < @NAME@_CLIP_SAMPLES) {
        const int32_t left = @NAME@_CLIP_SAMPLES - at, count = size < left ? size : left;
        if (@PREFIX@_push(of, input.samples + at, (size_t)count) != @NAME@_OK)
            return 1;
        at += count;
        size += size / 2 + 1;
    }
    return @PREFIX@_end(of) != @NAME@_OK || @PREFIX@_result(of, logits) != @NAME@_OK;
}
#endif

static int refuses_bad_arenas(void)
{
    unsigned char *const start = (unsigned char *)arena;
    return @PREFIX@_init(NULL, @NAME@_ARENA_BYTES) == @NAME@_NULL_POINTER &&
           @PREFIX@_init(start + 1, @NAME@_ARENA_BYTES) == @NAME@_MISALIGNED &&
           @PREFIX@_init(arena, @NAME@_ARENA_BYTES - 1) == @NAME@_TOO_SMALL &&
           @PREFIX@_size() == @NAME@_ARENA_BYTES;
}

int main(void)
{
    float from_features = 0.0f, from_sounds = 0.0f;
    int32_t i;
    const size_t over = (size_t)((uintptr_t)room % @NAME@_ALIGNMENT);
    arena = room + (over ? @NAME@_ALIGNMENT - over : 0);
    if (!refuses_bad_arenas())
        return failed("to refuse a bad arena");
    if (@PREFIX@_init(arena, @NAME@_ARENA_BYTES) != @NAME@_OK)
        return failed("@PREFIX@_init");
    for (i = 0; i < @FEATURES@; i++) {
        make_features(i);
        if (@PREFIX@_run_features(arena, input.features, logits) != @NAME@_OK)
            return failed("@PREFIX@_run_features");
        from_features = compare(of_features[i], from_features);
    }
    for (i = 0; i < @SOUNDS@; i++) {
        make_sound(i);
        if (@PREFIX@_run(arena, input.samples, logits) != @NAME@_OK)
            return failed("@PREFIX@_run");
        from_sounds = compare(of_sounds[i], from_sounds);
    }
#if @STREAMS@
    {
        unsigned char *of = (unsigned char *)arena + @NAME@_ARENA_BYTES;
        of += (@NAME@_ALIGNMENT - (uintptr_t)of % @NAME@_ALIGNMENT) % @NAME@_ALIGNMENT;
        make_features(0);
        if (stream_features(of))
            return failed("@PREFIX@_push_features");
        from_features = compare(of_features[0], from_features);
        for (i = 0; i < 2; i++) {
            make_sound(i);
            if (stream_sound(of))
                return failed("@PREFIX@_push");
            from_sounds = compare(of_sounds[i], from_sounds);
        }
    }
#endif
    printf("features %.3g samples %.3g allowed %.3g and %.3g\n", (double)from_features,
           (double)from_sounds, (double)@ATOL@, (double)@ATOL_SOUNDS@);
    return from_features <= @ATOL@ && from_sounds <= @ATOL_SOUNDS@ ? 0 : 1;
}
