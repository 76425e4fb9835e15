/* After the last sample: 1 and a frame whose window reaches beyond it, 0 when there is none left. */
static int fe_end(fe_stream *state, float *mels, float *scratch)
{
    if (FE_HALF == 0 || state->held == 0 || state->start + FE_HALF > state->held)
        return 0;
    fe_next(state, mels, scratch);
    return 1;
}
