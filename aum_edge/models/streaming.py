"""A causal classifier one token at a time, its state given and returned.

Feeding a clip step by step gives the logits of the whole clip: every causal convolution keeps the
inputs that its next output still needs, every scan its state, the pooling a sum, a maximum and a
count of tokens.
"""

from __future__ import annotations

from torch import Tensor, nn

from aum_edge.errors import ExportError
from aum_edge.models.architectures.base import State, StreamableBackbone
from aum_edge.models.classifier import AudioClassifier


class StreamingStudent(nn.Module):
    """Frames (B, 1, n_mels, S) and the state to logits (B, n_classes) and the new state.

    A token is S frames, and the first one needs one alone: the first step's first S - 1 frames are
    not looked at. Frame t of a clip is therefore frame (t + S - 1) mod S of step (t + S - 1) div S.
    A rest of less than S frames makes no token, as in the whole clip.

    Raises:
        ExportError: If the network has no step form or is not causal, or the front end needs
            the whole clip.
    """

    def __init__(self, model: AudioClassifier) -> None:
        super().__init__()
        backbone = model.backbone
        refusal = backbone.stream_refusal()
        if refusal or not isinstance(backbone, StreamableBackbone):
            raise ExportError(refusal)
        if model.frontend.whole_clip:
            raise ExportError(
                "The model's front end has `range_db` or `clip_mean` and must hear the whole clip: "
                "train a streaming model without them."
            )
        self.backbone = backbone
        self.normalization = model.normalization
        self.config = backbone.config
        self.names = tuple(backbone.initial_state())

    @property
    def frames(self) -> int:
        """Frames of a step."""
        return self.backbone.step_frames

    def initial_state(self, batch: int = 1) -> State:
        """Zeros by name, in the order that :meth:`forward` takes and returns them."""
        return self.backbone.initial_state(batch)

    def forward(self, frames: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """One step: ``(logits, *new state)``."""
        x = (frames - self.normalization.mean) * (1 / self.normalization.scale)
        logits, after = self.backbone.step(x, dict(zip(self.names, state, strict=True)))
        return (logits, *(after[name] for name in self.names))
