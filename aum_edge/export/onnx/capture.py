"""Capture of a torch model as an ONNX graph in float, each selective scan one opaque node."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import onnx_ir as ir
import torch
from onnxscript import opset18, optimizer
from torch import nn

import aum_edge.ssm.scan.operator  # noqa: F401 - registers torch.ops.aum_edge.scan
from aum_edge.core.text import one_line
from aum_edge.errors import ExportError
from aum_edge.export.onnx.forms import fuse
from aum_edge.export.onnx.naming import name_nodes
from aum_edge.export.onnx.passes import write_masks_out
from aum_edge.export.onnx.scan_op import translate
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.quantized import QuantizedLayer
from aum_edge.runtimes.contract import INPUT, OUTPUT

FOLD_LIMIT = 1 << 26
"""Elements; transposed weights and decay rates of the largest teacher are folded too."""


def _softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """One operator; the exporter's own rule has a threshold after it that ONNX does not need."""
    return opset18.Softplus(x) if beta == 1 else opset18.Softplus(x * beta) / beta


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aum_edge.scan.default: translate,
    torch.ops.aten.softplus.default: _softplus,
}


def capture(model: AudioClassifier, opset: int, dynamic_length: bool = False) -> ir.Model:
    """The model as a graph: input ``spectrogram`` (batch, 1, n_mels, n_frames), output ``logits``.

    With ``dynamic_length`` the frames are free too. The model itself is left as it is. Cost: a few
    seconds, mostly torch.export.

    Raises:
        ExportError: If an operator has no ONNX form, or the batch size is fixed by the code.
    """
    plain = float_twin(model)
    free = {0: torch.export.Dim("batch")}
    if dynamic_length:
        check_free_length(plain)
        free[3] = torch.export.Dim("frames")
    fuse(plain)
    try:
        with quiet_exporter():
            program = torch.onnx.export(
                plain,
                (plain.example_input(2),),
                dynamo=True,
                opset_version=opset,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=(free,),
                custom_translation_table=TRANSLATIONS,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(f"The model cannot become ONNX: {_reason(error)}.") from error
    assert program is not None
    captured = program.model
    shape = captured.graph.inputs[0].shape
    if shape is None or isinstance(shape[0], int):
        raise ExportError(
            "The network's code fixes the batch size (a Python len() or int() of the input's "
            "shape): take it from x.shape[0]."
        )
    name_nodes(captured.graph)
    optimizer.fold_constants(captured, input_size_limit=FOLD_LIMIT, output_size_limit=FOLD_LIMIT)
    ir.passes.common.DeduplicateInitializersPass()(captured)
    ir.passes.common.CommonSubexpressionEliminationPass()(captured)
    ir.passes.common.RemoveUnusedNodesPass()(captured)
    write_masks_out(captured.graph)
    return captured


def check_free_length(model: AudioClassifier) -> None:
    """Raise ExportError for a network that is made for one number of frames."""
    if not model.backbone.any_length:
        raise ExportError(
            "This network is made for one number of frames (it has a position embedding for each "
            "patch): a dynamic length is for students and CP-Mobile."
        )


def float_twin(model: AudioClassifier) -> AudioClassifier:
    """A copy in eval mode on the CPU whose int8 layers hold their float weights."""
    twin = copy.deepcopy(model).cpu().eval().requires_grad_(False)
    for layer in twin.modules():
        if isinstance(layer, QuantizedLayer):
            weight = layer.float_weight()
            layer.weight = nn.Parameter(weight, requires_grad=False)
            setattr(layer, "float_weight", partial(getattr, layer, "weight"))  # noqa: B010
    return twin


@contextlib.contextmanager
def quiet_exporter() -> Iterator[None]:
    """Silence the exporter's notes about missing optional packages."""
    names = ("torch.onnx", "onnxscript", "onnx_ir")
    before = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _reason(error: Exception) -> str:
    """The innermost cause in one line."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return one_line(cause, 300)
