"""The small Mamba: a stem makes few tokens of a clip, gated mixers follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from aum_edge.models.architectures.base import (
    NetworkParts,
    State,
    StreamableBackbone,
    first_output,
)
from aum_edge.models.architectures.prunable import PrunableBackbone, Sizes, block_sizes
from aum_edge.models.architectures.stem import Stem
from aum_edge.models.registry import Factory, register_architecture
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.ssm.layers import RMSNorm
from aum_edge.ssm.mixers.base import StudentMixer
from aum_edge.ssm.mixers.groups import Group, GroupMember, Key
from aum_edge.ssm.mixers.registry import student_mixer

PRESETS: dict[str, Factory] = {
    "student-ssd": partial(MambaStudentConfig),
    "student-s6": partial(MambaStudentConfig, mixer="s6", d_state=8),
    "student-ssd-64k": partial(MambaStudentConfig, depth=3, d_state=8, stem_channels=(8, 8)),
    "student-ssd-causal": partial(MambaStudentConfig, bidirectional=False),
    "student-noscan": partial(
        MambaStudentConfig, mixer="none", d_conv=7, inner=(110, 110, 110, 110)
    ),
    "student-ssd-tiny": partial(
        MambaStudentConfig, d_model=24, depth=2, d_state=8, stem_channels=(4, 8)
    ),
}
POOLED = {"mean": ("sum",), "max": ("max",), "mean-max": ("sum", "max"), "last": ()}
"""What a stream keeps of its tokens for each pooling, beside their count."""


class StudentBlock(nn.Module):
    """x + mixer(norm(x))."""

    def __init__(self, config: MambaStudentConfig, index: int) -> None:
        super().__init__()
        self.norm = make_norm(config)
        sizes = config.mixer_sizes[index]
        self.mixer: StudentMixer = student_mixer(config.mixer).from_sizes(sizes)
        norm = getattr(self.mixer, "norm", None)
        if isinstance(norm, RMSNorm):
            # eps belongs to the mean over the nominal width: a pruned block, whose mean is over
            # fewer channels, then computes what the whole block did with those channels at zero.
            norm.eps *= config.expand * config.nominal_width / sizes.d_inner

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


@register_architecture("mamba_student", MambaStudentConfig, role="student", presets=PRESETS)
class MambaStudent(PrunableBackbone, StreamableBackbone):
    """Log-mel (B, 1, n_mels, n_frames) to logits (B, n_classes)."""

    blocks_name: ClassVar[str] = "blocks"
    any_length: ClassVar[bool] = True

    def __init__(self, config: MambaStudentConfig) -> None:
        super().__init__()
        self.config: MambaStudentConfig = config
        self.stem = Stem(config)
        self.blocks = nn.ModuleList(StudentBlock(config, i) for i in range(config.depth))
        self.norm_f = make_norm(config)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.d_model, config.n_classes)

    def features(self, x: Tensor) -> Tensor:
        """What enters the head: the pooled tokens (B, d_model)."""
        tokens = self.stem(x)  # (B, L, d_model)
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

    def parts(self) -> NetworkParts:
        """Blocks, final norm and head."""
        return NetworkParts(tuple(self.blocks), (self.norm_f,), self.head)

    def block_tokens(self, outputs: list[Any]) -> Tensor:
        """Tokens of each time step averaged over its frequency groups."""
        tokens = first_output(outputs)  # (B, T * groups, d_model)
        return tokens.unflatten(1, (-1, self.config.frequency_groups)).mean(dim=2)

    def width_members(self) -> tuple[GroupMember, ...]:
        """The stem writes the first tokens."""
        return self.stem.width_members()

    def network_groups(self) -> dict[Key, Group]:
        """The stem's channels."""
        return self.stem.pruning_groups()

    def resized(
        self, sizes: Sizes, blocks: Sequence[int], directions: Sequence[str]
    ) -> MambaStudentConfig:
        """The config of a pruned student; its norms still take the mean over the nominal width."""
        config, changes = self.config, block_sizes(sizes, blocks)
        narrower = changes["d_model"] < config.nominal_width
        changes["width"] = config.nominal_width if narrower else config.width
        if (0, "stem") in sizes:
            changes["stem_channels"] = (sizes[0, "stem"], sizes[1, "stem"])
        if (0, "head_dim") in sizes:
            changes["head_dim"] = sizes[0, "head_dim"]
        if config.bidirectional and student_mixer(config.mixer).scans:
            changes["directions"] = tuple(directions) if set(directions) != {"both"} else None
        return replace(config, **changes)

    def stream_refusal(self) -> str:
        """A stream is causal and has one token a step."""
        if self.config.bidirectional:
            return (
                "A student in both directions needs the whole clip: train one with "
                "`bidirectional: false`, such as the preset student-ssd-causal."
            )
        if self.config.frequency_groups > 1:
            return (
                f"A student with `frequency_groups: {self.config.frequency_groups}` has several "
                "tokens a step and cannot stream: train one with a single group."
            )
        return ""

    @property
    def step_frames(self) -> int:
        """Frames of a token."""
        return self.config.time_stride

    def initial_state(self, batch: int = 1) -> State:
        """Columns of the stem, the mixers' states, what pooling keeps, and the count of tokens."""
        state = {f"stem.{name}": t for name, t in self.stem.initial_state(batch).items()}
        for index, mixer in enumerate(self._student_mixers):
            kept = mixer.initial_state(batch)
            state |= {f"blocks.{index}.{name}": tensor for name, tensor in kept.items()}
        for name in POOLED[self.config.pooling]:
            state[name] = torch.zeros(batch, self.config.d_model)
        return state | {"count": torch.zeros(batch, 1)}

    def step(self, frames: Tensor, state: Mapping[str, Tensor]) -> tuple[Tensor, State]:
        """One token: logits of all tokens so far, and the state after it."""
        seen = (state["count"] > 0).to(frames.dtype)  # (B, 1)
        columns = seen.view(-1, 1, 1, 1)
        token, kept = self.stem.step(frames, _under(state, "stem."), columns)  # (B, 1, d_model)
        after = {f"stem.{name}": tensor for name, tensor in kept.items()}
        for index, (block, mixer) in enumerate(zip(self.blocks, self._student_mixers, strict=True)):
            name = f"blocks.{index}."
            y, kept = mixer.step(block.get_submodule("norm")(token), _under(state, name))
            token = token + y
            after |= {f"{name}{key}": tensor for key, tensor in kept.items()}
        token = self.norm_f(token).squeeze(1)  # (B, d_model)
        count = state["count"] + 1
        pooled = self._gathered(token, state, seen)
        logits = self.head(self._pooled(token, pooled, count))
        return logits, after | pooled | {"count": count}

    @property
    def _student_mixers(self) -> list[StudentMixer]:
        return [mixer for mixer in self.mixers if isinstance(mixer, StudentMixer)]

    def _gathered(self, token: Tensor, state: Mapping[str, Tensor], seen: Tensor) -> State:
        """The sum and the maximum of all tokens so far, as far as the pooling needs them."""
        kept = {}
        for name in POOLED[self.config.pooling]:
            value = state[name]
            highest = torch.maximum(value, token) * seen + token * (1 - seen)
            kept[name] = value + token if name == "sum" else highest
        return kept

    def _pooled(self, token: Tensor, kept: Mapping[str, Tensor], count: Tensor) -> Tensor:
        """The tokens so far (B, d_model) as the whole clip's pooling has them."""
        if not kept:
            return token
        if "sum" not in kept:
            return kept["max"]
        mean = kept["sum"] / count
        return mean + kept["max"] if "max" in kept else mean


def _under(state: Mapping[str, Tensor], prefix: str) -> State:
    """The tensors whose names begin with ``prefix``, without it."""
    found = {name: t for name, t in state.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): tensor for name, tensor in found.items()}
