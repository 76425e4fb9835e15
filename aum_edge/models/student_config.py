"""Config of the Mamba student."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from aum_edge.core.validation import check
from aum_edge.models.fields import (
    BackboneConfig,
    Blocks,
    check_fields,
    check_share,
    check_sizes,
)
from aum_edge.ssm.mixers.base import MixerSizes
from aum_edge.ssm.mixers.registry import mixer_names, student_mixer

ScanDirection = Literal["both", "forward", "backward"]
TIME_STRIDES = (1, 2, 4)


@dataclass(frozen=True, kw_only=True)
class MambaStudentConfig(Blocks, BackboneConfig):
    """A small Mamba: a convolutional stem makes few tokens, gated mixers look along them."""

    n_classes: int
    """Classes."""
    n_mels: int = 256
    """Mel bands of the input."""
    n_frames: int = 65
    """Frames of the input."""
    mixer: str = "ssd"
    """A registered student mixer (``ssm.mixers.registry``): s6, ssd, or none, the gated convolution
    alone, with no state space in it: the control."""
    bidirectional: bool = True
    """``False`` makes the whole network causal in time, for streaming."""
    sharing: Literal["shared", "separate"] = "shared"
    """What the two directions have in common: shared, all but SSD's decays and steps; separate,
    in_proj and out_proj (S6) or u, z and the convolution's kernel width (SSD) alone."""
    d_model: int = 48
    depth: int = 4
    expand: int = 2
    d_state: int = 16
    head_dim: int = 16
    """Channels that share one decay (SSD)."""
    d_conv: int = 5
    """Taps of the depthwise convolution inside a block, in tokens; odd unless causal."""
    stem: Literal["conv", "patch"] = "conv"
    """conv: three strided convolutions, then one over what is left of the frequency axis; patch:
    one convolution whose kernel is the token's own part of the spectrogram."""
    stem_channels: tuple[int, int] = (8, 16)
    """Of stem ``conv``."""
    time_stride: int = 4
    """Frames a token: 1, 2 or 4."""
    frequency_groups: int = 1
    """Tokens a time step, in order of time, low groups first: 1 folds frequency into channels."""
    norm: Literal["rms", "layer"] = "rms"
    """Before every mixer and before pooling; the norm inside a mixer is always rms."""
    pooling: Literal["mean", "max", "mean-max", "last"] = "mean"
    """What the head sees of the tokens; mean-max is the sum of both, last the last token alone:
    with frequency groups the highest group of the last time step."""
    dropout: float = 0.0
    """Share of the pooled features that is dropped before the head in training."""
    folded: bool = False
    """Batch norms live inside their convolutions: the deployed form, made by ``fold``."""
    width: int | None = None
    """d_model before pruning, whose mean the norms still take; ``None`` is d_model."""
    inner: tuple[int, ...] | None = None
    """Inner channels of each block; ``None`` is expand * d_model everywhere (pruning sets it)."""
    states: tuple[int, ...] | None = None
    """State size of each block; ``None`` is d_state everywhere."""
    dt_ranks: tuple[int, ...] | None = None
    """Delta rank of each block (S6); ``None`` is ceil(d_model / 16) everywhere."""
    directions: tuple[ScanDirection, ...] | None = None
    """Which way each block still scans; ``None`` is both everywhere, forward if causal."""

    @property
    def block_directions(self) -> tuple[ScanDirection, ...]:
        """Scan direction of each block."""
        everywhere: ScanDirection = "both" if self.bidirectional else "forward"
        return self.directions or (everywhere,) * self.depth

    @property
    def mixer_sizes(self) -> tuple[MixerSizes, ...]:
        """Sizes of each block's mixer."""
        rows = zip(
            self.block_inner,
            self.block_d_state,
            self.block_dt_ranks,
            self.block_directions,
            strict=True,
        )
        return tuple(
            MixerSizes(
                d_model=self.d_model,
                d_inner=d_inner,
                d_conv=self.d_conv,
                d_state=d_state,
                dt_rank=dt_rank,
                head_dim=self.head_dim,
                bidirectional=self.bidirectional,
                directions=directions,
                separate=self.sharing == "separate",
            )
            for d_inner, d_state, dt_rank, directions in rows
        )

    @property
    def nominal_width(self) -> int:
        """d_model before pruning."""
        return self.width or self.d_model

    @property
    def rows(self) -> int:
        """Frequency rows that the last convolution of the stem sees."""
        return -(-self.n_mels // 8) if self.stem == "conv" else self.n_mels

    def __post_init__(self) -> None:
        names = mixer_names()
        check(
            self.mixer in names,
            f"`mixer` must be one of {', '.join(names)}, got {self.mixer!r}.",
        )
        check_fields(self)
        check_sizes(self, "n_classes", "n_frames", "head_dim", "d_conv", "stem_channels")
        check_sizes(self, "frequency_groups")
        self.check_blocks()
        check_share(self, "dropout")
        check(self.n_mels >= 8, f"The stem needs at least 8 mels, got {self.n_mels}.")
        check(
            self.time_stride in TIME_STRIDES,
            f"`time_stride` must be one of {TIME_STRIDES}, got {self.time_stride}.",
        )
        check(
            self.rows % self.frequency_groups == 0,
            f"`frequency_groups` must divide the {self.rows} rows that stem `{self.stem}` leaves "
            f"of {self.n_mels} mels, got {self.frequency_groups}.",
        )
        check(
            self.width is None or self.width >= self.d_model,
            f"`width` must be at least `d_model` {self.d_model}, or null; got {self.width}.",
        )
        self._check_directions()
        self._check_mixer()

    def _check_directions(self) -> None:
        directions = self.block_directions
        check(
            len(directions) == self.depth
            and all(direction in get_args(ScanDirection) for direction in directions),
            f"`directions` must give both, forward or backward for each of {self.depth} blocks, "
            f"got {self.directions}.",
        )
        check(
            self.bidirectional or set(directions) == {"forward"},
            f"A causal student scans forward alone, got `directions` {self.directions}.",
        )
        check(
            self.bidirectional or self.sharing == "shared",
            "`sharing: separate` is about two directions and a causal student has one: set "
            "`bidirectional: true` or `sharing: shared`.",
        )

    def _check_mixer(self) -> None:
        check(
            not self.bidirectional or self.d_conv % 2 == 1,
            f"A centred convolution needs an odd `d_conv`, got {self.d_conv}.",
        )
        mixer = student_mixer(self.mixer)
        check(
            mixer.scans or self.directions is None,
            f"`mixer: {self.mixer}` scans in no direction: leave `directions` out.",
        )
        check(
            mixer.scans or self.sharing == "shared",
            f"`mixer: {self.mixer}` has nothing that two directions could share: set `sharing: "
            "shared` or leave it out.",
        )
        check(
            mixer.scans or self.states is None,
            f"`mixer: {self.mixer}` has no states: leave `states` out, got {self.states}.",
        )
        refusal = mixer.refusal(self.mixer_sizes)
        check(not refusal, refusal)
