"""Settings of masked-patch pretraining."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aum_edge.core.validation import check_words, require
from aum_edge.errors import RecipeError
from aum_edge.training.config import TrainerConfig


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """One masked-patch pretraining: AdamW, linear warm-up, then a cosine or halving on plateaus.

    The defaults of the optimiser are SSAMBA's. Its recipes: ``masks: published``, ``passes: two``,
    ``schedule: plateau``, ``warmup_steps: 1000``, batches of 64, 10 epochs.
    """

    objective: Literal["joint", "contrastive", "generative"] = "joint"
    """joint: contrastive (InfoNCE) + ``mse_weight`` * generative (mean square)."""
    mse_weight: float = 10.0
    """Weight of the generative loss in ``joint``."""
    masked_patches: int = 0
    """How many patches of a clip are hidden; 0 is half of them. SSAMBA base, small, tiny: 250, 300,
    400 of 512."""
    mask_shape: Literal["auto", "cluster", "frame"] = "auto"
    """cluster: squares of 3 to 5 patches; frame: patches one by one; auto: frame where patches are
    as high as the spectrogram, else cluster."""
    masks: Literal["unbiased", "published"] = "unbiased"
    """published: SSAMBA's own, clip by clip, which never hides patch 0, lets squares run over the
    end of a row, and hides the top mels least; unbiased: every patch is as likely."""
    passes: Literal["one", "two"] = "one"
    """two: as published, each objective of ``joint`` has masks of its own and a complete forward
    pass; one: they share both, at half the cost."""
    epochs: int = 10
    """Passes over the training split."""
    batch_size: int = 64
    """Clips of one batch of one device."""
    lr: float = 1e-4
    """Peak learning rate."""
    weight_decay: float = 5e-8
    """Of AdamW, on all weights."""
    betas: tuple[float, float] = (0.95, 0.999)
    """Decay of the running means of the gradient and of its square."""
    warmup_steps: int = 0
    """Steps that the learning rate climbs; 0 is a tenth of all."""
    schedule: Literal["cosine", "plateau"] = "cosine"
    """plateau: halved whenever ``monitor`` has not improved for ``plateau_patience`` epochs."""
    final_lr: float = 0.01
    """Share of the peak that a cosine leaves at the end."""
    plateau_patience: int = 2
    """Epochs without a better ``monitor`` before the learning rate is halved."""
    monitor: Literal["loss", "accuracy"] = "loss"
    """What plateaus and the best epoch are told by, on the validation split; the masks that it is
    measured with are the same in every epoch. ``accuracy`` is that of the contrastive objective."""
    keep: Literal["best", "last"] = "best"
    """Which epoch's weights are returned."""
    roll_seconds: float = 0.0
    """Each clip is rotated in time by up to this much, either way."""
    gradient_clip: float = 1.0
    """Largest gradient norm; 0 is no clipping, as published."""
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    """Residuals, scans, norms and losses stay in float32 in all of them; 16-mixed needs a GPU."""
    trainer: TrainerConfig = TrainerConfig()

    def __post_init__(self) -> None:
        check_words("pretrain", self)
        require(self.batch_size >= 2, "pretrain.batch_size", "at least 2", self.batch_size)
        for name in ("epochs", "plateau_patience"):
            require(getattr(self, name) >= 1, f"pretrain.{name}", "at least 1", getattr(self, name))
        for name in ("masked_patches", "warmup_steps", "weight_decay", "gradient_clip"):
            require(getattr(self, name) >= 0, f"pretrain.{name}", "at least 0", getattr(self, name))
        require(
            0 <= self.roll_seconds < float("inf"),
            "pretrain.roll_seconds",
            "at least 0",
            self.roll_seconds,
        )
        require(self.lr > 0, "pretrain.lr", "above 0", self.lr)
        require(self.mse_weight > 0, "pretrain.mse_weight", "above 0", self.mse_weight)
        require(0 <= self.final_lr <= 1, "pretrain.final_lr", "0 to 1", self.final_lr)
        require(
            all(0 <= b < 1 for b in self.betas),
            "pretrain.betas",
            "two numbers from 0 to below 1",
            self.betas,
        )
        if self.monitor == "accuracy" and self.objective == "generative":
            raise RecipeError(
                "`pretrain.monitor: accuracy` needs the contrastive objective; `objective` is "
                "generative: monitor the loss."
            )
