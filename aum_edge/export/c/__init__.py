"""How the generated file is put together (aum_edge/export/c), and what the front end hands over.

Order of the pasted pieces: prologue (macros INLINE, RESTRICT; <stdint.h>, <stddef.h>, <string.h>),
vector layer (macros v_load, v_store, v_set, v_add, v_sub, v_mul, v_fma, v_max, v_min, LANES; LANES
is 1 without vector types or with -DAUM_SCALAR), front end, network, entry points.

Front end, Python: an object with
  source: str            C99, all functions and tables static, names begin with fe_ / FE_; every
                         function is used by the entry points asked for (no unused warnings)
  scratch_floats: int    what fe_frame / fe_clip need of the arena, floats
  tables_bytes: int      constant tables in flash
  stream_floats: int     floats of `fe_stream` (only int32_t and float members, so 4 bytes each)

Front end, C (mels are log-mel BEFORE normalisation; the network normalises):
  whole clip, frame by frame (kept small: no feature buffer in the arena):
    static void fe_frame(const float *samples, int32_t frame, float *mels, float *scratch);
        mels [n_mels] contiguous; reflection or zeros at the ends handled inside.
  whole clip for front ends whose frames depend on the clip (range_db, clip_mean):
    static void fe_clip(const float *samples, float *features, float *scratch);
        features [n_mels][n_frames].
  streaming:
    typedef struct { ... } fe_stream;
    static void fe_begin(fe_stream *state);
    static size_t fe_push(fe_stream *state, const float *samples, size_t count,
                          float *mels, float *scratch, int *ready);
        takes up to `count` samples, returns how many it took (stops after a finished frame);
        *ready is 1 when mels [n_mels] holds a new frame, else 0. Called again until all are taken
        and *ready is 0.

Generator, for the proof and the runner: `generate.generate(model, name, separate_weights)` returns
`Program`: name, header, source, weights (text of the array file or None), and sizes in bytes.
`export.export_c(model, out, config, progress)` proves it and writes OUT.c, NAME.h, NAME_test.c (and
OUT_weights.c).

From the front end (exists: frontend.py). `front_end(config, entries)`, entries out of
("frame",), ("clip",) [only for range_db / clip_mean], ("stream",), ("stream", "end"), and
("frame", "stream", ...) together. INLINE means `static inline`. `end` adds
  static int fe_end(fe_stream *state, float *mels, float *scratch);
to be called after the last sample until it returns 0: the frames that reach beyond it, without
which a stream gives other logits than its whole clip. FE_SCRATCH is `scratch_floats` in C.
Front ends with `padding: zero|edge` hear whole clips: shorter ones are the caller's work.

The .c begins with `about.comment(describe_model(model, {"c.name": NAME}))`.
The runner calls PREFIX_size/init/run/run_features and, for streams, PREFIX_stream_size/
stream_init/push/push_features/result.
"""
