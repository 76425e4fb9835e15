"""A network with all it needs to be used: front end, normalisation, labels, where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.audio.frontend import FrontEnd
from aum_edge.errors import AudioError, CheckpointError
from aum_edge.models.quantized import refresh
from aum_edge.models.registry import Backbone

Activation = Literal["softmax", "sigmoid"]


def probabilities(logits: Tensor, activation: Activation) -> Tensor:
    """Logits (..., n_classes) to probabilities, by softmax or one by one."""
    return torch.sigmoid(logits) if activation == "sigmoid" else torch.softmax(logits, dim=-1)


class AudioClassifier(nn.Module):
    """Raw log-mel features (B, 1, n_mels, n_frames) to logits (B, n_classes).

    Normalisation is part of the model, so features are never normalised twice or forgotten, in
    torch or in ONNX.

    Args:
        backbone: The network; it says in its config what features it takes.
        frontend: How audio becomes those features.
        normalization: Of the features, over the training clips.
        labels: Class names in the order of the logits.
        lineage: What was done to the model, oldest first; each step as plain JSON values.
        quantization: Which layers hold int8 weights and which tensors are stored as float16.
        activation: What makes probabilities of logits: softmax over the classes, or a sigmoid for
            each where a clip may have several labels.

    Raises:
        CheckpointError: If the network takes other features or gives other classes than
            ``frontend`` and ``labels`` say, or a label comes twice.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        frontend: FrontEndConfig,
        normalization: Normalization,
        labels: tuple[str, ...],
        lineage: tuple[dict[str, Any], ...] = (),
        quantization: dict[str, Any] | None = None,
        activation: Activation = "softmax",
    ) -> None:
        super().__init__()
        if activation not in get_args(Activation):
            raise CheckpointError(
                f"`activation` must be one of {', '.join(get_args(Activation))}, "
                f"got {activation!r}."
            )
        config = backbone.config
        shape = (config.n_mels, config.n_frames)
        if shape != (frontend.n_mels, frontend.n_frames):
            raise CheckpointError(
                f"The network takes {shape[0]} mels by {shape[1]} frames, its front end gives "
                f"{frontend.n_mels} by {frontend.n_frames}: build it for this front end."
            )
        if config.n_classes != len(labels) or len(set(labels)) != len(labels):
            raise CheckpointError(
                f"The network has {config.n_classes} classes, it needs as many different labels; "
                f"got {list(labels)}."
            )
        refresh(backbone)
        self.backbone = backbone
        self.frontend = frontend
        self.normalization = normalization
        self.labels = tuple(labels)
        self.lineage = tuple(lineage)
        self.quantization = quantization
        self.activation: Activation = activation

    def forward(self, features: Tensor) -> Tensor:
        """Normalise and classify."""
        gain = 1 / self.normalization.scale
        return self.backbone((features - self.normalization.mean) * gain)

    @torch.inference_mode()
    def predict_waveform(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Probabilities (B, n_classes) of clips (B, clip_samples) at the front end's rate.

        The model must be in eval mode, as :func:`~aum_edge.models.storage.directory.load` gives it.
        ``lengths`` (B,) are the samples of each clip that are no padding; None is all.

        Raises:
            AudioError: If the clips are of another length.
        """
        if waveform.ndim != 2 or waveform.shape[1] != self.frontend.clip_samples:
            raise AudioError(
                f"The model takes clips (batch, {self.frontend.clip_samples}), got "
                f"{tuple(waveform.shape)}: cut or pad them, as audio.load.load_clip does."
            )
        front_end = FrontEnd(self.frontend).to(waveform.device)
        logits = self(front_end(waveform, lengths).unsqueeze(1))
        return probabilities(logits, self.activation)

    def predict(self, audio: str | Path | Sequence[str | Path], top_k: int | None = None) -> Any:
        """Labels of audio files, see :func:`aum_edge.api.prediction.predict`."""
        return import_module("aum_edge").predict(self, audio, top_k=top_k)

    @classmethod
    def from_pretrained(
        cls,
        name_or_dir: str | Path,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> AudioClassifier:
        """:func:`~aum_edge.models.storage.hub.from_pretrained`: a model directory or a hub name."""
        hub = import_module("aum_edge.models.storage.hub")
        return hub.from_pretrained(name_or_dir, revision, cache_dir, local_files_only)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a model directory, as :func:`~aum_edge.models.storage.directory.save` does."""
        import_module("aum_edge.models.storage.hub").save_pretrained(self, folder)

    def example_input(self, batch: int = 1) -> Tensor:
        """Zeros in the shape of ``batch`` clips' features."""
        return torch.zeros(batch, 1, self.frontend.n_mels, self.frontend.n_frames)

    def with_backbone(
        self,
        backbone: Backbone,
        step: dict[str, Any],
        quantization: dict[str, Any] | None = None,
    ) -> AudioClassifier:
        """The same classifier around another network; ``step`` joins its lineage if it has words.

        ``quantization`` describes the new network, the old one's is not taken over.
        """
        return AudioClassifier(
            backbone,
            frontend=self.frontend,
            normalization=self.normalization,
            labels=self.labels,
            lineage=(*self.lineage, step) if step else self.lineage,
            quantization=quantization,
            activation=self.activation,
        ).train(self.training)
