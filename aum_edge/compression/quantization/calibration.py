"""Calibration clips: drawn by a seed and checked, and the layers' inputs on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aum_edge.compression.quantization.config import CalibrationConfig
from aum_edge.compression.quantization.rounding import input_grid, input_range
from aum_edge.errors import CompressionError
from aum_edge.models.classifier import AudioClassifier

SAMPLES = 1 << 16
"""Values of one layer's input that its range is made from; the extremes are always among them."""
BATCH = 32


@dataclass(frozen=True)
class Calibration:
    """Raw features (n, 1, n_mels, n_frames) of training clips, and which rows they are.

    Raises:
        CompressionError: If there are none, they hold NaN, or all values are one and the same.
    """

    features: Tensor
    rows: tuple[int, ...] = ()
    """Of the training split; empty where the clips come from elsewhere."""
    labels: Tensor | None = None
    """Class indices (n,), for accuracies."""

    def __post_init__(self) -> None:
        check_features(self.features)

    def record(self, config: CalibrationConfig) -> dict[str, Any]:
        """What is stored with a model: method and clip numbers, so that it can be repeated."""
        method: dict[str, Any] = {"method": config.method}
        if config.method == "percentile":
            method["percentile"] = config.percentile
        return {**method, "split": "train", "clips": len(self.features), "rows": list(self.rows)}


def check_features(features: Tensor) -> None:
    """Refuse clips that no range can be learnt from.

    Raises:
        CompressionError: If there are none, they hold NaN, or all values are one and the same.
    """
    if features.numel() == 0:
        raise CompressionError("The calibration set is empty; give about 100 training clips.")
    if not torch.isfinite(features).all():
        raise CompressionError("The calibration set holds NaN or infinity; check those clips.")
    if features.min() == features.max():
        raise CompressionError(
            f"Every value of the calibration set is {float(features.flatten()[0]):g}: ranges "
            "cannot be learnt from constant clips; give real training clips."
        )


def draw(features: np.ndarray, labels: np.ndarray | None, count: int, seed: int) -> Calibration:
    """``count`` clips of the training split, the same ones for the same seed, in their order.

    Raises:
        CompressionError: As :class:`Calibration`.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(features))[:count])
    clips = torch.from_numpy(np.array(features[rows], dtype=np.float32)).unsqueeze(1)
    truth = None if labels is None else torch.from_numpy(np.asarray(labels)[rows])
    return Calibration(clips, tuple(int(row) for row in rows), truth)


@torch.no_grad()
def input_samples(
    model: AudioClassifier, names: Sequence[str], features: Tensor
) -> dict[str, Tensor]:
    """A sample of what each layer of the backbone takes in on these clips, by layer name."""
    kept: dict[str, list[Tensor]] = {name: [] for name in names}
    share = SAMPLES // max(1, -(-len(features) // BATCH))

    def watch(name: str) -> Any:
        def keep(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            values = args[0].flatten()
            step = -(-values.numel() // share)
            ends = torch.stack([values.min(), values.max()])
            kept[name].append(torch.cat([values[::step], ends]).float())

        return keep

    modules = {name: model.backbone.get_submodule(name) for name in names}
    handles = [module.register_forward_pre_hook(watch(n)) for n, module in modules.items()]
    try:
        for part in features.split(BATCH):
            model(part)
    finally:
        for handle in handles:
            handle.remove()
    return {name: torch.cat(parts) for name, parts in kept.items() if parts}


def input_grids(
    model: AudioClassifier, names: Sequence[str], clips: Calibration, config: CalibrationConfig
) -> dict[str, Tensor]:
    """(scale, zero point) for the input of each layer.

    Raises:
        CompressionError: If a layer takes in NaN, or every range is a single point.
    """
    samples = input_samples(model.eval(), names, clips.features)
    broken = [name for name, values in samples.items() if not torch.isfinite(values).all()]
    if broken:
        raise CompressionError(f"The input of {broken[0]} holds NaN or infinity; train again.")
    if samples and all(bool(values.min() == values.max()) for values in samples.values()):
        raise CompressionError(
            "Every activation is one constant on the calibration set: give real training clips."
        )
    return {
        name: input_grid(*input_range(values, config.method, config.percentile))
        for name, values in samples.items()
    }
