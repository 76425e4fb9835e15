"""The models of a submission, read, checked and counted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aum_edge.audio.config import FrontEndConfig
from aum_edge.complexity.limits import Limits, get_limits
from aum_edge.complexity.onnx.report import analyse_onnx
from aum_edge.complexity.report import Complexity, analyse
from aum_edge.errors import BudgetError, CheckpointError, UnsupportedOperatorError
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.models.storage.directory import describe
from aum_edge.runtimes.onnx import OnnxClassifier
from aum_edge.submission.config import SubmissionConfig
from aum_edge.submission.runtime.network import ONNX
from aum_edge.submission.runtime.onnx_network import OnnxNetwork
from aum_edge.submission.runtime.scenes import GENERAL, scene_order

GRAPH_COUNT = "aum-edge, over the ONNX graph: the official script cannot look into onnxruntime"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one model costs an inference of one clip."""

    macs: int
    """By the official script; for an ONNX file by our count over its graph."""
    param_bytes: int
    """Bytes of what the official script calls parameters."""
    n_params: int
    n_non_zero: int
    exact_macs: int
    exact_bytes: int
    counted_by: str


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
    over = [line for member in members.values() for line in over_limit(member, limits)]
    if over:
        rest = [name for name in members if not any(f"`{name}`" in line for line in over)]
        inside = f" Inside: {', '.join(rest)}." if rest else ""
        raise BudgetError(f"Over the {limits.name} limits: {'; '.join(over)}.{inside}")
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


def over_limit(member: SubmissionModel, limits: Limits) -> list[str]:
    """One line for each limit that the model is over, by the official count."""
    figures = member.figures
    found = (
        ("MACs", figures.macs, limits.macs),
        ("bytes of parameters", figures.param_bytes, limits.param_bytes),
        ("parameters", figures.n_params, limits.params),
    )
    return [
        f"`{member.name}` has {value:,} {what} of {limit:,.0f} "
        f"({100 * (value / limit - 1):.1f} % too many)"
        for what, value, limit in found
        if limit is not None and value > limit
    ]


def truth_warnings(members: Iterable[SubmissionModel], limits: Limits) -> list[str]:
    """A line for each model that is inside officially and over in truth."""
    return [
        f"`{member.name}` is inside the limit by the official count ({member.figures.macs:,} MACs) "
        f"and over it by the exact one ({member.figures.exact_macs:,} of {limits.macs:,.0f})."
        for member in members
        if limits.macs is not None and member.figures.exact_macs > limits.macs
    ]


def _torch_figures(path: Path, model: AudioClassifier, limits: Limits) -> Figures:
    result = analyse(model, limits)
    official = result.official
    if official.macs is None or official.param_bytes is None:
        raise UnsupportedOperatorError(
            f"The official count of {path} fails: {' '.join(result.notes)}"
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
