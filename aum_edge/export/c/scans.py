"""The scans, written out for several states at once, which stay in registers along the clip."""

from __future__ import annotations

from aum_edge.export.c.tiles import piece

SUMS = 4
"""Partial sums of an output: a chain of one would wait for each product."""


def scan_source(mixer: str) -> str:
    """The scan of a mixer, ``ssd`` or ``s6``."""
    sizes = (16, 8, 4, 1) if mixer == "ssd" else (4, 1)
    bodies = []
    for count in sizes:
        body = _scan(count, mixer)
        bodies.append(f"#if LANES == 16\n{body}#endif\n" if count == 16 else body)
    return piece(f"scan_{mixer}.c").replace("@SCANS@\n", "\n".join(bodies))


def _scan(count: int, mixer: str) -> str:
    ssd = mixer == "ssd"
    rows = "ld_u" if ssd else "ld"
    states = range(count)
    lines = [
        f"static void scan_{count}(const scan_t *s, int32_t e, int32_t first)",
        "{",
        "    const int32_t lanes = s->channels - e;",
        "    float *state = s->state ? s->state + first * s->channels + e : NULL;",
        "    int32_t i;",
    ]
    lines += [f"    vec h{n} = v_set(0.0f);" for n in states]
    if not ssd:
        at = "s->a + (first + {}) * s->channels + e"
        lines += [f"    const vec a{n} = v_load_n({at.format(n)}, lanes);" for n in states]
    lines.append("    if (state) {")
    lines += [f"        h{n} = v_load_n(state + {n} * s->channels, lanes);" for n in states]
    lines += [
        "    }",
        "    for (i = 0; i < s->length; i++) {",
        "        const int32_t t = s->reverse ? s->length - 1 - i : i;",
        f"        const float *b = s->b + t * s->{rows} + first;",
        f"        const float *c = s->c + t * s->{rows} + first;",
    ]
    lines += _heads() if ssd else _channels()
    sums = min(SUMS, count)
    for n in states:
        decay = "decay" if ssd else f"v_exp(v_mul(step, a{n}))"
        lines.append(f"        h{n} = v_fma(h{n}, {decay}, v_mul(push, v_set(b[{n}])));")
        old = f"y{n}" if n == 0 else f"y{n % sums}"
        if n < sums and n > 0:
            lines.append(f"        y{n} = v_mul(h{n}, v_set(c[{n}]));")
        else:
            lines.append(f"        {old} = v_fma(h{n}, v_set(c[{n}]), {old});")
    total = "y0" if sums == 1 else "v_add(v_add(y0, y1), v_add(y2, y3))"
    lines += [f"        v_store_n(y, {total}, lanes);", "    }", "    if (state) {"]
    lines += [f"        v_store_n(state + {n} * s->channels, h{n}, lanes);" for n in states]
    text = "\n".join([*lines, "    }", "}", ""])
    more = "" if sums == 1 else ", y1, y2, y3"
    return text.replace("@MORE@", more)


def _heads() -> list[str]:
    return [
        "        float *y = s->y + t * s->ld_y + e;",
        "        const vec decay = of_heads(s->decay + t * s->ld_decay, e, lanes);",
        "        const vec step = of_heads(s->step + t * s->ld_step, e, lanes);",
        "        const vec push = v_mul(step, v_load_n(s->u + t * s->ld_u + e, lanes));",
        "        vec y0 = v_load_n(y, lanes)@MORE@;",
    ]


def _channels() -> list[str]:
    return [
        "        const int32_t at = t * s->channels + e;",
        "        float *y = s->y + at;",
        "        const vec step = v_load_n(s->step + at, lanes);",
        "        const vec share = v_mul(step, v_set(s->share));",
        "        const vec push = v_mul(share, v_load_n(s->u + at, lanes));",
        "        vec y0 = v_load_n(y, lanes)@MORE@;",
    ]
