"""The models of a submission, read, checked and counted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aum_edge.audio.config import FrontEndConfig
from aum_edge.complexity.limits import Limits, get_limits
from aum_edge.complexity.onnx.report import analyse_onnx
from aum_edge.complexity.report import Complexity, analyse
from aum_edge.complexity.verdict import Count, Verdict, verdict_of
from aum_edge.errors import BudgetError, CheckpointError, UnsupportedOperatorError
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.models.storage.directory import describe
from aum_edge.runtimes.onnx import OnnxClassifier
from aum_edge.submission.config import SubmissionConfig
from aum_edge.submission.runtime.network import ONNX
from aum_edge.submission.runtime.onnx_network import OnnxNetwork
from aum_edge.submission.runtime.scenes import GENERAL, scene_order

GRAPH_COUNT = "aum-edge, over the ONNX graph: the official script cannot look into onnxruntime"
EXACT_MACS = "MACs by aum-edge's exact count"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one model costs an inference of one clip."""

    macs: int
    """By the official script; by our exact count for an ONNX file and in a year without MACs."""
    param_bytes: int
    """Bytes of what the official script calls parameters."""
    n_params: int
    """Weights; the scales of int8 layers are none."""
    official_params: int
    """Parameters as the official script counts them, scales included."""
    n_non_zero: int
    exact_macs: int
    exact_bytes: int
    counted_by: str

    def verdict(self, limits: Limits) -> Verdict:
        """The figures of the submission against limits."""
        figures: dict[Count, Mapping[str, float | None]] = {
            "exact": {
                "macs": self.exact_macs,
                "param_bytes": self.exact_bytes,
                "n_params": self.n_params,
            },
            "official": {
                "macs": self.macs,
                "param_bytes": self.param_bytes,
                "n_params": self.official_params,
            },
        }
        return verdict_of(limits, figures)


@dataclass(frozen=True, kw_only=True)
class SubmissionModel:
    """One model of a submission."""

    name: str
    """``general``, a device id or a training split."""
    path: Path
    architecture: str
    config: dict[str, Any]
    """config.json as the package stores it."""
    frontend: FrontEndConfig
    figures: Figures

    @property
    def lineage(self) -> list[dict[str, Any]]:
        """What was done to the model, oldest first."""
        return list(self.config.get("lineage") or [])


def read_models(config: SubmissionConfig) -> dict[str, SubmissionModel]:
    """Every model by its name.

    Raises:
        CheckpointError: A model cannot be read, has other classes or is no softmax classifier.
        ExportError: An .onnx file that is none of ours.
        BudgetError: Models over a limit; the message names them and the excess.
    """
    limits = get_limits(config.limits_name)
    members = {name: read_model(name, path, limits) for name, path in config.members.items()}
    over = {name: line for name, member in members.items() if (line := over_limit(member, limits))}
    if over:
        rest = [name for name in members if name not in over]
        inside = f" Inside: {', '.join(rest)}." if rest else ""
        raise BudgetError(f"{' '.join(over.values())}{inside}")
    return members


def read_model(name: str, path: Path, limits: Limits) -> SubmissionModel:
    """One model, from a directory or an .onnx file."""
    if path.suffix == ".onnx":
        return _onnx_member(name, path, limits)
    model = load(path)
    _check_labels(name, path, model.labels, model.activation)
    if describe(model)["architecture"] == "masked_patch":
        raise CheckpointError(f"{path} (`{name}`) is an encoder without classes: fine-tune it.")
    return SubmissionModel(
        name=name,
        path=path,
        architecture=describe(model)["architecture"],
        config=describe(model),
        frontend=model.frontend,
        figures=_torch_figures(path, model, limits),
    )


def over_limit(member: SubmissionModel, limits: Limits) -> str:
    """The verdict on a model that is over a limit by the official count; else empty."""
    verdict = member.figures.verdict(limits)
    over = verdict.state_by("official") == "over"
    return verdict.line(f"`{member.name}`", "official") if over else ""


def truth_warnings(members: Iterable[SubmissionModel], limits: Limits) -> list[str]:
    """The exact verdict on each model that is inside officially and over in truth."""
    lines = []
    for member in members:
        verdict = member.figures.verdict(limits)
        if verdict.state_by("official") == "inside" and verdict.state_by("exact") == "over":
            lines += verdict.lines(f"`{member.name}`")
    return lines


def _torch_figures(path: Path, model: AudioClassifier, limits: Limits) -> Figures:
    result = analyse(model, limits)
    verdict, official = result.verdict, result.official
    if verdict.state_by("official") == "unknown" or official.param_bytes is None:
        rows = "; ".join(map(str, verdict.rows_of("official")))
        reasons = " ".join(result.notes)
        raise UnsupportedOperatorError(
            f"The official count of {path} ({official.rule}) does not give what the "
            f"{limits.name} limits ask for: {rows or 'bytes not counted'}. {reasons}".strip()
        )
    if official.macs is None:
        return _figures(
            result, result.counts.macs, official.param_bytes, f"{official.rule}; {EXACT_MACS}"
        )
    return _figures(result, official.macs, official.param_bytes, official.rule)


def _onnx_member(name: str, path: Path, limits: Limits) -> SubmissionModel:
    graph = OnnxClassifier(path)
    _check_labels(name, path, graph.labels, graph.metadata.get("activation", "softmax"))
    result = analyse_onnx(path, limits)
    if result.counts.unsupported:
        raise UnsupportedOperatorError(
            f"{path} (`{name}`) has operators without a counting rule "
            f"({', '.join(result.counts.unsupported)}): its MACs cannot be stated."
        )
    if result.open_axes:
        raise UnsupportedOperatorError(
            f"{path} (`{name}`) takes inputs of any size ({', '.join(result.open_axes)}): its MACs "
            "cannot be stated. Export it without `--dynamic-length`."
        )
    # What the script sees of it: the stored tensors of the types that it knows.
    visible = sum(p.numel() * p.element_size() for p in OnnxNetwork(path).parameters())
    config = {
        "architecture": ONNX,
        "frontend": asdict(graph.frontend),
        "normalization": asdict(graph.normalization),
        "labels": list(graph.labels),
        "lineage": json.loads(json.dumps(graph.metadata.get("lineage", []))),
        "quantization": None,
    }
    return SubmissionModel(
        name=name,
        path=path,
        architecture=str(graph.metadata.get("architecture", ONNX)),
        config=config,
        frontend=graph.frontend,
        figures=_figures(result, result.counts.macs, visible, GRAPH_COUNT),
    )


def _figures(result: Complexity, macs: int, param_bytes: int, rule: str) -> Figures:
    return Figures(
        macs=macs,
        param_bytes=param_bytes,
        n_params=result.n_params,
        official_params=result.official.n_params or result.n_params,
        n_non_zero=result.n_params - result.sizes.get("zero_params", 0),
        exact_macs=result.counts.macs,
        exact_bytes=result.sizes["param_bytes"],
        counted_by=rule,
    )


def _check_labels(name: str, path: Path, labels: tuple[str, ...], activation: str) -> None:
    try:
        scene_order(labels)
    except ValueError as error:
        raise CheckpointError(f"{path} (`{name}`) cannot be submitted: {error}.") from error
    if activation != "softmax":
        raise CheckpointError(
            f"{path} (`{name}`) answers by {activation}, one class at a time: the challenge takes "
            "the softmax of the logits. Train it with `loss: cross-entropy`."
        )


def serving(members: dict[str, SubmissionModel], device: str) -> SubmissionModel:
    """The model that a device gets."""
    return members[device if device in members else GENERAL]
