/* The selective scan, lanes over channels.
   h[n] = exp(step a[n]) h[n] + share step u b[n];  y += sum over n of c[n] h[n]. */
typedef struct {
    const float *u, *step, *a, *b, *c; /* a [states][channels] */
    float *y, *state;                  /* state [states][channels], or NULL: start from zero */
    float share;
    int32_t ld, channels, states, length, reverse; /* ld: rows of b and c */
} scan_t;

@SCANS@

static void scan(const scan_t *s)
{
    int32_t e, n;
    for (e = 0; e < s->channels; e += LANES) {
        for (n = 0; n + 4 <= s->states; n += 4) scan_4(s, e, n);
        for (; n < s->states; n++) scan_1(s, e, n);
    }
}
