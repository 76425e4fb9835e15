/* Where everything lies in the arena; w->state counts what has been heard. */
typedef struct {
    uint32_t made_for; /* a magic number: whole clips or a stream */
    int32_t seen[3];   /* columns that entered each level of the stem */
    int32_t waiting;   /* columns not yet folded into tokens */
    int32_t steps;     /* time steps that have tokens */
    int32_t spare[2];
} state_t;

typedef struct {
    state_t *state;
    float *tokens, *pool, *rings, *stem, *columns;
    float *rows, *mixed, *decay, *y, *parts, *step, *room, *fold_room, *small;
    float *features, *scratch, *heard, *kept;
    int32_t batch; /* columns folded at once */
} work_t;

typedef struct {
    const float *gain, *bias;
    float eps;
} norm_t;

typedef struct {
    tensor_t gain, bias;
    float eps;
} norm_tensors_t;

typedef struct {
    int32_t channels, taps, before;
} conv_t;
