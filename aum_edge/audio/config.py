"""Settings of the front end and of normalisation; both are stored with every model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from aum_edge.errors import RecipeError

_LATER = ("power", "stft_padding", "padding", "channels", "range_db", "clip_mean")
"""Fields that came after the first caches: at their defaults they are no part of a key."""


@dataclass(frozen=True, kw_only=True)
class FrontEndConfig:
    """Waveform to log-mel features. The defaults are the DCASE 2025 baseline's.

    ``log_mel``: centred STFT to the ``power``, HTK mel filters without area normalisation,
    ``log(x + log_offset)``.
    ``kaldi_fbank``: Kaldi's filter bank as AuM and SSAMBA use it (``snip_edges``, DC offset
    removed and 0.97 pre-emphasis per frame, symmetric Hann window), ``log(max(x, log_offset))``.
    """

    kind: Literal["log_mel", "kaldi_fbank"] = "log_mel"
    """Which filter bank; see above."""
    sample_rate: int = 32_000
    """Hz; audio at any other rate is resampled."""
    n_fft: int = 4096
    """Points of the Fourier transform, samples."""
    win_length: int = 3072
    """Window of one frame, samples."""
    hop_length: int = 500
    """From one frame to the next, samples."""
    n_mels: int = 256
    """Mel bands."""
    f_min: float = 0.0
    """Lower edge of the lowest mel filter, Hz."""
    f_max: float | None = None
    """Upper edge of the highest mel filter, Hz; ``None`` is half the sample rate."""
    log_offset: float = 1e-5
    """Energy added before the logarithm (``log_mel``), or its floor (``kaldi_fbank``)."""
    clip_seconds: float = 1.0
    """Longer audio is cut at its end to this length; for shorter audio see ``padding``."""
    power: Literal[1, 2] = 2
    """``log_mel``: of the STFT's magnitude, before the filters."""
    stft_padding: Literal["reflect", "constant"] = "reflect"
    """``log_mel``: what the first and last windows cover beyond the clip; constant is zero."""
    padding: Literal["audio", "zero", "edge"] = "audio"
    """What makes shorter audio long enough: silence before the front end, or frames after it, of
    zeros (AuM, SSAMBA) or like the last one (EPIC-SOUNDS)."""
    channels: Literal["mean", "first"] = "mean"
    """Which of several channels are taken."""
    range_db: float = 0.0
    """No feature is further than this below the clip's highest, dB: a recording's own noise floor
    and digital silence become alike. 0 is no floor."""
    clip_mean: bool = False
    """Every band loses its mean over the clip, and with it level, microphone and reverberation:
    cepstral mean normalisation. The whole clip must be known first, so nothing streams; as with a
    floor."""

    def __post_init__(self) -> None:
        self._check_words()
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
        if not 0 <= self.range_db < float("inf"):
            raise RecipeError(f"Front end `range_db` must be at least 0, got {self.range_db}.")
        if self.whole_clip and self.padding != "audio":
            raise RecipeError(
                f"Front end `padding: {self.padding}` makes frames that are no part of the clip: "
                "`range_db` and `clip_mean` need `padding: audio`."
            )
        if self.n_frames < 1:
            raise RecipeError(
                f"A clip of {self.clip_seconds:g} s is shorter than one window of "
                f"{self.win_length} samples at {self.sample_rate} Hz."
            )

    def _check_words(self) -> None:
        allowed: dict[str, tuple[str | int, ...]] = {
            "kind": ("log_mel", "kaldi_fbank"),
            "power": (1, 2),
            "stft_padding": ("reflect", "constant"),
            "padding": ("audio", "zero", "edge"),
            "channels": ("mean", "first"),
        }
        for name, words in allowed.items():
            if getattr(self, name) not in words:
                raise RecipeError(
                    f"Front end `{name}` must be one of {', '.join(map(str, words))}; "
                    f"got {getattr(self, name)!r}."
                )
        reflects = self.kind == "log_mel" and self.stft_padding == "reflect"
        if self.padding != "audio" and reflects:
            raise RecipeError(
                f"Front end `padding: {self.padding}` needs `stft_padding: constant`: a reflection "
                "would hear the padding."
            )

    def key(self) -> dict[str, Any]:
        """What the features depend on, as plain JSON values; unchanged for older front ends."""
        later = {field.name: field.default for field in fields(self) if field.name in _LATER}
        return {k: v for k, v in asdict(self).items() if k not in later or v != later[k]}

    @property
    def whole_clip(self) -> bool:
        """Whether a frame's features depend on the rest of the clip."""
        return self.clip_mean or self.range_db > 0

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
        return self.frames_of(self.clip_samples)

    def frames_of(self, samples: int) -> int:
        """Frames that this many samples give; at least 0."""
        if self.kind == "log_mel":
            return samples // self.hop_length + 1
        return max(0, (samples - self.win_length) // self.hop_length + 1)


def aum_fbank(
    sample_rate: int = 16_000, clip_seconds: float = 1.0, n_frames: int | None = None
) -> FrontEndConfig:
    """The front end of AuM and SSAMBA: 128 mels, 25 ms windows, 10 ms hops, 20 Hz upwards.

    Of several channels it takes the first; shorter clips get frames of zeros, which normalisation
    turns into ``-mean / scale``. ``n_frames`` (AuM's target length, 1024 or 128) takes the place
    of ``clip_seconds``.
    """
    win_length, hop_length = sample_rate // 40, sample_rate // 100
    if n_frames is not None:
        clip_seconds = ((n_frames - 1) * hop_length + win_length) / sample_rate
    return FrontEndConfig(
        kind="kaldi_fbank",
        sample_rate=sample_rate,
        n_fft=1 << (win_length - 1).bit_length(),
        win_length=win_length,
        hop_length=hop_length,
        n_mels=128,
        f_min=20.0,
        log_offset=1.1920928955078125e-07,
        clip_seconds=clip_seconds,
        padding="zero",
        channels="first",
    )


def epic_sounds_mel(n_frames: int = 1024) -> FrontEndConfig:
    """The front end of AuM on EPIC-SOUNDS: 10 ms windows, 5 ms hops, magnitudes, 24 kHz.

    Shorter clips repeat their last frame. The features are not normalised.
    """
    return FrontEndConfig(
        sample_rate=24_000,
        n_fft=2048,
        win_length=240,
        hop_length=120,
        n_mels=128,
        log_offset=1e-6,
        clip_seconds=(n_frames - 1) * 120 / 24_000,
        power=1,
        stft_padding="constant",
        padding="edge",
    )


@dataclass(frozen=True, kw_only=True)
class Normalization:
    """``(features - mean) / (std_factor * std)``; AuM and SSAMBA divide by two deviations."""

    mean: float = 0.0
    """Mean of the features, in units of the log-mel."""
    std: float = 1.0
    """Their standard deviation, in the same units."""
    std_factor: float = 1.0
    """Standard deviations that make 1; AuM and SSAMBA: 2."""

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
