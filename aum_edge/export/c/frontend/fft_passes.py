"""One pass of an FFT as a C function: straight-line butterflies, lanes in the inner loop."""

from __future__ import annotations

import math
from dataclasses import dataclass

Value = tuple[str, str]
"""Names of a real and an imaginary part."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One pass, in place and decimating in frequency."""

    name: str
    radix: int
    span: int
    """Rows of one block: the length of FFT that is still to be done."""
    rows: int
    """Rows of all blocks."""
    lanes: int
    """Numbers in a row."""

    @property
    def step(self) -> int:
        """Rows between the inputs of a butterfly."""
        return self.span // self.radix

    @property
    def twiddles(self) -> list[float]:
        """Cosine and sine of every output of every butterfly of a block but the first."""
        angles = [
            2 * math.pi * j * k / self.span for j in range(self.step) for k in range(1, self.radix)
        ]
        return [part(angle) for angle in angles for part in (math.cos, math.sin)]

    @property
    def macs(self) -> int:
        """Multiplications of the pass."""
        turned = 4 * (self.radix - 1) * (self.step > 1)
        return self.rows // self.radix * self.lanes * (turned + _inner(self.radix))


def passes(name: str, radices: tuple[int, ...], rows: int, lanes: int) -> list[Pass]:
    """The passes of one FFT over rows."""
    found, span = [], rows
    for index, radix in enumerate(radices):
        found.append(
            Pass(name=f"{name}{index + 1}", radix=radix, span=span, rows=rows, lanes=lanes)
        )
        span //= radix
    return found


def function(step: Pass) -> str:
    """The pass as ``static void fe_NAME(float *re, float *im)``."""
    body = _Writer()
    inputs = [(f"x{q}r", f"x{q}i") for q in range(step.radix)]
    for q, (re, im) in enumerate(inputs):
        at = "l" if q == 0 else f"l + {q * step.step * step.lanes}"
        body.lines.append(f"const float {re} = r[{at}], {im} = i[{at}];")
    for k, out in enumerate(_butterfly(body, inputs)):
        body.store(k, k * step.step * step.lanes, out, turned=step.step > 1 and k > 0)
    head = [f"static void fe_{step.name}(float *FE_RESTRICT re, float *FE_RESTRICT im)", "{"]
    head += ["    size_t b, j, l;", f"    for (b = 0; b < {step.rows}; b += {step.span})"]
    head += [f"        for (j = 0; j < {step.step}; j++) {{"]
    head += [f"            float *const r = re + (b + j) * {step.lanes};"]
    head += [f"            float *const i = im + (b + j) * {step.lanes};"]
    if step.step > 1:
        head += [f"            const float *const w = fe_{step.name}_w + j * {2 * step.radix - 2};"]
        for k in range(1, step.radix):
            head += [f"            const float c{k} = w[{2 * k - 2}], s{k} = w[{2 * k - 1}];"]
    head += [f"            for (l = 0; l < {step.lanes}; l++) {{"]
    lines = head + [f"                {line}" for line in body.lines]
    return "\n".join([*lines, "            }", "        }", "}", ""])


class _Writer:
    """Straight-line C: every result has a name of its own."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0

    def value(self, re: str, im: str) -> Value:
        self.count += 1
        name = f"t{self.count}r", f"t{self.count}i"
        self.lines.append(f"const float {name[0]} = {re}, {name[1]} = {im};")
        return name

    def add(self, a: Value, b: Value) -> Value:
        return self.value(f"{a[0]} + {b[0]}", f"{a[1]} + {b[1]}")

    def sub(self, a: Value, b: Value) -> Value:
        return self.value(f"{a[0]} - {b[0]}", f"{a[1]} - {b[1]}")

    def add_turned(self, a: Value, b: Value) -> Value:
        """A plus -i times b."""
        return self.value(f"{a[0]} + {b[1]}", f"{a[1]} - {b[0]}")

    def sub_turned(self, a: Value, b: Value) -> Value:
        """A less -i times b."""
        return self.value(f"{a[0]} - {b[1]}", f"{a[1]} + {b[0]}")

    def eighth(self, a: Value) -> Value:
        """A turned by an eighth of a circle: times exp(-i pi / 4)."""
        h = _number(math.sqrt(0.5))
        return self.value(f"({a[0]} + {a[1]}) * {h}", f"({a[1]} - {a[0]}) * {h}")

    def three_eighths(self, a: Value) -> Value:
        """Times exp(-3 i pi / 4)."""
        h = _number(math.sqrt(0.5))
        return self.value(f"({a[1]} - {a[0]}) * {h}", f"({a[0]} + {a[1]}) * -{h}")

    def sum_of(self, first: Value, terms: list[tuple[Value, float]]) -> Value:
        parts = [
            "".join([first[part], *(f" + {v[part]} * {_number(c)}" for v, c in terms)])
            for part in (0, 1)
        ]
        return self.value(parts[0], parts[1])

    def store(self, k: int, offset: int, value: Value, turned: bool) -> None:
        at = f"l + {offset}" if offset else "l"
        re, im = value
        if turned:
            self.lines.append(f"r[{at}] = {re} * c{k} + {im} * s{k};")
            self.lines.append(f"i[{at}] = {im} * c{k} - {re} * s{k};")
        else:
            self.lines.append(f"r[{at}] = {re};")
            self.lines.append(f"i[{at}] = {im};")


def _butterfly(out: _Writer, x: list[Value]) -> list[Value]:
    """An FFT of 2, 4, 8 or an odd number of values."""
    if len(x) == 2:
        return [out.add(*x), out.sub(*x)]
    if len(x) % 2:
        return _odd(out, x)
    even, odd = _butterfly(out, x[0::2]), _butterfly(out, x[1::2])
    if len(x) == 4:
        return [
            out.add(even[0], odd[0]),
            out.add_turned(even[1], odd[1]),
            out.sub(even[0], odd[0]),
            out.sub_turned(even[1], odd[1]),
        ]
    first, third = out.eighth(odd[1]), out.three_eighths(odd[3])
    return [
        out.add(even[0], odd[0]),
        out.add(even[1], first),
        out.add_turned(even[2], odd[2]),
        out.add(even[3], third),
        out.sub(even[0], odd[0]),
        out.sub(even[1], first),
        out.sub_turned(even[2], odd[2]),
        out.sub(even[3], third),
    ]


def _odd(out: _Writer, x: list[Value]) -> list[Value]:
    """Sums and differences of mirrored inputs, each multiplied once per output."""
    radix, half = len(x), len(x) // 2
    sums = [out.add(x[j], x[radix - j]) for j in range(1, half + 1)]
    gaps = [out.sub(x[j], x[radix - j]) for j in range(1, half + 1)]
    results = [out.sum_of(x[0], [(s, 1.0) for s in sums])] + [("", "")] * (radix - 1)
    for k in range(1, half + 1):
        angles = [2 * math.pi * j * k / radix for j in range(1, half + 1)]
        even = out.sum_of(x[0], [(s, math.cos(a)) for s, a in zip(sums, angles, strict=True)])
        odd = out.sum_of(
            ("0.0f", "0.0f"), [(g, math.sin(a)) for g, a in zip(gaps, angles, strict=True)]
        )
        results[k], results[radix - k] = out.add_turned(even, odd), out.sub_turned(even, odd)
    return results


def _inner(radix: int) -> int:
    """Multiplications inside one butterfly."""
    if radix % 2 == 0:
        return 4 if radix == 8 else 0
    half = radix // 2
    return 2 * half * (2 * half)


def _number(value: float) -> str:
    return f"{value:.9g}f" if not float(value).is_integer() else f"{value:.1f}f"
