"""Architectures as frozen dataclasses. What a config says is all that builds a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aum_edge.errors import RecipeError

Direction = Literal["fo-fo", "fo-bi", "bi-bi"]


def _check(ok: bool, message: str) -> None:
    if not ok:
        raise RecipeError(message)


def _per_block(values: tuple[int, ...] | None, default: int, depth: int, name: str) -> None:
    if values is not None:
        _check(
            len(values) == depth and min(values) >= 1,
            f"`{name}` must give one size of at least 1 for each of {depth} blocks, got {values}.",
        )
    _check(default >= 1, f"The size behind `{name}` must be at least 1, got {default}.")


@dataclass(frozen=True, kw_only=True)
class AudioMambaConfig:
    """The AuM teacher (arXiv 2406.03344). Input ``(n_mels, n_frames)``; patch as (freq, time)."""

    n_classes: int
    n_mels: int = 128
    n_frames: int = 1024
    patch_size: tuple[int, int] = (16, 16)
    stride: tuple[int, int] | None = None
    """(freq, time); ``None`` is the patch size: patches do not overlap."""
    d_model: int = 768
    depth: int = 24
    d_state: int = 16
    d_conv: int = 4
    expand: int = 2
    direction: Direction = "fo-bi"
    """fo-fo: forward only; fo-bi: one forward convolution and two scans; bi-bi: two of all."""
    class_token: Literal["none", "first", "middle", "last", "double"] = "middle"
    pooling: Literal["mean", "max", "last"] = "mean"
    """Used when there is no class token."""
    token_order: Literal["frequency", "time"] = "frequency"
    position_embedding: bool = True
    norm: Literal["rms", "layer"] = "rms"
    norm_eps: float = 1e-5
    halve_directions: bool = True
    """bi-bi only: average the directions instead of adding them."""
    layer_pairs: bool = False
    """Layers 2i and 2i+1 run on opposite directions and are added (SSAMBA)."""
    layer_scale: float | None = None
    drop_path: float = 0.0
    inner: tuple[int, ...] | None = None
    """Inner channels of each block; ``None`` is expand * d_model everywhere (pruning sets it)."""
    states: tuple[int, ...] | None = None
    """State size of each block; ``None`` is d_state everywhere."""
    dt_ranks: tuple[int, ...] | None = None
    """Delta rank of each block; ``None`` is ceil(d_model / 16) everywhere."""

    def __post_init__(self) -> None:
        _check(self.n_classes >= 1, f"`n_classes` must be at least 1, got {self.n_classes}.")
        _check(
            self.n_mels >= self.patch_size[0] and self.n_frames >= self.patch_size[1],
            f"A patch of {self.patch_size} does not fit into {self.n_mels} mels by "
            f"{self.n_frames} frames; choose a smaller `patch_size`.",
        )
        _per_block(self.inner, self.expand * self.d_model, self.depth, "inner")
        _per_block(self.states, self.d_state, self.depth, "states")
        _per_block(self.dt_ranks, -(-self.d_model // 16), self.depth, "dt_ranks")
        _check(
            not self.layer_pairs or self.depth % 2 == 0,
            f"`layer_pairs` needs an even `depth`, got {self.depth}.",
        )

    @property
    def block_inner(self) -> tuple[int, ...]:
        """Inner channels of each block."""
        return self.inner or (self.expand * self.d_model,) * self.depth

    @property
    def block_states(self) -> tuple[int, ...]:
        """State size of each block."""
        return self.states or (self.d_state,) * self.depth

    @property
    def block_dt_ranks(self) -> tuple[int, ...]:
        """Delta rank of each block."""
        return self.dt_ranks or (-(-self.d_model // 16),) * self.depth


@dataclass(frozen=True, kw_only=True)
class MambaStudentConfig:
    """A small Mamba: convolutional stem, frequency folded into channels, few time tokens."""

    n_classes: int
    n_mels: int = 256
    n_frames: int = 65
    mixer: Literal["s6", "ssd"] = "ssd"
    bidirectional: bool = True
    """``False`` makes the whole network causal in time, for streaming."""
    d_model: int = 48
    depth: int = 4
    expand: int = 2
    d_state: int = 16
    head_dim: int = 16
    """Channels that share one decay (SSD)."""
    d_conv: int = 5
    stem_channels: tuple[int, int] = (8, 16)
    dropout: float = 0.0
    folded: bool = False
    """Batch norms live inside their convolutions: the deployed form, made by ``fold``."""
    inner: tuple[int, ...] | None = None
    """Inner channels of each block; ``None`` is expand * d_model everywhere (pruning sets it)."""
    states: tuple[int, ...] | None = None
    """State size of each block; ``None`` is d_state everywhere."""
    dt_ranks: tuple[int, ...] | None = None
    """Delta rank of each block (S6); ``None`` is ceil(d_model / 16) everywhere."""

    def __post_init__(self) -> None:
        _check(self.n_classes >= 1, f"`n_classes` must be at least 1, got {self.n_classes}.")
        _per_block(self.inner, self.expand * self.d_model, self.depth, "inner")
        _per_block(self.states, self.d_state, self.depth, "states")
        _per_block(self.dt_ranks, -(-self.d_model // 16), self.depth, "dt_ranks")
        _check(self.n_mels >= 8, f"The stem needs at least 8 mels, got {self.n_mels}.")
        _check(
            not self.bidirectional or self.d_conv % 2 == 1,
            f"A centred convolution needs an odd `d_conv`, got {self.d_conv}.",
        )
        if self.mixer == "ssd":
            bad = [size for size in self.block_inner if size % self.head_dim]
            _check(
                not bad,
                f"SSD needs inner channels in whole heads of {self.head_dim}, got {bad}; "
                "change `d_model`, `expand` or `head_dim`.",
            )

    @property
    def block_inner(self) -> tuple[int, ...]:
        """Inner channels of each block."""
        return self.inner or (self.expand * self.d_model,) * self.depth

    @property
    def block_states(self) -> tuple[int, ...]:
        """State size of each block."""
        return self.states or (self.d_state,) * self.depth

    @property
    def block_dt_ranks(self) -> tuple[int, ...]:
        """Delta rank of each block."""
        return self.dt_ranks or (-(-self.d_model // 16),) * self.depth


@dataclass(frozen=True, kw_only=True)
class CPMobileConfig:
    """CP-Mobile, the CNN of the DCASE 2024 and 2025 baselines (arXiv 2305.07499)."""

    n_classes: int
    n_mels: int = 256
    n_frames: int = 65
    base_channels: int = 32
    channels_multiplier: float = 1.8
    expansion_rate: float = 2.1
    folded: bool = False
    """Batch norms live inside their convolutions: the deployed form, made by ``fold``."""

    def __post_init__(self) -> None:
        _check(self.n_classes >= 1, f"`n_classes` must be at least 1, got {self.n_classes}.")
        _check(self.base_channels >= 8, f"`base_channels` must be >= 8, got {self.base_channels}.")


BackboneConfig = AudioMambaConfig | MambaStudentConfig | CPMobileConfig
