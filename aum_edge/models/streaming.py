"""A causal student one token at a time, its state given and returned.

Feeding a clip step by step gives the logits of the whole clip: every causal convolution keeps the
inputs that its next output still needs, every scan its state, the pooling a sum, a maximum and a
count of tokens. Source of the recurrences: arXiv 2312.00752 (S6), arXiv 2405.21060 (SSD, sec. 3).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.errors import ExportError
from aum_edge.models.architectures.conv import ConvNorm
from aum_edge.models.architectures.mamba_student import MambaStudent, Mixer
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import MambaStudentConfig
from aum_edge.models.quantized import float_weight, rounded_input
from aum_edge.ssm.layers import softplus
from aum_edge.ssm.mixers.gated_conv import GatedConvMixer
from aum_edge.ssm.mixers.s6 import S6Mixer
from aum_edge.ssm.mixers.ssd import SSDMixer

State = tuple[Tensor, ...]


class StreamingStudent(nn.Module):
    """Frames (B, 1, n_mels, S) and the state to logits (B, n_classes) and the new state.

    A token is S = ``time_stride`` frames, and the first one needs one alone: the first step's
    first S - 1 frames are not looked at. Frame t of a clip is therefore frame (t + S - 1) mod S of
    step (t + S - 1) div S. A rest of less than S frames makes no token, as in the whole clip.

    Raises:
        ExportError: If the model is not a student in one direction.
    """

    def __init__(self, model: AudioClassifier) -> None:
        super().__init__()
        config = model.backbone.config
        if not isinstance(model.backbone, MambaStudent) or not isinstance(
            config, MambaStudentConfig
        ):
            raise ExportError(f"Only a student streams, this is a {type(model.backbone).__name__}.")
        if config.bidirectional:
            raise ExportError(
                "A student in both directions needs the whole clip: train one with "
                "`bidirectional: false`, such as the preset student-ssd-causal."
            )
        if model.frontend.whole_clip:
            raise ExportError(
                "The model's front end has `range_db` or `clip_mean` and must hear the whole clip: "
                "train a streaming model without them."
            )
        if config.frequency_groups > 1:
            raise ExportError(
                f"A student with `frequency_groups: {config.frequency_groups}` has several tokens "
                "a step and cannot stream: train one with a single group."
            )
        self.backbone = model.backbone
        self.normalization = model.normalization
        self.config = config

    @property
    def convs(self) -> list[ConvNorm]:
        """The stem's causal convolutions."""
        return [block for block in self.backbone.stem.convs if isinstance(block, ConvNorm)]

    @property
    def frames(self) -> int:
        """Frames of a step."""
        return self.config.time_stride

    @property
    def mixers(self) -> list[Mixer]:
        """The mixer of each block."""
        found = [block.get_submodule("mixer") for block in self.backbone.blocks]
        return [mixer for mixer in found if isinstance(mixer, Mixer)]

    @property
    def pooled(self) -> tuple[str, ...]:
        """What pooling keeps beside the count of tokens."""
        kept = {"mean": ("sum",), "max": ("max",), "mean-max": ("sum", "max"), "last": ()}
        return kept[self.config.pooling]

    def initial_state(self, batch: int = 1) -> dict[str, Tensor]:
        """Zeros by name, in the order that :meth:`forward` takes and returns them."""
        state = {}
        height = self.config.n_mels
        for index, block in enumerate(self.convs):
            inputs, kernel, stride = _sizes(block)
            state[f"stem.{index}"] = torch.zeros(batch, inputs, height, kernel[1] - stride[1])
            height = -(-height // stride[0])
        for index, mixer in enumerate(self.mixers):
            channels = mixer.conv1d.weight.shape[0]
            state[f"blocks.{index}.conv1d"] = torch.zeros(batch, mixer.conv1d.reach, channels)
            if not isinstance(mixer, GatedConvMixer):
                state[f"blocks.{index}.scan"] = torch.zeros(batch, mixer.d_inner, mixer.d_state)
        state |= {name: torch.zeros(batch, self.config.d_model) for name in self.pooled}
        state["count"] = torch.zeros(batch, 1)
        return state

    def forward(self, frames: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """One token: ``(logits, *new state)``."""
        *rest, count = state
        seen = (count > 0).to(frames.dtype).view(-1, 1, 1, 1)
        x = (frames - self.normalization.mean) * (1 / self.normalization.scale)
        after: list[Tensor] = []
        x = _unless_first(x, seen, self.frames - 1)
        for conv_block in self.convs:
            x = torch.cat([rest.pop(0), x], dim=3)
            _, kernel, stride = _sizes(conv_block)
            after.append(x[..., x.shape[3] - (kernel[1] - stride[1]) :])
            x = _unless_first(nn.Sequential.forward(conv_block, x), seen, 1)
        token = self.backbone.stem.fold(x).squeeze(2).transpose(1, 2)
        for block, mixer in zip(self.backbone.blocks, self.mixers, strict=True):
            held = 1 if isinstance(mixer, GatedConvMixer) else 2
            y, kept = _mix(mixer, block.get_submodule("norm")(token), rest[:held])
            token, rest = token + y, rest[held:]
            after += kept
        token = self.backbone.norm_f(token).squeeze(1)
        count = count + 1
        kept = self._gather(token, rest, seen.flatten(1))
        logits = self.backbone.head(self._pool(token, kept, count))
        return (logits, *after, *kept, count)

    def _gather(self, token: Tensor, held: list[Tensor], seen: Tensor) -> list[Tensor]:
        """The sum and the maximum of all tokens so far, as far as the pooling needs them."""
        kept = []
        for name, value in zip(self.pooled, held, strict=True):
            highest = torch.maximum(value, token) * seen + token * (1 - seen)
            kept.append(value + token if name == "sum" else highest)
        return kept

    def _pool(self, token: Tensor, kept: list[Tensor], count: Tensor) -> Tensor:
        """The tokens so far (B, d_model) as the whole clip's pooling has them."""
        values = dict(zip(self.pooled, kept, strict=True))
        if not values:
            return token
        if "sum" not in values:
            return values["max"]
        mean = values["sum"] / count
        return mean + values["max"] if "max" in values else mean


def _unless_first(x: Tensor, seen: Tensor, ahead: int) -> Tensor:
    """Zeros in place of what lies before the clip: the first ``ahead`` columns of a first step."""
    if not ahead or x.shape[3] <= ahead:
        return x
    return torch.cat([x[..., :ahead] * seen, x[..., ahead:]], dim=3)


def _sizes(block: ConvNorm) -> tuple[int, tuple[int, int], tuple[int, int]]:
    """Input channels, kernel and stride of a block's convolution."""
    layer: Any = block[0]
    inputs = layer.weight.shape[1] * layer.groups
    return inputs, tuple(layer.weight.shape[2:]), tuple(layer.stride)


def _mix(mixer: Mixer, x: Tensor, held: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """One token (B, 1, d_model) through a mixer: output; convolution's inputs and scan state."""
    if isinstance(mixer, SSDMixer):
        mixed = mixer.d_inner + 2 * mixer.d_state
        z, rows, dt = mixer.in_proj(x).split([mixer.d_inner, mixed, mixer.heads], dim=-1)
        rows, conv = _convolve(mixer, rows, held[0])
        y, scan = _ssd(mixer, rows.squeeze(1), dt.squeeze(1), held[1])
        kept = [conv, scan]
    else:
        u, z = mixer.in_proj(x).split([mixer.d_inner, mixer.d_inner], dim=-1)
        v, conv = _convolve(mixer, u, held[0])
        y, kept = v.squeeze(1), [conv]
        if isinstance(mixer, S6Mixer):
            y, scan = _s6(mixer, y, held[1])
            kept.append(scan)
    return mixer.out_proj(mixer.norm(y.unsqueeze(1) * F.silu(z))), kept


def _convolve(mixer: Mixer, row: Tensor, conv: Tensor) -> tuple[Tensor, Tensor]:
    """The depthwise convolution's one output, and the inputs that the next one needs."""
    rows = torch.cat([conv, row], dim=1)
    weight, bias = float_weight(mixer.conv1d), mixer.conv1d.get_parameter("bias")
    heard = rounded_input(mixer.conv1d, rows).transpose(1, 2)
    out = F.conv1d(heard, weight, bias, groups=rows.shape[2])
    return F.silu(out.transpose(1, 2)), rows[:, 1:]


def _s6(mixer: S6Mixer, v: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """State = exp(delta A) state + delta B v; y = C state + D v. v (B, E), state (B, E, N)."""
    dt, B, C = mixer.x_proj(v).split([mixer.dt_rank, mixer.d_state, mixer.d_state], dim=-1)
    delta = softplus(mixer.dt_proj(dt))
    decay = torch.exp(delta.unsqueeze(2) * -torch.exp(mixer.A_log))
    state = decay * state + (delta * v).unsqueeze(2) * B.unsqueeze(1)
    y = torch.matmul(state, C.unsqueeze(2)).squeeze(2)
    return y + mixer.D * v, state


def _ssd(mixer: SSDMixer, rows: Tensor, dt: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """The same with one decay a head; rows (B, E + 2 N), dt (B, H), state (B, E, N)."""
    u, B, C = rows.split([mixer.d_inner, mixer.d_state, mixer.d_state], dim=-1)
    delta = softplus(dt + mixer.dt_bias[0])
    width = mixer.head_dim
    decay = torch.exp(delta * -torch.exp(mixer.A_log[0])).repeat_interleave(width, dim=1)
    push = delta.repeat_interleave(width, dim=1) * u
    state = decay.unsqueeze(2) * state + push.unsqueeze(2) * B.unsqueeze(1)
    y = torch.matmul(state, C.unsqueeze(2)).squeeze(2)
    return y + mixer.D.repeat_interleave(width) * u, state
