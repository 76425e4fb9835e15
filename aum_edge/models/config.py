"""Configs of AuM, AST and CP-Mobile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aum_edge.core.validation import check
from aum_edge.models.fields import BackboneConfig, Blocks, check_fields, check_share, check_sizes

Direction = Literal["fo-fo", "fo-bi", "bi-bi"]


@dataclass(frozen=True, kw_only=True)
class PatchedConfig(BackboneConfig):
    """The config of a network over patches of the spectrogram."""

    n_classes: int
    """0 leaves the head out: an encoder, whose output is what the head would see."""
    n_mels: int = 128
    """Mel bands of the input."""
    n_frames: int = 1024
    """Frames of the input."""
    patch_size: tuple[int, int] = (16, 16)
    """(freq, time), in mel bands and frames."""
    stride: tuple[int, int] | None = None
    """(freq, time); ``None`` is the patch size: patches do not overlap."""
    d_model: int = 768
    """Channels of a token."""

    def check_patch(self) -> None:
        """The patch fits into the input."""
        check(
            self.n_mels >= self.patch_size[0] and self.n_frames >= self.patch_size[1],
            f"A patch of {self.patch_size} does not fit into {self.n_mels} mels by "
            f"{self.n_frames} frames; choose a smaller `patch_size`.",
        )


@dataclass(frozen=True, kw_only=True)
class AudioMambaConfig(Blocks, PatchedConfig):
    """The AuM teacher (arXiv 2406.03344). Input ``(n_mels, n_frames)``; patch as (freq, time)."""

    depth: int = 24
    d_state: int = 16
    d_conv: int = 4
    """Taps of the causal depthwise convolution inside a block, in tokens."""
    expand: int = 2
    direction: Direction = "fo-bi"
    """fo-fo: forward only; fo-bi: one forward convolution and two scans; bi-bi: two of all."""
    class_token: Literal["none", "first", "middle", "last", "double"] = "middle"
    """Where class tokens stand among the patches; double is one at either end."""
    pooling: Literal["class", "mean", "max", "last", "all"] = "class"
    """What the head sees: the class tokens, the mean of the patch tokens or the last token.

    max: the largest logit of any token. all: every token, for logits (B, L, n_classes).
    """
    head: Literal["linear", "norm-linear", "mlp"] = "linear"
    """norm-linear: LayerNorm and linear (SSAMBA); mlp: LayerNorm, 512 units (audio-mamba-asc)."""
    token_order: Literal["frequency", "time"] = "frequency"
    """frequency: band after band, each along time; time: step after step, each along frequency."""
    position_embedding: bool = True
    """Whether a learned position is added to every token."""
    norm: Literal["rms", "layer"] = "rms"
    """rms: RMSNorm; layer: LayerNorm."""
    norm_eps: float = 1e-5
    """Added to the mean square or the variance."""
    final_norms: int = 1
    """How often the last norm is applied; SSAMBA does it twice."""
    halve_directions: bool = True
    """bi-bi only: average the directions instead of adding them."""
    layer_pairs: bool = False
    """Layers 2i and 2i+1 run on opposite directions and are added (SSAMBA)."""
    layer_scale: float | None = None
    """First value of a learned gain on each mixer's output; ``None`` is no gain."""
    drop_path: float = 0.0
    """Share of clips whose last layer is skipped in training; earlier layers less, linearly."""
    inner: tuple[int, ...] | None = None
    """Inner channels of each block; ``None`` is expand * d_model everywhere (pruning sets it)."""
    states: tuple[int, ...] | None = None
    """State size of each block; ``None`` is d_state everywhere."""
    dt_ranks: tuple[int, ...] | None = None
    """Delta rank of each block; ``None`` is ceil(d_model / 16) everywhere."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_sizes(self, "patch_size", "d_conv", "final_norms")
        check(self.n_classes >= 0, f"`n_classes` must be at least 0, got {self.n_classes}.")
        if self.stride is not None:
            check_sizes(self, "stride")
        self.check_blocks()
        check_share(self, "drop_path")
        check(self.norm_eps > 0, f"`norm_eps` must be above 0, got {self.norm_eps}.")
        check(
            self.layer_scale is None or self.layer_scale > 0,
            f"`layer_scale` must be above 0, or null for none; got {self.layer_scale}.",
        )
        self.check_patch()
        check(
            self.pooling != "class" or self.class_token != "none",
            "Without a class token `pooling` must be mean, max, last or all, got 'class'.",
        )
        check(
            not self.layer_pairs or self.depth % 2 == 0,
            f"`layer_pairs` needs an even `depth`, got {self.depth}.",
        )


@dataclass(frozen=True, kw_only=True)
class CPMobileConfig(BackboneConfig):
    """CP-Mobile, the CNN of the DCASE 2024 and 2025 baselines (arXiv 2305.07499)."""

    n_classes: int
    """Classes."""
    n_mels: int = 256
    """Mel bands of the input."""
    n_frames: int = 65
    """Frames of the input."""
    base_channels: int = 32
    """Channels of the first stage, at least 8."""
    channels_multiplier: float = 1.8
    """Growth of the channels from stage to stage."""
    expansion_rate: float = 2.1
    """Channels inside a block, as a multiple of its input's."""
    folded: bool = False
    """Batch norms live inside their convolutions: the deployed form, made by ``fold``."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_sizes(self, "n_classes", "n_mels", "n_frames")
        check(self.base_channels >= 8, f"`base_channels` must be >= 8, got {self.base_channels}.")
        for name in ("channels_multiplier", "expansion_rate"):
            value = getattr(self, name)
            check(value > 0, f"`{name}` must be above 0, got {value}.")


@dataclass(frozen=True, kw_only=True)
class AstConfig(PatchedConfig):
    """An Audio Spectrogram Transformer (arXiv 2104.01778, 2110.09784), built from transformers."""

    depth: int = 12
    """Blocks."""
    n_heads: int = 12
    """Attention heads; they divide d_model."""
    d_hidden: int | None = None
    """Units of each block's hidden layer; ``None`` is 4 * d_model."""
    class_tokens: int = 2
    """2: class and distillation token, before the patches; 1: the class token alone."""
    pooling: Literal["class", "mean"] = "class"
    """What the head sees: the mean of the class tokens or of the patch tokens."""
    head: Literal["linear", "norm-linear"] = "linear"
    """norm-linear: LayerNorm and linear, as AST and SSAST have it."""
    norm_eps: float = 1e-6
    """Added to the variance in the blocks."""
    head_norm_eps: float = 1e-5
    """The same in the head's LayerNorm."""
    qkv_bias: bool = True
    """Whether query, key and value have a bias."""
    dropout: float = 0.0
    """After the embedding, the attention and the hidden layer."""
    attention_dropout: float = 0.0
    """Share of the attention weights that is dropped in training."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_sizes(self, "patch_size", "d_model", "depth", "n_heads")
        check(self.n_classes >= 0, f"`n_classes` must be at least 0, got {self.n_classes}.")
        for name in ("stride", "d_hidden"):
            if getattr(self, name) is not None:
                check_sizes(self, name)
        for name in ("dropout", "attention_dropout"):
            check_share(self, name)
        for name in ("norm_eps", "head_norm_eps"):
            value = getattr(self, name)
            check(value > 0, f"`{name}` must be above 0, got {value}.")
        check(
            self.class_tokens in (1, 2),
            f"`class_tokens` must be 1 or 2, got {self.class_tokens}.",
        )
        check(
            self.d_model % self.n_heads == 0,
            f"`d_model` {self.d_model} must divide into `n_heads` {self.n_heads} equal heads.",
        )
        self.check_patch()
