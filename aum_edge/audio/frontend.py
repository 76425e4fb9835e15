"""Waveforms to log-mel features: the two front ends that models are trained with."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.mel import mel_filters
from aum_edge.errors import AudioError

PRE_EMPHASIS = 0.97
CPU_CLIPS = 8
"""Clips that go through a CPU's caches at once."""
KEPT = 16
"""Front ends that a process keeps."""


class FrontEnd(nn.Module):
    """Log-mel features of waveforms at ``config.sample_rate``; holds no parameters.

    Window and filters are non-persistent buffers: they move with the module and are not saved.
    Features are not normalised, see :class:`~aum_edge.audio.config.Normalization`.

    ``log_mel`` is the DCASE 2025 baseline's ``torchaudio.transforms.MelSpectrogram`` and
    ``log(x + log_offset)``. ``kaldi_fbank`` is ``torchaudio.compliance.kaldi.fbank`` as AuM and
    SSAMBA call it, on the waveform less its mean.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        self.config = config
        # torchaudio's two front ends differ here as well: Kaldi's window is symmetric.
        window = torch.hann_window(config.win_length, periodic=config.kind == "log_mel")
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", mel_filters(config), persistent=False)

    @torch.no_grad()
    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Features of a batch; no gradient flows back, and autocast is off within.

        Args:
            waveform: (B, samples), samples within [-1, 1]; any length from one sample on for
                ``log_mel`` and from one window on for ``kaldi_fbank``.
            lengths: (B,) samples of each clip that are no padding; ``None`` is all. Frames beyond
                them are made as ``padding`` says; with ``padding: audio`` they change nothing.

        Shape:
            (B, samples) to (B, n_mels, frames) float32; frames are ``samples // hop_length + 1``
            for ``log_mel``, ``(samples - win_length) // hop_length + 1`` for ``kaldi_fbank``.

        Cost: one FFT of ``n_fft`` and ``n_mels * (n_fft / 2 + 1)`` MACs a frame; about 1.5 ms for
        a second of audio with the defaults on one CPU core.

        Raises:
            AudioError: If the waveform is not (B, samples), is an empty batch or is too short.
        """
        least = 1 if self.config.kind == "log_mel" else self.config.win_length
        if waveform.ndim != 2 or not len(waveform) or waveform.shape[1] < least:
            raise AudioError(
                f"The front end takes waveforms (batch, samples), batch at least 1 and "
                f"samples at least {least}, "
                f"got {tuple(waveform.shape)}."
            )
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = waveform.to(self.window.dtype)
            # On a CPU a few clips at a time stay in its caches: twice as fast.
            pieces = waveform.split(len(waveform) if waveform.is_cuda else CPU_CLIPS)
            make = self._log_mel if self.config.kind == "log_mel" else self._kaldi_fbank
            features = torch.cat([make(piece) for piece in pieces])
            features = features.transpose(1, 2).float().contiguous()
            features = self._of_clip(features)
        return features if lengths is None else self._padded(features, lengths)

    def frames(self, samples: Tensor, mel: Callable[[Tensor], Tensor]) -> Tensor:
        """Frames (n_mels, k) of whole windows of samples (n,), nothing padded on either side.

        ``mel`` maps power spectra (bins, k) to mel bands (n_mels, k); Kaldi's features have their
        own way.
        """
        if self.config.kind == "kaldi_fbank":
            return self._kaldi_fbank(samples.unsqueeze(0))[0].T
        config = self.config
        spectrum = torch.stft(
            samples,
            config.n_fft,
            config.hop_length,
            config.win_length,
            self.window,
            center=False,
            return_complex=True,
        )
        power = _power(spectrum)
        if config.power == 1:
            power = power.sqrt()
        return mel(power).add_(config.log_offset).log_()

    def _of_clip(self, features: Tensor) -> Tensor:
        """Features (B, n_mels, frames) relative to their clip's own highest and mean ones.

        Source of the mean: Atal, JASA 55(6), 1974.
        """
        config = self.config
        if config.range_db:
            depth = config.range_db * math.log(10) / 10 * config.power / 2
            features = torch.maximum(features, features.amax(dim=(1, 2), keepdim=True) - depth)
        if config.clip_mean:
            features = features - features.mean(dim=2, keepdim=True)
        return features

    def _padded(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Frames (B, n_mels, frames) beyond each clip's own, by ``padding``."""
        if self.config.padding == "audio":
            return features
        own = [self.config.frames_of(length) for length in lengths.tolist()]
        count = torch.tensor(own, device=features.device)[:, None]
        at = torch.arange(features.shape[2], device=features.device)
        if self.config.padding == "zero":
            return features.masked_fill((at >= count)[:, None, :], 0.0)
        index = torch.minimum(at, count - 1).clamp(min=0)
        return features.gather(2, index[:, None, :].expand_as(features))

    def _log_mel(self, waveform: Tensor) -> Tensor:
        """(B, samples) to (B, frames, n_mels)."""
        config = self.config
        frames = waveform.shape[1] // config.hop_length + 1
        # Reflection needs half a window of signal on either side; a shorter clip gets zeros.
        short = config.n_fft // 2 + 1 - waveform.shape[1]
        spectrum = torch.stft(
            F.pad(waveform, (0, max(0, short))),
            config.n_fft,
            config.hop_length,
            config.win_length,
            self.window,
            pad_mode=config.stft_padding,
            return_complex=True,
        )
        return self._log(_power(spectrum[..., :frames]).transpose(1, 2))

    def _log(self, power: Tensor) -> Tensor:
        """Power spectra (..., bins) to log-mel (..., n_mels)."""
        if self.config.power == 1:
            power = power.sqrt()
        return (power @ self.filters.T).add_(self.config.log_offset).log_()

    def _kaldi_fbank(self, waveform: Tensor) -> Tensor:
        """(B, samples) to (B, frames, n_mels)."""
        config = self.config
        waveform = waveform - waveform.mean(dim=1, keepdim=True)
        frames = waveform.unfold(1, config.win_length, config.hop_length)
        frames = frames - frames.mean(dim=2, keepdim=True)
        # Kaldi takes a copy of the first sample for the one before it.
        before = torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
        frames = (frames - PRE_EMPHASIS * before) * self.window
        mel = _power(torch.fft.rfft(frames, config.n_fft)) @ self.filters.T
        return mel.clamp_(min=config.log_offset).log_()


@lru_cache(maxsize=KEPT)
@torch.inference_mode(False)  # Buffers born in inference mode could not be moved later.
def front_end(config: FrontEndConfig, device: torch.device | str = "cpu") -> FrontEnd:
    """The front end of these settings on a device, built once a process and shared: never move it.

    Cost: about 13 ms the first time.
    """
    return FrontEnd(config).to(device)


def _power(spectrum: Tensor) -> Tensor:
    real, imaginary = spectrum.real, spectrum.imag
    return torch.addcmul(real * real, imaginary, imaginary)
