"""A causal student as an ONNX step graph: frames and its state in, logits and state out."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from onnxscript import optimizer
from torch import Tensor

from aum_edge.errors import ParityError
from aum_edge.export.onnx.capture import FOLD_LIMIT, float_twin, quiet_exporter
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.export.onnx.export import ExportReport, finished, report_of, write_checked
from aum_edge.export.onnx.naming import name_nodes, number_nodes
from aum_edge.export.onnx.parity import Parity, random_clips
from aum_edge.export.onnx.stored_types import store_as_in_model
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.streaming import StreamingStudent
from aum_edge.runtimes.contract import FRAMES_IN, LOGITS
from aum_edge.runtimes.onnx import open_session
from aum_edge.runtimes.onnx_metadata import describe_model


def export_streaming(
    model: AudioClassifier,
    path: str | Path,
    config: ExportConfig | None = None,
    clips: Tensor | None = None,
) -> ExportReport:
    """Write the step graph of a causal student, proven equal to the whole clip in torch.

    Inputs: ``frames`` (batch, 1, n_mels, time_stride), raw log-mel, and one ``state.NAME`` a
    state; outputs: ``logits`` after this token and one ``next.NAME`` a state. States start at
    zero, and so do the frames before the first one (see
    :class:`~aum_edge.models.streaming.StreamingStudent`).

    Args:
        model: A student in one direction; int8 layers keep their int8 weights.
        path: The .onnx file; replaced only when all checks have passed.
        config: Opset and tolerance; a step has no scan to write in another form.
        clips: Features (n, 1, n_mels, n_frames) for the comparison; noise if there are none.

    Raises:
        ExportError: If the model cannot stream, or onnxruntime refuses the file.
        ParityError: If logits differ by more than ``config.atol``. Nothing is left behind.
    """
    started = time.perf_counter()
    config, path = config or ExportConfig(), Path(path)
    still = copy.deepcopy(model).cpu().eval()
    steps = StreamingStudent(float_twin(still)).eval()
    names = list(steps.initial_state())
    graph = _captured(steps, names, config.opset)
    store_as_in_model(graph.graph, still)
    number_nodes(graph.graph)
    shapes = {name: list(t.shape[1:]) for name, t in steps.initial_state().items()}
    extra: dict[str, Any] = {"scan": "step", "streaming": {"frames": steps.frames, "state": shapes}}
    data = finished(graph, describe_model(still, extra))
    features = random_clips(still, 4) if clips is None or not len(clips) else clips.float().cpu()

    def check(draft: Path) -> tuple[Parity, float]:
        before = time.perf_counter()
        session = open_session(draft)
        load_ms = (time.perf_counter() - before) * 1e3
        return _parity(still, session, features[:16], shapes, config.atol), load_ms

    parity, load_ms = write_checked(data, path, check)
    return report_of(data, path, started, parity, load_ms, "step", config.opset)


def _captured(steps: StreamingStudent, names: Sequence[str], opset: int) -> ir.Model:
    state = tuple(steps.initial_state(2).values())
    frames = torch.zeros(2, 1, steps.config.n_mels, steps.frames)
    batch = torch.export.Dim("batch")
    with quiet_exporter():
        program = torch.onnx.export(
            steps,
            (frames, *state),
            dynamo=True,
            opset_version=opset,
            input_names=[FRAMES_IN, *(f"state.{name}" for name in names)],
            output_names=[LOGITS, *(f"next.{name}" for name in names)],
            dynamic_shapes=({0: batch}, tuple({0: batch} for _ in state)),
            verbose=False,
        )
    assert program is not None
    graph = program.model
    name_nodes(graph.graph)
    optimizer.fold_constants(graph, input_size_limit=FOLD_LIMIT, output_size_limit=FOLD_LIMIT)
    ir.passes.common.RemoveUnusedNodesPass()(graph)
    return graph


def _parity(
    model: AudioClassifier, session: Any, features: Tensor, shapes: dict[str, Any], atol: float
) -> Parity:
    """Step through whole clips and compare the last logits with torch's."""
    got = run_steps(session, features.numpy(), shapes)
    with torch.inference_mode():
        expected = model(features).float().numpy()
    worst = float(np.abs(got - expected).max())
    if not worst <= atol:
        raise ParityError(
            f"The step graph differs from the whole clip by {worst:.2e} in a logit (allowed "
            f"{atol:g}); it was not kept. Check that the weights and clips are finite."
        )
    return Parity(worst, float((got.argmax(1) == expected.argmax(1)).mean()))


def run_steps(session: Any, features: np.ndarray, shapes: dict[str, Any]) -> np.ndarray:
    """The logits after the last token of whole clips (n, 1, n_mels, T)."""
    state = {f"state.{k}": np.zeros((len(features), *s), np.float32) for k, s in shapes.items()}
    taken = session.get_inputs()[0].shape[3]
    frames = np.pad(features, ((0, 0), (0, 0), (0, 0), (taken - 1, 0)))
    logits = np.zeros((len(features), 0), np.float32)
    for start in range(0, frames.shape[3] - taken + 1, taken):
        feed = {FRAMES_IN: np.ascontiguousarray(frames[..., start : start + taken])} | state
        logits, *after = session.run(None, feed)
        state = dict(zip(state, after, strict=True))
    return logits
