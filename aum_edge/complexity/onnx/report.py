"""Complexity of an .onnx file: exact figures, limits and the verdict."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from onnx import ModelProto, TensorProto

from aum_edge.complexity.limits import Limits, get_limits
from aum_edge.complexity.onnx.counter import count_onnx
from aum_edge.complexity.onnx.graph import (
    FRONT_END_TABLES,
    free_axes,
    holds_front_end,
    read_onnx,
    stored_bytes,
    type_shape,
    weights,
)
from aum_edge.complexity.report import Complexity, unknown_official
from aum_edge.complexity.sizes import Precision


def analyse_onnx(path: str | Path, limits: str | Path | Limits = "dcase2025") -> Complexity:
    """Count an .onnx file; official figures need the torch model and are ``None``.

    ``param_bytes`` are the bytes of the stored tensors, int8 codes and scales included. The file
    is longer than that by its nodes and names.

    Raises:
        RecipeError: There are no such limits.
        UnsupportedOperatorError: The file is not ONNX.
    """
    path, limits = Path(path), get_limits(limits)
    model = read_onnx(path)
    props = {entry.key: entry.value for entry in model.metadata_props}
    inside = holds_front_end(model)
    stored = [t for t in weights(model.graph) if not (inside and _is_table(t))]
    counts = count_onnx(path)
    named = props.get("n_params", "")
    open_axes = tuple(free_axes(model))
    shape = type_shape(model.graph.input[0].type)
    return Complexity(
        counts=counts,
        sizes=_sizes(stored, path, model),
        n_params=int(named) if named.isdecimal() else sum(map(_elements, stored)),
        official=unknown_official(limits),
        limits=limits,
        input_shape=tuple(max(1, size) for size in shape),
        open_axes=open_axes,
        notes=(
            *(
                f"The size of {axis} is free: counted as 1, so the true cost is that many times "
                "more, and whether that is inside is not known."
                for axis in open_axes
            ),
            *_front_end_note(path, model, counts.macs),
        ),
    )


def _front_end_note(path: Path, model: ModelProto, network: int) -> list[str]:
    if not holds_front_end(model):
        return []
    macs = count_onnx(path, front_end=True).macs - network
    return [
        f"The file makes its own features: {macs:,} MACs and {_table_bytes(model):,} bytes of "
        "tables, which the figures of the model leave out."
    ]


def _is_table(tensor: TensorProto) -> bool:
    return tensor.name.startswith(FRONT_END_TABLES)


def _table_bytes(model: ModelProto) -> int:
    """Bytes of what the front end has stored, integers included."""
    if not holds_front_end(model):
        return 0
    tables = [t for t in model.graph.initializer if _is_table(t)]
    return sum(stored_bytes(t.data_type, _elements(t)) for t in tables)


def _sizes(stored: list[TensorProto], path: Path, model: ModelProto) -> dict[str, Any]:
    kinds: dict[str, Precision] = {}
    for tensor in stored:
        row = kinds.setdefault(TensorProto.DataType.Name(tensor.data_type).lower(), Precision())
        row.tensors += 1
        row.elements += _elements(tensor)
        row.bytes += stored_bytes(tensor.data_type, _elements(tensor))
    beside = {
        entry.value
        for t in model.graph.initializer
        for entry in t.external_data
        if entry.key == "location"
    }
    total = sum(row.bytes for row in kinds.values())
    return {
        "param_bytes": total,
        "buffer_bytes": _table_bytes(model),
        "payload_bytes": total + _table_bytes(model),
        "file_bytes": path.stat().st_size
        + sum((path.parent / name).stat().st_size for name in beside),
        "by_precision": {name: vars(row) for name, row in kinds.items()},
    }


def _elements(tensor: TensorProto) -> int:
    return math.prod(tensor.dims)
