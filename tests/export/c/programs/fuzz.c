/* Random bits as input, in arenas of exactly the size asked for: no function may go wrong. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzzed.h"

static uint32_t state = 1;

static uint32_t next_bits(void)
{
    state = 1664525u * state + 1013904223u;
    return state >> 8 | state << 24;
}

static float next_float(int32_t kind)
{
    static const uint32_t odd[] = {0x7fc00000u, 0x7f800000u, 0xff800000u, 0xffc00001u, 1u,
                                   0x807fffffu, 0x7f7fffffu, 0xff7fffffu, 0x80000000u, 0x3f800000u};
    uint32_t bits = next_bits();
    float value;
    if (kind == 0)
        bits = odd[bits % 10u]; /* NaN, Inf, denormals, the largest numbers, zero, one */
    else if (kind == 1)
        bits = bits % 997u ? 0x3d000000u | bits >> 9 : odd[bits % 10u]; /* one now and then */
    else if (kind == 2)
        bits &= 0x807fffffu; /* denormals */
    else if (kind == 3)
        bits = 0x3f800000u | (bits & 0x80000000u); /* full scale */
    memcpy(&value, &bits, sizeof value); /* kind 4: any bits at all */
    return value;
}

static float *filled(size_t count, int32_t kind)
{
    float *const values = (float *)malloc(count * sizeof(float));
    size_t i;
    for (i = 0; values && i < count; i++)
        values[i] = next_float(kind);
    return values;
}

int main(int argc, char **argv)
{
    const size_t features = (size_t)FUZZED_MELS * FUZZED_FRAMES;
    const int32_t rounds = argc > 1 ? atoi(argv[1]) : 10;
    float *const logits = (float *)malloc(FUZZED_CLASSES * sizeof(float));
    void *const arena = malloc(FUZZED_ARENA_BYTES);
    int32_t round, wrong = 0;
    wrong += fuzzed_init(arena, FUZZED_ARENA_BYTES) != FUZZED_OK;
    wrong += fuzzed_init(arena, FUZZED_ARENA_BYTES - 1) != FUZZED_TOO_SMALL;
    for (round = 0; round < rounds; round++) {
        float *const samples = filled(FUZZED_CLIP_SAMPLES, round % 5);
        float *const mels = filled(features, round % 5);
        wrong += fuzzed_run(arena, samples, logits) != FUZZED_OK;
        wrong += fuzzed_run_features(arena, mels, logits) != FUZZED_OK;
#ifdef FUZZED_STREAM_BYTES
        {
            void *const stream = malloc(FUZZED_STREAM_BYTES);
            size_t at = 0;
            wrong += fuzzed_stream_init(stream, FUZZED_STREAM_BYTES) != FUZZED_OK;
            wrong += fuzzed_result(stream, logits) != FUZZED_NOT_READY;
            wrong += fuzzed_run(stream, samples, logits) != FUZZED_NOT_INITIALISED;
            while (at < FUZZED_CLIP_SAMPLES) {
                size_t count = next_bits() % 2000u;
                count = count < FUZZED_CLIP_SAMPLES - at ? count : FUZZED_CLIP_SAMPLES - at;
                wrong += fuzzed_push(stream, samples + at, count) != FUZZED_OK;
                at += count;
            }
            wrong += fuzzed_end(stream) != FUZZED_OK;
            wrong += fuzzed_result(stream, logits) != FUZZED_OK;
            free(stream);
        }
#endif
        free(samples);
        free(mels);
    }
    /* What came before must not show: a clean clip gives the same logits as in a new arena. */
    {
        void *const fresh = calloc(FUZZED_ARENA_BYTES, 1);
        float *const other = (float *)malloc(FUZZED_CLASSES * sizeof(float));
        float *const mels = (float *)calloc(features, sizeof(float));
        wrong += fuzzed_init(fresh, FUZZED_ARENA_BYTES) != FUZZED_OK;
        wrong += fuzzed_run_features(fresh, mels, other) != FUZZED_OK;
        wrong += fuzzed_run_features(arena, mels, logits) != FUZZED_OK;
        wrong += memcmp(logits, other, FUZZED_CLASSES * sizeof(float)) != 0;
        free(fresh);
        free(other);
        free(mels);
    }
    free(arena);
    free(logits);
    printf("%ld wrong\n", (long)wrong);
    return wrong != 0;
}
