"""Audio classifier: a network with its front end, normalisation, labels and lineage."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.audio.frontend import front_end
from aum_edge.errors import AudioError, CheckpointError
from aum_edge.models.architectures.base import Backbone
from aum_edge.models.predict import AudioLabeller, Ranking, Sound
from aum_edge.models.quantized import refresh
from aum_edge.models.storage.directory import model_directory, save
from aum_edge.models.storage.hub import model_folder
from aum_edge.models.storage.read import read_parts

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

        The model must be in eval mode, as :func:`load` gives it.
        ``lengths`` (B,) are the samples of each clip that are no padding; None is all.

        Raises:
            AudioError: If the clips are of another length.
        """
        if waveform.ndim != 2 or waveform.shape[1] != self.frontend.clip_samples:
            raise AudioError(
                f"The model takes clips (batch, {self.frontend.clip_samples}), got "
                f"{tuple(waveform.shape)}: cut or pad them, as audio.clip.batch_clips does."
            )
        logits = self(front_end(self.frontend, waveform.device)(waveform, lengths).unsqueeze(1))
        return probabilities(logits, self.activation)

    def predict(
        self,
        audio: Sound | list[Sound] | tuple[Sound, ...],
        sample_rate: int | None = None,
        top_k: int | None = None,
    ) -> Ranking | list[Ranking]:
        """The ``top_k`` most probable (label, probability) pairs of a sound, or of each in a list.

        Args:
            audio: A path, or samples (n,) or (channels, n) within [-1, 1]; or a list of them.
                Longer audio is cut into clips, whose probabilities are averaged.
            sample_rate: Of the samples, Hz; a file says its own.
            top_k: How many labels; ``None`` is all.

        Raises:
            CheckpointError: If the model is an encoder without classes.
            AudioError: If a sound cannot be read or used.
        """
        if not self.labels:
            raise CheckpointError("This is an encoder without classes: fine-tune it first.")
        device, training = next(self.parameters(), torch.empty(0)).device, self.training

        def logits(clips: Tensor, lengths: Tensor) -> Tensor:
            features = front_end(self.frontend, device)(clips.to(device), lengths)
            return self(features.unsqueeze(1)).cpu()

        shares = partial(probabilities, activation=self.activation)
        try:
            self.eval()
            labeller = AudioLabeller(self.labels, self.frontend, logits, shares)
            return labeller.predict(audio, sample_rate, top_k)
        finally:
            self.train(training)

    @classmethod
    def from_pretrained(
        cls,
        name_or_dir: str | Path,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> AudioClassifier:
        """The model of a local folder, or of OWNER/NAME on a hub where there is no such folder.

        Arguments as in :func:`~aum_edge.models.storage.hub.model_folder`; the model as
        :func:`load` gives it.

        Raises:
            CheckpointError: If there is no such model, or its files are no model of aum-edge.
        """
        return load(model_folder(name_or_dir, revision, cache_dir, local_files_only))

    def save_pretrained(self, folder: str | Path, card: str | None = None) -> Path:
        """Write a model directory, which is also what a hub repository holds, and return its path.

        Raises:
            CheckpointError: If the folder holds something else than a model, or cannot be written.
        """
        save(self, folder, card)
        return Path(folder)

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


def load(folder: str | Path) -> AudioClassifier:
    """Read a model directory, ready to classify: in eval mode, on the CPU, in float32.

    Of a run directory it is the final model. The global random state is left as it was.

    Raises:
        CheckpointError: If the folder or a file is missing, truncated, of another architecture
            or format, or a tensor is missing, unexpected or of another shape or type.
    """
    parts = read_parts(model_directory(folder))
    model = AudioClassifier(
        parts.backbone,
        frontend=parts.frontend,
        normalization=parts.normalization,
        labels=parts.labels,
        lineage=parts.lineage,
        quantization=parts.quantization,
        activation=cast("Activation", parts.activation),
    )
    return model.eval()


def as_model(model: AudioClassifier | str | Path) -> AudioClassifier:
    """The model itself, or the one that a path names."""
    return load(model) if isinstance(model, str | Path) else model


from_pretrained = AudioClassifier.from_pretrained
"""The same as a function of the package."""
