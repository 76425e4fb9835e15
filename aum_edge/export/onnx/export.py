"""Export of a model to one .onnx file, checked, run and compared before it is kept."""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
from torch import Tensor

from aum_edge.core.files import disk_errors, new_file
from aum_edge.core.text import one_line
from aum_edge.errors import ExportError
from aum_edge.export.onnx.capture import capture
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.export.onnx.frontend import with_front_end
from aum_edge.export.onnx.lowering import lowered
from aum_edge.export.onnx.naming import number_nodes
from aum_edge.export.onnx.parity import Parity, check_parity, random_clips
from aum_edge.export.onnx.stored_types import store_as_in_model
from aum_edge.export.target import ExportedFile
from aum_edge.models.classifier import AudioClassifier
from aum_edge.runtimes.contract import INPUT, WAVEFORM
from aum_edge.runtimes.onnx import OnnxClassifier, count_nodes
from aum_edge.runtimes.onnx_metadata import describe_model


@dataclass(frozen=True, kw_only=True)
class ExportReport(ExportedFile):
    """A finished export. ``scan`` is scan, unrolled or none; ``nodes`` counts bodies too."""

    seconds: float
    load_ms: float
    bytes: int
    sha256: str
    nodes: int
    scan: str
    max_abs_diff: float
    agreement: float
    opset: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), **super().to_dict()}

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.bytes:,} bytes, {self.nodes} nodes, scan as {self.scan}, made in "
            f"{self.seconds:.1f} s, loads in {self.load_ms:.0f} ms, largest logit difference "
            f"{self.max_abs_diff:.1e}"
        )


def export_onnx(
    model: AudioClassifier,
    path: str | Path,
    config: ExportConfig | None = None,
    clips: Tensor | None = None,
    extra: Mapping[str, Any] | None = None,
) -> ExportReport:
    """Write ``model`` to ``path``, proven equal on ``clips``.

    Args:
        model: Any classifier; int8 layers keep their int8 weights in the file. Left as it is.
        path: The .onnx file; a file already there is replaced only when all checks have passed.
        config: Scan form, opset and tolerance.
        clips: Features (n, 1, n_mels, n_frames) for the comparison; noise if there are none. A file
            with its front end inside is compared on noise and tones of its own.
        extra: More metadata_props, for example a licence; what is no text becomes JSON.

    Returns:
        What was written and how it compares.

    Cost: a few seconds, most of it torch.export; the first one in a process a few more.

    Raises:
        ExportError: If an operator has no ONNX form, or onnxruntime refuses the file.
        ParityError: If logits differ by more than ``config.atol``. Nothing is left behind.
    """
    started = time.perf_counter()
    config, path = config or ExportConfig(), Path(path)
    if path.is_dir():
        raise ExportError(f"{path} is a folder: give the name of the .onnx file to write.")
    if config.streaming:
        raise ExportError("A step graph is written by `export_streaming`, or by `export`.")
    if not model.labels:
        raise ExportError("An encoder without classes has no logits to export: train it first.")
    still = copy.deepcopy(model).cpu().eval()
    captured = capture(still, config.opset, config.dynamic_length)
    store_as_in_model(captured.graph, still)
    graph, form = lowered(captured, config.scan, random_clips(still, 1).numpy())
    if config.with_frontend:
        with_front_end(graph, still.frontend)
        number_nodes(graph.graph)
    props = describe_model(still, {"scan": form, **_input_of(config), **(extra or {})})
    data = finished(graph, props)

    def check(draft: Path) -> tuple[Parity, float]:
        runner = OnnxClassifier(draft)
        return check_parity(still, runner, clips, config.atol), runner.load_ms

    parity, load_ms = write_checked(data, path, check)
    return report_of(data, path, started, parity, load_ms, form, config.opset)


def _input_of(config: ExportConfig) -> dict[str, Any]:
    """What the file takes, for its metadata."""
    return {
        "input": WAVEFORM if config.with_frontend else INPUT,
        "dynamic_length": config.dynamic_length,
    }


def report_of(
    data: bytes, path: Path, started: float, parity: Parity, load_ms: float, scan: str, opset: int
) -> ExportReport:
    """What was written, ``started`` being the clock at the beginning."""
    return ExportReport(
        path=path,
        seconds=time.perf_counter() - started,
        load_ms=load_ms,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        nodes=count_nodes(onnx.load_from_string(data).graph),
        scan=scan,
        max_abs_diff=parity.max_abs_diff,
        agreement=parity.agreement,
        opset=opset,
    )


def finished(model: ir.Model, props: Mapping[str, str]) -> bytes:
    """The file's content: no traces of the exporter, no unused or repeated tensors."""
    common = ir.passes.common
    common.RemoveUnusedNodesPass()(model)
    common.DeduplicateInitializersPass()(model)
    common.ClearMetadataAndDocStringPass()(model)
    common.RemoveUnusedOpsetsPass()(model)
    model.producer_name, model.producer_version = "aum-edge", props["aum_edge.version"]
    model.metadata_props.update(props)
    proto = ir.to_proto(model)
    proto.ir_version = onnx.helper.find_min_ir_version_for(proto.opset_import)
    # Shapes in between are inferred by whoever needs them; here they would be a tenth of the file.
    proto.graph.ClearField("value_info")
    return proto.SerializeToString(deterministic=True)


def write_checked(
    data: bytes, path: Path, check: Callable[[Path], tuple[Parity, float]]
) -> tuple[Parity, float]:
    """Write a draft, let ``check`` load and compare it; then give it its name.

    Returns:
        What ``check`` returned: the comparison and the milliseconds that loading took.

    Raises:
        ExportError: If the graph is not valid ONNX; and whatever ``check`` raises.
        DiskError: If the file cannot be written.
    """
    with disk_errors(path.parent, path.name), new_file(path) as draft:
        draft.write_bytes(data)
        try:
            onnx.checker.check_model(data, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            reason = one_line(error, 200)
            raise ExportError(f"The exported graph is not valid ONNX: {reason}.") from error
        return check(draft)
