"""Which corpus, where it lies and how it is split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from aum_edge.audio.config import Normalization
from aum_edge.errors import RecipeError

Corpus = Literal[
    "synthetic", "tau2022", "esc", "fsdd", "speech_commands", "folder", "manifest", "audio"
]
SilentSegments = Literal["keep", "drop"]
Store = Literal["cache", "half", "stream"]
SUBSETS = ("split5", "split10", "split25", "split50", "split100")


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """The generated scenes: ten classes, ten cities, nine devices, clips of 1 s."""

    seed: int = 0
    """Of the generated sounds."""
    n_train: int = 1200
    """Clips of 1 s to learn from; validation is carved from them."""
    n_test: int = 450
    """Clips of 1 s from other locations, spread evenly over all nine devices."""
    pieces: int = 2
    """Clips cut from one recorded segment."""
    spread: float = 1.0
    """Scales how far locations and segments of one class lie apart; larger is harder."""
    device_strength: float = 1.0
    """Scales how much each device colours what it records; larger is harder."""

    def __post_init__(self) -> None:
        if not 1 <= self.pieces <= 10:
            raise RecipeError(f"Synthetic `pieces` must be 1 to 10, got {self.pieces}.")
        least = {"n_train": 20 * self.pieces, "n_test": 10}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise RecipeError(
                    f"Synthetic `{name}` must be at least {low} (every class needs clips from two "
                    f"locations), got {getattr(self, name)}."
                )
        for name in ("spread", "device_strength"):
            if not 0 <= getattr(self, name) <= 5:
                raise RecipeError(f"Synthetic `{name}` must be 0 to 5, got {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """One corpus and its splits. ``root`` is a folder, or the file of a ``manifest``."""

    corpus: Corpus = "synthetic"
    """Which reader: a built-in corpus, a published one, or audio of your own."""
    root: str = ""
    """Where the corpus lies. ``synthetic`` needs none: it is generated in the cache folder."""
    val_root: str = ""
    """``manifest``: the file of the validation rows; without it they are carved from ``root``.
    The file of ``test_root`` may be given again, as published recipes do: then the best epoch is
    chosen on test data, and the score is no fair one."""
    test_root: str = ""
    """``manifest``: the file of the test rows."""
    label_file: str = ""
    """CSV ``index,mid,display_name``: the classes in the order of the network's outputs."""
    n_classes: int = 0
    """How many classes the corpus must have; 0 is as many as it has."""
    label_separator: str = ""
    """``manifest``: what stands between several labels of one row; AuM's JSON has a comma."""
    normalization: Normalization | None = None
    """Published values to use as they are; null computes them over the training split."""
    val_fraction: float = 0.15
    """Share of the training clips held out for validation, by whole groups."""
    val_seed: int = 0
    """Of the splits that are drawn."""
    test_fraction: float = 0.2
    """Share held out for testing where a ``folder`` or ``manifest`` names no splits."""
    segment_seconds: float = 1.0
    """Length of the segments that clips of ``esc``, ``folder`` and ``audio`` are cut into, s."""
    silent_segments: SilentSegments = "drop"
    """What ``esc`` does with the segments that its authors padded with silence."""
    test_folds: tuple[int, ...] = ()
    """``esc``: the folds held out."""
    val_folds: tuple[int, ...] = ()
    """``esc``: the folds to validate on; without any, clips of the training folds are held out."""
    test_speakers: tuple[str, ...] = ()
    """``fsdd``: the speakers held out."""
    val_speakers: tuple[str, ...] = ()
    """``fsdd``: the speakers to validate on, who are then not trained on; without any, takes of
    the training speakers are held out, which says little about other speakers."""
    subset: str = "split25"
    """``tau2022``: which of the challenge's training subsets."""
    store: Store = "cache"
    """cache: features are computed once and kept on disk; half: the same in 16 bit,
    which takes half the disk and half the reads and rounds log-mels by up to 0.004; stream: they
    are made from the audio in every epoch, for corpora whose features no disk holds (all of
    AudioSet is a terabyte)."""
    synthetic: SyntheticConfig = SyntheticConfig()

    def __post_init__(self) -> None:
        _one_of("corpus", self.corpus, get_args(Corpus))
        _one_of("subset", self.subset, SUBSETS)
        _one_of("silent_segments", self.silent_segments, get_args(SilentSegments))
        _one_of("store", self.store, get_args(Store))
        for name in ("val_root", "test_root", "label_separator"):
            if getattr(self, name) and self.corpus != "manifest":
                raise RecipeError(
                    f"Data `{name}` is for the corpus `manifest`, got it with `{self.corpus}`."
                )
        if self.n_classes < 0:
            raise RecipeError(f"Data `n_classes` must be at least 0, got {self.n_classes}.")
        for name in ("val_fraction", "test_fraction"):
            if not 0 < getattr(self, name) < 1:
                raise RecipeError(
                    f"Data `{name}` must lie between 0 and 1, got {getattr(self, name)}."
                )
        if self.segment_seconds <= 0:
            raise RecipeError(
                f"Data `segment_seconds` must be above 0, got {self.segment_seconds}."
            )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise RecipeError(f"Data `{name}` must be one of {', '.join(allowed)}; got '{value}'.")
