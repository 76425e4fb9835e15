/* State space duality as its recurrence: one decay a head, lanes over channels.
   h[n] = decay h[n] + step u b[n];  y += sum over n of c[n] h[n]. */
typedef struct {
    const float *u, *step, *decay, *b, *c;
    float *y, *state; /* state [states][channels], or NULL: start from zero, forget the end */
    int32_t ld_u, ld_step, ld_decay, ld_y; /* b and c lie in the rows of u */
    int32_t channels, states, length, reverse;
} scan_t;

/* One value a channel of one a head. */
INLINE vec of_heads(const float *values, int32_t channel, int32_t n)
{
#if HEAD % LANES == 0
    (void)n;
    return v_set(values[channel / HEAD]);
#else
    float part[LANES] = {0};
    int32_t i;
    for (i = 0; i < LANES && i < n; i++) part[i] = values[(channel + i) / HEAD];
    return v_load(part);
#endif
}

@SCANS@

static void scan(const scan_t *s)
{
    int32_t e, n;
    for (e = 0; e < s->channels; e += LANES) {
        n = 0;
#if LANES == 16
        for (; n + 16 <= s->states; n += 16) scan_16(s, e, n);
#endif
        for (; n + 8 <= s->states; n += 8) scan_8(s, e, n);
        for (; n + 4 <= s->states; n += 4) scan_4(s, e, n);
        for (; n < s->states; n++) scan_1(s, e, n);
    }
}
