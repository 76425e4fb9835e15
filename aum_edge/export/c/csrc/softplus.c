/* log(1 + exp(x)) within 4e-7 of its value: max(x, 0) + log1p(exp(-|x|)), log1p by a polynomial
   of degree 9 on 0 .. 1. */
INLINE vec v_softplus(vec x)
{
    const vec zero = v_set(0.0f);
    const vec positive = v_max(zero, x);
    const vec e = v_exp(v_sub(v_min(zero, x), positive));
    vec p = v_fma(v_set(0.00522834202f), e, v_set(-0.0294868071f));
    p = v_fma(p, e, v_set(0.0781938061f));
    p = v_fma(p, e, v_set(-0.1366027f));
    p = v_fma(p, e, v_set(0.191044375f));
    p = v_fma(p, e, v_set(-0.248425128f));
    p = v_fma(p, e, v_set(0.333190233f));
    p = v_fma(p, e, v_set(-0.499994874f));
    p = v_fma(p, e, v_set(0.99999994f));
    return v_fma(p, e, positive);
}
