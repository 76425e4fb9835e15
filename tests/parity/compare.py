"""How a checker compares: one line for each tensor that is off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import Tensor


def differs(what: str, ours: Tensor, theirs: Tensor, limits: tuple[float, float]) -> list[str]:
    """|a - b| <= atol + rtol * |b|, element by element."""
    if ours.shape != theirs.shape:
        return [f"{what} has shape {tuple(ours.shape)} instead of {tuple(theirs.shape)}"]
    theirs = theirs.double()
    excess = float(((ours.double() - theirs).abs() - limits[0] - limits[1] * theirs.abs()).max())
    return [] if excess <= 0 else [f"{ours.dtype} {what} is off by {excess:.3g} above tolerance"]


def gradients_differ(
    found: Mapping[str, Tensor | None], expected: Mapping[str, Tensor], tolerance: dict[str, Any]
) -> list[str]:
    """max |a - b| <= atol + rtol * max |b|, tensor by tensor."""
    failures = []
    for name, wanted in expected.items():
        gradient = found.get(name)
        if gradient is None:
            failures.append(f"no gradient of {name}")
            continue
        gap = float((gradient.double() - wanted.double()).abs().max())
        allowed = tolerance["atol"] + tolerance["rtol"] * float(wanted.abs().max())
        if not gap <= allowed:
            failures.append(f"gradient of {name} is off by {gap:.3g}, allowed {allowed:.3g}")
    return failures


def fixture(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of one fixture; a test of a fixture that is not there is skipped."""
    items = json.loads((folder / "index.json").read_text())["items"]
    meta = next((item for item in items if Path(item["file"]).stem == name), None)
    if meta is None:
        pytest.skip(f"{folder} has no fixture {name}")
    return load_file(folder / meta["file"]), meta
