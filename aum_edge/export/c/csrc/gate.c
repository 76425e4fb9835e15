/* y * silu(z), then RMS norm over the inner channels: out may be y. */
static void gate_row(const float *y, const float *z, const float *gain, float eps, int32_t size,
                     float *out)
{
    int32_t i;
    for (i = 0; i < size; i += LANES) {
        const vec gated = v_mul(v_load_n(y + i, size - i), v_silu(v_load_n(z + i, size - i)));
        v_store_n(out + i, gated, size - i);
    }
    rms_row(out, gain, eps, size, out);
}
