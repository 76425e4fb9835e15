"""The small Mamba: a convolutional stem folds frequency into channels, few time tokens follow."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aum_edge.models.config import MambaStudentConfig
from aum_edge.models.conv import ConvNorm
from aum_edge.ssm.norm import RMSNorm
from aum_edge.ssm.student_mixer import S6Mixer, SSDMixer


class Stem(nn.Module):
    """Spectrogram (B, 1, F, T) to tokens (B, ceil(T/4), d_model).

    Three strided convolutions take frequency to an eighth and time to a quarter; the last one
    spans the whole remaining frequency axis.
    """

    def __init__(self, config: MambaStudentConfig) -> None:
        super().__init__()
        first, second = config.stem_channels
        causal, folded = not config.bidirectional, config.folded
        self.convs = nn.Sequential(
            ConvNorm(1, first, (3, 3), stride=(2, 2), causal=causal, folded=folded),
            ConvNorm(first, second, (3, 3), stride=(2, 1), causal=causal, folded=folded),
            ConvNorm(
                second,
                second,
                (3, 3),
                stride=(2, 2),
                groups=second,
                activation=False,
                causal=causal,
                folded=folded,
            ),
        )
        self.fold = nn.Conv2d(second, config.d_model, (-(-config.n_mels // 8), 1))

    def forward(self, x: Tensor) -> Tensor:
        """Make tokens."""
        return self.fold(self.convs(x)).squeeze(2).transpose(1, 2)


class StudentBlock(nn.Module):
    """x + mixer(norm(x))."""

    def __init__(self, config: MambaStudentConfig, index: int) -> None:
        super().__init__()
        self.norm = RMSNorm(config.d_model)
        sizes = {
            "d_inner": config.block_inner[index],
            "d_state": config.block_states[index],
            "d_conv": config.d_conv,
        }
        self.mixer: SSDMixer | S6Mixer
        if config.mixer == "ssd":
            self.mixer = SSDMixer(
                config.d_model,
                **sizes,
                bidirectional=config.bidirectional,
                head_dim=config.head_dim,
            )
        else:
            self.mixer = S6Mixer(
                config.d_model,
                **sizes,
                bidirectional=config.bidirectional,
                dt_rank=config.block_dt_ranks[index],
            )
        # eps belongs to the mean over the nominal width: a pruned block, whose mean is over fewer
        # channels, then still computes what the whole block computed with those channels at zero.
        self.mixer.norm.eps *= config.expand * config.d_model / config.block_inner[index]

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens (B, L, d_model)."""
        return x + self.mixer(self.norm(x))


class MambaStudent(nn.Module):
    """Log-mel (B, 1, n_mels, n_frames) to logits (B, n_classes)."""

    def __init__(self, config: MambaStudentConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = Stem(config)
        self.blocks = nn.ModuleList(StudentBlock(config, i) for i in range(config.depth))
        self.norm_f = RMSNorm(config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.d_model, config.n_classes)

    def features(self, x: Tensor) -> Tensor:
        """What enters the head: the mean token (B, d_model)."""
        tokens = self.stem(x)
        for block in self.blocks:
            tokens = block(tokens)
        return torch.mean(self.norm_f(tokens), dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Classify."""
        return self.head(self.dropout(self.features(x)))
