"""Parity of an ONNX file with its model: the same clips in onnxruntime and in torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.frontend import FrontEnd
from aum_edge.core.text import one_line
from aum_edge.errors import ExportError, ParityError
from aum_edge.export.onnx.naming import node_scope, scope
from aum_edge.models.classifier import AudioClassifier
from aum_edge.runtimes.contract import INPUT, WAVEFORM
from aum_edge.runtimes.onnx import RUN_ERRORS, OnnxClassifier, open_session

BATCH = 32
STEP = 0.5
"""Logits that a clip may be off where rounded inputs fell to another level."""
RANDOM_CLIPS = 16


@dataclass(frozen=True)
class Parity:
    """Largest difference of a logit, and the share of clips with the same first label."""

    max_abs_diff: float
    agreement: float


def random_clips(model: AudioClassifier, count: int = RANDOM_CLIPS) -> Tensor:
    """Noise with the mean and spread of the model's training features, always the same."""
    shape = model.example_input(count).shape
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return noise * model.normalization.std + model.normalization.mean


def random_waveforms(config: FrontEndConfig, count: int = RANDOM_CLIPS) -> Tensor:
    """Noise of falling loudness over a tone, each clip with an offset of its own; the same always.

    Levels reach 60 dB below full scale, so that the logarithm's offset matters too.
    """
    shape = (count, config.clip_samples)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    level = 0.3 * 10 ** (-3 * torch.arange(count) / max(1, count - 1))
    time = torch.arange(config.clip_samples) / config.sample_rate
    pitch = config.high_frequency * (torch.arange(count) + 1) / (count + 2)
    tones = torch.sin(2 * torch.pi * pitch[:, None] * time)
    return (level[:, None] * (noise + tones) + 0.01 * level[:, None]).clamp(-1, 1)


def check_parity(
    model: AudioClassifier, runner: OnnxClassifier, clips: Tensor | None, atol: float
) -> Parity:
    """Compare logits on ``clips`` (n, 1, n_mels, n_frames), or on noise when there are none.

    An input in the middle between two levels of a grid may be rounded either way by another
    runtime. A model with rounded inputs is therefore held to ``atol`` by its median clip, and to
    ``STEP`` by every other one.

    ``model`` is on the CPU in eval mode. Every clip goes through in batches; the first ones also
    alone and by three, so that a batch size baked into the graph cannot hide.

    Raises:
        ParityError: If a logit differs by more than ``atol`` or is not finite; it names the first
            module that differs, when one can be told.
        ExportError: If the file does not run at one of the batch sizes.
    """
    takes_waveform = runner.input_name == WAVEFORM
    features, given = _comparison(model, takes_waveform, clips)
    rows = torch.arange(3) % len(features)
    with torch.inference_mode():
        batches = [*features.split(BATCH), features[rows[:1]], features[rows]]
        expected = torch.cat([model(batch) for batch in batches]).float()
    given_batches = [*given.split(BATCH), given[rows[:1]], given[rows]]
    got = torch.cat([_run(runner, batch) for batch in given_batches])
    by_clip = (got - expected).abs().amax(dim=1)
    worst = float(by_clip.max())
    rounds = bool((model.quantization or {}).get("inputs"))
    gap = float(by_clip.median()) if rounds and worst <= STEP else worst
    if not gap <= atol:
        where = (
            None if takes_waveform else first_difference(model, runner.path, features[rows], atol)
        )
        raise ParityError(
            f"The ONNX file differs from the model by {gap:.2e} in a logit (allowed {atol:g})"
            + (f", first in {where}" if where else "")
            + "; it was not kept. Check that the weights and clips are finite, or try another "
            "scan form."
        )
    same = got.argmax(1) == expected.argmax(1)
    return Parity(worst, float(same[: len(features)].float().mean()))


def _comparison(
    model: AudioClassifier, takes_waveform: bool, clips: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Features for torch, and what the file is given for them."""
    features = random_clips(model) if clips is None or len(clips) == 0 else clips.float().cpu()
    given = features
    if takes_waveform:
        given = random_waveforms(model.frontend)
        features = FrontEnd(model.frontend)(given).unsqueeze(1)
    if not torch.isfinite(given).all():
        raise ParityError(
            "The clips for the comparison hold NaN or infinity: nothing can be compared on them. "
            "Make the features again."
        )
    return features, given


def _run(runner: OnnxClassifier, batch: Tensor) -> Tensor:
    try:
        return runner.logits(batch)
    except RUN_ERRORS as error:
        raise ExportError(
            f"The ONNX file does not run on {len(batch)} clips at once: {one_line(error, 200)}."
        ) from error


def first_difference(model: nn.Module, path: Path, features: Tensor, atol: float) -> str | None:
    """The first layer whose output differs by more than ``atol``, relative to its largest value.

    Layers are the innermost modules that run once; a layer's output in the graph is that of the
    last node that carries its name. ``None`` if no such layer differs.
    """
    expected = _torch_outputs(model, features)
    graph = onnx.load(path)
    last = {node_scope(node.name): node.output[0] for node in graph.graph.node}
    shared = {name: last[scope(name)] for name in expected if last.get(scope(name))}
    known = {value.name for value in graph.graph.output}
    for value in dict.fromkeys(shared.values()):
        if value not in known:
            graph.graph.output.append(onnx.ValueInfoProto(name=value))
    got = open_session(graph.SerializeToString()).run(
        list(shared.values()), {INPUT: features.numpy()}
    )
    for (name, want), have in zip(((name, expected[name]) for name in shared), got, strict=True):
        have = _tokens_second(have, want)
        if want.shape == have.shape:
            gap = float(np.max(np.abs(want - have)))
            if not gap <= atol * max(1.0, float(np.max(np.abs(want)))):
                return f"the layer {name} (by {gap:.2e})"
    return None


def _tokens_second(have: np.ndarray, want: np.ndarray) -> np.ndarray:
    """An S6 student's graph has (L, batch, 1, channels) where torch has (batch, L, channels)."""
    if have.ndim == 4 and want.ndim == 3 and have.shape[2] == 1:
        return have[:, :, 0].swapaxes(0, 1)
    return have


def _torch_outputs(model: nn.Module, features: Tensor) -> dict[str, np.ndarray]:
    """Outputs of the innermost modules, in the order they ran."""
    outputs: dict[str, np.ndarray] = {}
    again: set[str] = set()

    def keep(name: str, output: Any) -> None:
        if name in outputs:
            again.add(name)
        elif isinstance(output, Tensor):
            outputs[name] = output.numpy()

    hooks = [
        module.register_forward_hook(lambda _m, _i, output, name=name: keep(name, output))
        for name, module in model.named_modules()
        if not any(module.children())
    ]
    try:
        with torch.inference_mode():
            model(features)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: output for name, output in outputs.items() if name not in again}
