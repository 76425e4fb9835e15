"""What an export may be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from aum_edge.errors import RecipeError

ScanForm = Literal["auto", "scan", "unrolled"]
OPSETS = range(18, 24)
"""18 is the exporter's own, and onnxruntime 1.20 (2024) runs it; 1.31 runs all of these."""


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """How a model becomes ONNX.

    ``scan`` is the ONNX Scan operator, ``unrolled`` one multiplication and addition a token (at
    most 128 tokens), ``auto`` times both on this machine and keeps the faster. Models without a
    selective scan are the same in all forms.
    """

    scan: ScanForm = "auto"
    opset: int = 18
    """18 is read by the most runtimes."""
    atol: float = 1e-4
    """Largest difference of a logit from torch's."""

    def __post_init__(self) -> None:
        if self.scan not in get_args(ScanForm):
            raise RecipeError(
                f"`scan` must be one of {', '.join(get_args(ScanForm))}, got {self.scan!r}."
            )
        if self.opset not in OPSETS:
            raise RecipeError(
                f"`opset` must be between {OPSETS.start} and {OPSETS.stop - 1}, got {self.opset}."
            )
        if not self.atol > 0:
            raise RecipeError(f"`atol` must be above 0, got {self.atol}.")
