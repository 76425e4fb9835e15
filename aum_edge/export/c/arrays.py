"""Numbers as C arrays."""

from __future__ import annotations

import numpy as np

from aum_edge.export.c.blocks import number
from aum_edge.export.c.tensors import FLOAT, HALF, INT8, Weights

C_TYPES = {FLOAT: ("float", "float"), HALF: ("uint16_t", "half"), INT8: ("int8_t", "int8")}
PAD = 16
"""Values beyond the last one: a vector may be read that far. They are no weights."""
PER_LINE = {FLOAT: 8, HALF: 16, INT8: 24}
ALIGNED = """\
#if defined(__GNUC__)
#define ALIGNED __attribute__((aligned(64)))
#else
#define ALIGNED
#endif
"""


def array_name(prefix: str, kind: int) -> str:
    """Name of the array of one type."""
    return f"{prefix}_weights_{C_TYPES[kind][1]}"


def kinds_of(weights: Weights) -> list[int]:
    """Types that occur; the engine always has an array of floats."""
    return [kind for kind in C_TYPES if kind == FLOAT or len(weights.array(kind))]


def declarations(weights: Weights, prefix: str) -> str:
    """The arrays, defined elsewhere."""
    return "".join(
        f"extern const {C_TYPES[kind][0]} {array_name(prefix, kind)}"
        f"[{len(weights.array(kind)) + PAD}];\n"
        for kind in kinds_of(weights)
    )


def definitions(weights: Weights, prefix: str, storage: str) -> str:
    """The arrays with their values."""
    parts = [ALIGNED]
    for kind in kinds_of(weights):
        values = _texts(weights.array(kind), kind) + ["0"] * PAD
        step = PER_LINE[kind]
        rows = [", ".join(values[i : i + step]) for i in range(0, len(values), step)]
        head = (
            f"ALIGNED {storage}const {C_TYPES[kind][0]} {array_name(prefix, kind)}[{len(values)}]"
        )
        parts.append(head + " = {\n" + ",\n".join(rows) + "\n};\n")
    return "\n".join(parts)


def _texts(array: np.ndarray, kind: int) -> list[str]:
    if kind == FLOAT:
        return [number(value) for value in array]
    if kind == HALF:
        return [f"0x{value:04X}" for value in array.view(np.uint16)]
    return [str(value) for value in array]
