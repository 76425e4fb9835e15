"""The small Mamba: a stem makes few tokens of a clip, gated mixers follow."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.models.architectures.conv import ConvNorm
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.ssm.layers import RMSNorm
from aum_edge.ssm.mixers.gated_conv import GatedConvMixer
from aum_edge.ssm.mixers.s6 import S6Mixer
from aum_edge.ssm.mixers.ssd import SSDMixer

TIME_STEPS = {4: (2, 1, 2), 2: (2, 1, 1), 1: (1, 1, 1)}
"""Strides in time of the three convolutions, by frames a token."""


class Stem(nn.Module):
    """Spectrogram (B, 1, F, T) to tokens (B, ceil(T / time_stride) * frequency_groups, d_model).

    Three strided convolutions take frequency to an eighth, or none do (``patch``); ``fold`` spans
    each group of the rows that are left. Tokens of one time step are neighbours, lowest group
    first. Token t of a causal stem sees frames up to t * time_stride.
    """

    def __init__(self, config: MambaStudentConfig) -> None:
        super().__init__()
        self.convs = nn.Sequential(*(_convs(config) if config.stem == "conv" else ()))
        patch = config.stem == "patch"
        inputs = 1 if patch else config.stem_channels[1]
        steps = config.time_stride if patch else 1
        height = config.rows // config.frequency_groups
        self.fold = nn.Conv2d(inputs, config.d_model, (height, steps), (height, steps))
        ahead = steps - 1
        self.reach = ahead if not config.bidirectional else ahead // 2
        self.padding = (self.reach, ahead - self.reach)
        self.band: nn.Parameter | None = None
        if config.frequency_groups > 1:
            band = torch.empty(config.frequency_groups, config.d_model)
            self.band = nn.Parameter(nn.init.trunc_normal_(band, std=0.02))

    def forward(self, x: Tensor) -> Tensor:
        """Make tokens."""
        x = self.convs(x)
        x = self.fold(F.pad(x, self.padding) if sum(self.padding) else x)
        if self.band is None:
            return x.squeeze(2).transpose(1, 2)
        return (x.permute(0, 3, 2, 1) + self.band).flatten(1, 2)


def _convs(config: MambaStudentConfig) -> list[ConvNorm]:
    first, second = config.stem_channels
    steps = TIME_STEPS[config.time_stride]
    causal, folded = not config.bidirectional, config.folded
    return [
        ConvNorm(1, first, (3, 3), stride=(2, steps[0]), causal=causal, folded=folded),
        ConvNorm(first, second, (3, 3), stride=(2, steps[1]), causal=causal, folded=folded),
        ConvNorm(
            second,
            second,
            (3, 3),
            stride=(2, steps[2]),
            groups=second,
            activation=False,
            causal=causal,
            folded=folded,
        ),
    ]


Mixer = S6Mixer | SSDMixer | GatedConvMixer


class StudentBlock(nn.Module):
    """x + mixer(norm(x))."""

    def __init__(self, config: MambaStudentConfig, index: int) -> None:
        super().__init__()
        self.norm = make_norm(config)
        self.mixer = make_mixer(config, index)
        # eps belongs to the mean over the nominal width: a pruned block, whose mean is over fewer
        # channels, then still computes what the whole block computed with those channels at zero.
        self.mixer.norm.eps *= config.expand * config.nominal_width / config.block_inner[index]

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens (B, L, d_model)."""
        return x + self.mixer(self.norm(x))


def make_norm(config: MambaStudentConfig) -> nn.Module:
    """The norm over d_model channels."""
    if config.norm == "layer":
        return nn.LayerNorm(config.d_model)
    norm = RMSNorm(config.d_model)
    norm.eps *= config.nominal_width / config.d_model
    return norm


def make_mixer(config: MambaStudentConfig, index: int) -> Mixer:
    """The mixer of one block."""
    sizes: dict[str, Any] = {"d_inner": config.block_inner[index], "d_conv": config.d_conv}
    causal = not config.bidirectional
    if config.mixer == "none":
        return GatedConvMixer(config.d_model, **sizes, causal=causal)
    sizes |= {
        "d_state": config.block_states[index],
        "bidirectional": config.bidirectional,
        "directions": config.block_directions[index],
        "separate": config.sharing == "separate",
    }
    if config.mixer == "ssd":
        return SSDMixer(config.d_model, **sizes, head_dim=config.head_dim)
    return S6Mixer(config.d_model, **sizes, dt_rank=config.block_dt_ranks[index])


class MambaStudent(nn.Module):
    """Log-mel (B, 1, n_mels, n_frames) to logits (B, n_classes)."""

    def __init__(self, config: MambaStudentConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = Stem(config)
        self.blocks = nn.ModuleList(StudentBlock(config, i) for i in range(config.depth))
        self.norm_f = make_norm(config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.d_model, config.n_classes)

    def features(self, x: Tensor) -> Tensor:
        """What enters the head: the pooled tokens (B, d_model)."""
        tokens = self.stem(x)
        for block in self.blocks:
            tokens = block(tokens)
        return self.pool(self.norm_f(tokens))

    def pool(self, tokens: Tensor) -> Tensor:
        """(B, L, d_model) to (B, d_model), as ``pooling`` says."""
        pooling = self.config.pooling
        if pooling == "last":
            return tokens[:, -1]
        if pooling == "max":
            return tokens.amax(dim=1)
        mean = torch.mean(tokens, dim=1)
        return mean + tokens.amax(dim=1) if pooling == "mean-max" else mean

    def forward(self, x: Tensor) -> Tensor:
        """Classify."""
        return self.head(self.dropout(self.features(x)))
