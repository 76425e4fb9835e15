"""Settings of data augmentation."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from aum_edge.audio.augment.registry import Augmentation, check_registered
from aum_edge.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Strength of each augmentation; 0 switches it off.

    The defaults are the DCASE 2025 baseline's, less its frequency mask.
    """

    roll_seconds: float = 0.1
    """Each clip is rotated in time by up to this much, either way."""
    mixstyle_p: float = 0.4
    """Probability that a batch goes through Freq-MixStyle."""
    mixstyle_alpha: float = 0.3
    """Of the Beta distribution of its mixing weights."""
    freq_warp: float = 0.0
    """Frequencies of a clip are scaled by exp(u), u up to this much either way: another vocal
    tract. 0.2 is about a third of an octave."""
    time_stretch: float = 0.0
    """A clip is played exp(u) times faster, u up to this much either way; its pitch stays."""
    colour_db: float = 0.0
    """A random smooth curve over frequency of up to this much either way is added, dB."""
    floor_db: float = 0.0
    """Steady noise is added from this far below a clip's loudest on downwards, dB; 0 is none."""
    freq_mask: int = 0
    """Largest number of neighbouring mel bands that are blanked in a clip."""
    time_mask: int = 0
    """Largest number of neighbouring frames that are blanked in a clip."""
    mask_count: int = 1
    """How many masks of either kind a clip gets."""
    mask_fill: Literal["mean", "zero"] = "mean"
    """What blanks: the batch's mean; or 0 before normalisation, drawn as torchaudio does, as AuM
    and SSAMBA mask: a width below the largest, frequency before time."""
    noise: float = 0.0
    """Uniform noise of up to this much, in units of normalised features, is added; each clip draws
    its share. AuM and SSAMBA on Speech Commands: 0.1."""
    mixup_p: float = 0.0
    """Probability that a clip is mixed with another of its batch."""
    mixup_alpha: float = 0.3
    """Of the Beta distribution of the clip's share."""
    waveform_mixup_p: float = 0.0
    """Probability that a clip's waveform is mixed with that of another of its batch (AuM)."""
    waveform_mixup_alpha: float = 10.0
    """Of the Beta distribution of the clip's share."""
    ir_p: float = 0.0
    """Probability that a clip is convolved with a device impulse response."""
    ir_dir: str = ""
    """Folder of recorded impulse responses; empty is the built-in set of imaginary devices."""
    ir_seed: int = 0
    """Which set of imaginary devices."""
    registered: dict[str, Augmentation] = field(default_factory=dict, hash=False)
    """Augmentations of files of their own, by name; in a recipe ``augment: {NAME: {...}}``. They
    come after those above, in the order of their names."""

    def __post_init__(self) -> None:
        check_registered(self.registered)
        for name in ("mixstyle_p", "mixup_p", "waveform_mixup_p", "ir_p"):
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(
                    f"`augment.{name}` is a probability from 0 to 1, got {getattr(self, name)}."
                )
        if self.mask_count < 1:
            raise RecipeError(f"`augment.mask_count` must be at least 1, got {self.mask_count}.")
        if self.mask_fill not in ("mean", "zero"):
            raise RecipeError(f"`augment.mask_fill` must be mean or zero, got '{self.mask_fill}'.")
        for name in ("mixstyle_alpha", "mixup_alpha", "waveform_mixup_alpha"):
            if not 0 < getattr(self, name) < float("inf"):
                raise RecipeError(f"`augment.{name}` must be above 0, got {getattr(self, name)}.")
        for name in (
            "roll_seconds",
            "freq_warp",
            "time_stretch",
            "colour_db",
            "floor_db",
            "freq_mask",
            "time_mask",
            "noise",
            "ir_seed",
        ):
            if not 0 <= getattr(self, name) < float("inf"):
                raise RecipeError(
                    f"`augment.{name}` must be at least 0, got {getattr(self, name)}."
                )

    def __repr__(self) -> str:
        """As of any dataclass; without registered augmentations as before there were any."""
        shown = [e.name for e in fields(self) if e.name != "registered" or self.registered]
        return f"AugmentConfig({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    @property
    def moves_the_mean(self) -> bool:
        """Whether a band's mean over the clip is another one afterwards."""
        return any((self.time_stretch, self.freq_warp, self.colour_db, self.floor_db))

    @property
    def in_order(self) -> list[Augmentation]:
        """The registered augmentations in the order of their names."""
        return [self.registered[name] for name in sorted(self.registered)]

    @property
    def needs_waveforms(self) -> bool:
        """Whether batches must hold waveforms instead of features."""
        own = any(one.needs_waveforms for one in self.registered.values())
        return own or self.ir_p > 0 or self.waveform_mixup_p > 0
