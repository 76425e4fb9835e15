static void norm_of(norm_t *norm, const norm_tensors_t *tensors, float **spare)
{
    norm->gain = small(&tensors->gain, spare);
    norm->bias = small(&tensors->bias, spare);
    norm->eps = tensors->eps;
}

static void gemm_of(gemm_t *g, const float *a, int32_t lda, int32_t depth, float *c, int32_t ldc)
{
    g->a[0] = a;
    g->a[1] = g->a[2] = g->a[3] = NULL;
    g->w = g->bias = NULL;
    g->c = c;
    g->segments = 1;
    g->depth = depth;
    g->lda = lda;
    g->ldw = 0;
    g->ldc = ldc;
    g->relu = g->add = 0;
}
