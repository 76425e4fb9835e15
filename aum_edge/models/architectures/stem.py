"""The student's stem: a spectrogram to few tokens, whole or one step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.models.architectures.conv import ConvNorm
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.ssm.mixers.groups import Gate, Group, GroupMember, Key

TIME_STEPS = {4: (2, 1, 2), 2: (2, 1, 1), 1: (1, 1, 1)}
"""Strides in time of the three convolutions, by frames a token."""
MIN_STEM = 2


class Stem(nn.Module):
    """Spectrogram (B, 1, F, T) to tokens (B, ceil(T / time_stride) * frequency_groups, d_model).

    Three strided convolutions take frequency to an eighth, or none do (``patch``); ``fold`` spans
    each group of the rows that are left. Tokens of one time step are neighbours, lowest group
    first. Token t of a causal stem sees frames up to t * time_stride.
    """

    def __init__(self, config: MambaStudentConfig) -> None:
        super().__init__()
        self.config = config
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
        x = self.convs(x)  # (B, channels, rows, steps)
        x = self.fold(F.pad(x, self.padding) if sum(self.padding) else x)  # (B, D, groups, steps)
        if self.band is None:
            return x.squeeze(2).transpose(1, 2)  # (B, steps, D)
        rows = x.permute(0, 3, 2, 1) + self.band  # (B, steps, groups, D)
        return rows.flatten(1, 2)  # (B, steps * groups, D)

    @property
    def levels(self) -> list[ConvNorm]:
        """The strided convolutions; none of a patch stem."""
        return [block for block in self.convs if isinstance(block, ConvNorm)]

    def initial_state(self, batch: int = 1) -> dict[str, Tensor]:
        """Columns (B, channels, rows, kernel - stride) that each convolution needs again."""
        state, height = {}, self.config.n_mels
        for index, block in enumerate(self.levels):
            inputs, kernel, stride = _sizes(block)
            state[str(index)] = torch.zeros(batch, inputs, height, kernel[1] - stride[1])
            height = -(-height // stride[0])
        return state

    def step(
        self, x: Tensor, state: Mapping[str, Tensor], seen: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The one token (B, 1, D) of S frames (B, 1, F, S), and the columns kept after them.

        ``seen`` (B, 1, 1, 1) is 0 before the first token: columns before the clip are then zeros,
        as the whole clip's padding is.
        """
        after = {}
        x = _unless_first(x, seen, self.config.time_stride - 1)
        for index, block in enumerate(self.levels):
            x = torch.cat([state[str(index)], x], dim=3)  # (B, channels, rows, kept + columns)
            _, kernel, stride = _sizes(block)
            after[str(index)] = x[..., x.shape[3] - (kernel[1] - stride[1]) :]
            x = _unless_first(nn.Sequential.forward(block, x), seen, 1)
        return self.fold(x).squeeze(2).transpose(1, 2), after  # (B, 1, D)

    def width_members(self) -> tuple[GroupMember, ...]:
        """Slices of d_model."""
        members = [GroupMember(name="stem.fold", kind="out")]
        if self.band is not None:
            members.append(GroupMember(name="stem.band", kind="parameter", dim=1))
        return tuple(members)

    def pruning_groups(self) -> dict[Key, Group]:
        """Channels of the first and of the second convolution; the third is depthwise."""
        if self.config.stem != "conv":
            return {}
        first, second = self.config.stem_channels
        reader = GroupMember(name="stem.convs.1.0", kind="in")
        fold = GroupMember(name="stem.fold", kind="in")
        parts = (*self._convolution(1), *self._convolution(2))
        return {
            (0, "stem"): Group(
                dimension="stem",
                units=first,
                minimum=MIN_STEM,
                members=(*self._convolution(0), reader),
                gates=(Gate(module="stem.convs.1", side="in", axis=1),),
            ),
            (1, "stem"): Group(
                dimension="stem",
                units=second,
                minimum=MIN_STEM,
                members=(*parts, fold),
                gates=(Gate(module="stem.fold", side="in", axis=1),),
            ),
        }

    def _convolution(self, index: int) -> list[GroupMember]:
        """Rows of a convolution and of its batch norm, unless that is folded."""
        members = [GroupMember(name=f"stem.convs.{index}.0", kind="out")]
        if not self.config.folded:
            members.append(GroupMember(name=f"stem.convs.{index}.1", kind="out"))
        return members


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


def _sizes(block: ConvNorm) -> tuple[int, tuple[int, int], tuple[int, int]]:
    """Input channels, kernel and stride of a block's convolution, which may be int8."""
    layer: Any = block[0]
    inputs = layer.weight.shape[1] * layer.groups
    return inputs, tuple(layer.weight.shape[2:]), tuple(layer.stride)


def _unless_first(x: Tensor, seen: Tensor, ahead: int) -> Tensor:
    """Zeros in place of what lies before the clip: the first ``ahead`` columns of a first step."""
    if not ahead or x.shape[3] <= ahead:
        return x
    return torch.cat([x[..., :ahead] * seen, x[..., ahead:]], dim=3)
