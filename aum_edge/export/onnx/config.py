"""Settings of an export to ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from aum_edge.errors import RecipeError
from aum_edge.runtimes.contract import OPSETS

ScanForm = Literal["auto", "scan", "unrolled"]


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """How a model becomes ONNX.

    ``scan`` is the ONNX Scan operator, ``unrolled`` one multiplication and addition a token (at
    most 128 tokens), ``auto`` times both on this machine and keeps the faster. Models without a
    selective scan are the same in all forms.
    """

    scan: ScanForm = "auto"
    """How a selective scan is written; see above."""
    with_frontend: bool = False
    """Put the front end inside: the file takes waveforms (batch, samples) instead of features."""
    dynamic_length: bool = False
    """Leave the number of frames open, where the network allows it; scans are then Scan."""
    streaming: bool = False
    """Write a step graph with its state instead: one token a call, for causal students."""
    opset: int = 18
    """18 is read by the most runtimes."""
    atol: float = 1e-4
    """Largest difference of a logit from torch's."""

    def __post_init__(self) -> None:
        if self.scan not in get_args(ScanForm):
            raise RecipeError(
                f"`scan` must be one of {', '.join(get_args(ScanForm))}, got {self.scan!r}."
            )
        if self.dynamic_length and self.scan == "unrolled":
            raise RecipeError(
                "`dynamic_length` has no number of steps to unroll: set `scan` to scan or auto."
            )
        if self.dynamic_length and self.with_frontend:
            raise RecipeError(
                "`with_frontend` fixes the samples of a clip, `dynamic_length` leaves them open: "
                "choose one, or export a causal student with --streaming."
            )
        if self.streaming and (self.with_frontend or self.dynamic_length):
            raise RecipeError(
                "A step graph takes frames one by one, of a recording of any length: leave out "
                "--with-frontend and --dynamic-length."
            )
        if self.opset not in OPSETS:
            raise RecipeError(
                f"`opset` must be between {OPSETS.start} and {OPSETS.stop - 1}, got {self.opset}."
            )
        if not self.atol > 0:
            raise RecipeError(f"`atol` must be above 0, got {self.atol}.")
