"""What a front end is, and how its output is normalised. Both travel with every model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aum_edge.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class FrontEndConfig:
    """Waveform to log-mel features. The defaults are the DCASE 2025 baseline's.

    ``log_mel``: centred power STFT (reflect padding), HTK mel filters without area
    normalisation, ``log(x + log_offset)``.
    ``kaldi_fbank``: Kaldi's filter bank as AuM and SSAMBA use it (``snip_edges``, DC offset
    removed and 0.97 pre-emphasis per frame, symmetric Hann window), ``log(max(x, log_offset))``.
    """

    kind: Literal["log_mel", "kaldi_fbank"] = "log_mel"
    sample_rate: int = 32_000
    """Hz; audio at any other rate is resampled."""
    n_fft: int = 4096
    win_length: int = 3072
    """Samples."""
    hop_length: int = 500
    """Samples."""
    n_mels: int = 256
    f_min: float = 0.0
    """Hz."""
    f_max: float | None = None
    """Hz; ``None`` is half the sample rate."""
    log_offset: float = 1e-5
    clip_seconds: float = 1.0
    """Audio is cropped or zero-padded at its end to this length."""

    def __post_init__(self) -> None:
        for name in ("sample_rate", "n_fft", "win_length", "hop_length", "n_mels"):
            value = getattr(self, name)
            if value < 1:
                raise RecipeError(f"Front end `{name}` must be at least 1, got {value}.")
        if self.win_length > self.n_fft:
            raise RecipeError(
                f"Front end `win_length` {self.win_length} is longer than `n_fft` {self.n_fft}; "
                "raise `n_fft` or shorten the window."
            )
        nyquist = self.sample_rate / 2
        if not 0 <= self.f_min < self.high_frequency <= nyquist:
            raise RecipeError(
                f"Front end needs 0 <= f_min < f_max <= {nyquist:g} Hz, "
                f"got {self.f_min:g} and {self.high_frequency:g}."
            )
        if self.log_offset <= 0:
            raise RecipeError(f"Front end `log_offset` must be above 0, got {self.log_offset}.")
        if self.n_frames < 1:
            raise RecipeError(
                f"A clip of {self.clip_seconds:g} s is shorter than one window of "
                f"{self.win_length} samples at {self.sample_rate} Hz."
            )

    @property
    def high_frequency(self) -> float:
        """Upper edge of the highest mel filter, Hz."""
        return self.sample_rate / 2 if self.f_max is None else self.f_max

    @property
    def clip_samples(self) -> int:
        """Samples of one clip at ``sample_rate``."""
        return round(self.clip_seconds * self.sample_rate)

    @property
    def n_frames(self) -> int:
        """Frames of one clip."""
        if self.kind == "log_mel":
            return self.clip_samples // self.hop_length + 1
        return max(0, (self.clip_samples - self.win_length) // self.hop_length + 1)


def aum_fbank(sample_rate: int = 16_000, clip_seconds: float = 1.0) -> FrontEndConfig:
    """The front end of AuM and SSAMBA: 128 mels, 25 ms windows, 10 ms hops, 20 Hz upwards."""
    win_length = sample_rate // 40
    return FrontEndConfig(
        kind="kaldi_fbank",
        sample_rate=sample_rate,
        n_fft=1 << (win_length - 1).bit_length(),
        win_length=win_length,
        hop_length=sample_rate // 100,
        n_mels=128,
        f_min=20.0,
        log_offset=1.1920928955078125e-07,
        clip_seconds=clip_seconds,
    )


@dataclass(frozen=True, kw_only=True)
class Normalization:
    """``(features - mean) / (std_factor * std)``; AuM and SSAMBA divide by two deviations."""

    mean: float = 0.0
    std: float = 1.0
    std_factor: float = 1.0

    def __post_init__(self) -> None:
        if not self.std * self.std_factor > 0:
            raise RecipeError(
                f"Normalisation needs a spread above 0, got std {self.std} times "
                f"{self.std_factor}: is every training clip silent?"
            )

    @property
    def scale(self) -> float:
        """What the centred features are divided by."""
        return self.std * self.std_factor
