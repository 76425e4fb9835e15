"""One stored model: counted in the types it is stored in, computed in float32."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.models.quantized import replace_layer
from aum_edge.submission.runtime.architecture import backbone, onnx_network
from aum_edge.submission.runtime.scenes import scene_order

CONFIG, WEIGHTS, GRAPH = "config.json", "model.safetensors", "model.onnx"
ONNX = "onnx"
COUNTERS = "num_batches_tracked"


class StoredNetwork(nn.Module):
    """Features (B, 1, n_mels, n_frames), not normalised, to logits (B, 10) in the scenes' order.

    Its parameters are those of the stored model in their stored types, so the official script
    counts their bytes as they are. What is stored in 16 bit is widened for computing: a copy in
    float32 that is no part of the module is made when it is first used. A module all in float32,
    as the script makes it to count MACs, computes by itself.
    """

    def __init__(
        self,
        network: nn.Module,
        frontend: FrontEndConfig,
        normalization: Normalization,
        order: list[int],
    ) -> None:
        super().__init__()
        self.network = network
        self.frontend = frontend
        self.normalization = normalization
        self.order = order
        self._wide: list[nn.Module] = []

    def forward(self, features: Tensor) -> Tensor:
        """Normalise and classify."""
        gain = 1 / self.normalization.scale
        logits = self._computing()((features.float() - self.normalization.mean) * gain)
        return logits if self.order == sorted(self.order) else logits[:, self.order]

    def _computing(self) -> nn.Module:
        if not any(p.dtype in (torch.float16, torch.bfloat16) for p in self.network.parameters()):
            return self.network
        if not self._wide:
            self._wide.append(copy.deepcopy(self.network).float())
        return self._wide[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or cast; the copy is made anew from what that gives."""
        super()._apply(fn, recurse)
        self._wide = []
        return self


def load_network(folder: Path) -> StoredNetwork:
    """A model directory, or an ``onnx`` one: a config.json with a graph beside it.

    Raises:
        ValueError: If its classes are not the ten scenes, or tensors are missing or unexpected.
        OSError: If a file is missing.
    """
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    normalization = Normalization(**config["normalization"])
    if config["architecture"] == ONNX:
        # The graph normalises by itself.
        network, normalization = onnx_network(folder / GRAPH), Normalization()
    else:
        network = _filled(config, folder / WEIGHTS)
    frontend = FrontEndConfig(**config["frontend"])
    order = scene_order(config["labels"])
    return StoredNetwork(network, frontend, normalization, order).eval()


def _filled(config: dict[str, Any], path: Path) -> nn.Module:
    """The network with its weights, 16-bit tensors as such."""
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config["model"].items()}
    with torch.random.fork_rng(devices=[]):
        network = backbone(config["architecture"], values)
    quantization = config["quantization"] or {}
    rounded = set(quantization.get("inputs", ()))
    for name in quantization.get("layers", ()):
        replace_layer(network, name, name in rounded)
    tensors = load_file(path)
    result = network.load_state_dict(tensors, strict=False)
    lacking = [name for name in result.missing_keys if not name.endswith(COUNTERS)]
    if lacking or result.unexpected_keys:
        raise ValueError(
            f"{path} does not fit its {CONFIG}: it lacks {lacking[:3]} and has "
            f"{result.unexpected_keys[:3]} too many"
        )
    for name, parameter in network.named_parameters():
        if tensors[name].dtype == torch.float16:
            parameter.data = tensors[name]
    return network.requires_grad_(False)
