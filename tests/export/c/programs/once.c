/* One clip: of samples with -DSAMPLES, of features otherwise. */
#include <stdint.h>

#include "counted.h"

static float input[COUNTED_CLIP_SAMPLES + COUNTED_MELS * COUNTED_FRAMES], logits[COUNTED_CLASSES];
static unsigned char room[COUNTED_ARENA_BYTES + COUNTED_ALIGNMENT];

int main(void)
{
    const size_t over = (size_t)((uintptr_t)room % COUNTED_ALIGNMENT);
    void *const arena = room + (over ? COUNTED_ALIGNMENT - over : 0);
    uint32_t state = 1;
    int32_t i;
    for (i = 0; i < COUNTED_CLIP_SAMPLES; i++) {
        state = 1664525u * state + 1013904223u;
        input[i] = (float)((int32_t)(state >> 16) - 32768) / 131072.0f;
    }
    if (counted_init(arena, COUNTED_ARENA_BYTES) != COUNTED_OK)
        return 1;
#ifdef SAMPLES
    return counted_run(arena, input, logits);
#else
    return counted_run_features(arena, input, logits);
#endif
}
