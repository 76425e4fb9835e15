"""Streaming resampler and front end: pieces of audio to the frames of the whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.frontend import front_end
from aum_edge.audio.io import blocks, open_sound, to_mono
from aum_edge.audio.mel import MelSums
from aum_edge.audio.resample import PhaseGroups, half_width, has_bank, resample
from aum_edge.errors import AudioError


class StreamingResampler:
    """Pieces of a waveform at one rate to pieces at another; together they are ``resample``'s.

    Holds a few kernels' lengths of samples, however long the stream is.
    """

    def __init__(self, old_rate: int, new_rate: int) -> None:
        divisor = math.gcd(old_rate, new_rate)
        self._rates = old_rate, new_rate
        self._old, self._new = old_rate // divisor, new_rate // divisor
        # Whole periods of both rates, so that a piece begins on a sample of either.
        margin = 0 if old_rate == new_rate else half_width(self._old, self._new) + 1
        self._margin = -(-margin // self._old) * self._old
        few = old_rate != new_rate and has_bank(self._old, self._new)
        self._phases = PhaseGroups(self._old, self._new) if few else None
        self._buffer = torch.zeros(self._margin)

    def push(self, samples: Tensor) -> Tensor:
        """New samples (n,) at the old rate to those (m,) that are settled at the new one."""
        self._buffer = torch.cat([self._buffer, samples])
        settled = (len(self._buffer) - 2 * self._margin) // self._old * self._old
        return self._take(settled) if settled > 0 else samples[:0]

    def finish(self) -> Tensor:
        """What is left when no more samples come."""
        rest = len(self._buffer) - self._margin
        length = -(-rest * self._new // self._old)
        self._buffer = torch.cat([self._buffer, torch.zeros(2 * self._margin + self._old)])
        return self._take(-(-rest // self._old) * self._old)[:length]

    def _take(self, count: int) -> Tensor:
        piece = self._buffer[: count + 2 * self._margin]
        self._buffer = self._buffer[count:]
        if self._phases is not None:
            return self._phases(piece, self._margin, count // self._old)
        new = resample(piece, *self._rates)
        first = self._margin * self._new // self._old
        return new[first : first + count * self._new // self._old]


class StreamingFrontEnd:
    """Samples in pieces of any size to frames; together they are those of the whole waveform.

    Holds at most one window of samples beyond what it was last given.

    Args:
        config: ``log_mel`` or ``kaldi_fbank``; the clip's length plays no part.
    """

    def __init__(self, config: FrontEndConfig) -> None:
        if config.whole_clip:
            raise AudioError(
                "A front end with `range_db` or `clip_mean` must hear the whole clip and cannot "
                "stream: train with one without them."
            )
        self.config = config
        self._front_end = front_end(config)
        self._centred = config.kind == "log_mel"
        self._mel = MelSums(self._front_end.filters)
        self._window = config.n_fft if self._centred else config.win_length
        self._buffer = torch.zeros(0)
        self._started = not self._centred
        self._samples = self._frames = 0
        self._next = 0
        """Where in the buffer the next frame's window begins."""

    def push(self, samples: Tensor) -> Tensor:
        """Samples (n,) at the front end's rate to the frames (n_mels, k) that they complete."""
        self._samples += len(samples)
        self._buffer = torch.cat([self._buffer, samples])
        half = self.config.n_fft // 2
        if not self._started:
            if len(self._buffer) <= half:
                return self._none()
            self._buffer = torch.cat([self._before(half), self._buffer])
            self._started = True
        return self._whole_frames()

    def finish(self) -> Tensor:
        """The frames whose windows reach beyond the last sample.

        Raises:
            AudioError: If there was not one sample, or for ``kaldi_fbank`` not one window.
        """
        if self._samples < (1 if self._centred else self._window):
            raise AudioError(
                f"The stream ended after {self._samples} samples: there is no frame to hear."
            )
        if not self._centred:
            return self._none()
        if not self._started:
            return self._front_end(self._buffer.unsqueeze(0))[0]
        half = self.config.n_fft // 2
        left = self._samples // self.config.hop_length + 1 - self._frames
        self._buffer = torch.cat([self._buffer, self._after(half)])
        return self._whole_frames()[:, :left]

    def _before(self, half: int) -> Tensor:
        if self.config.stft_padding == "constant":
            return torch.zeros(half)
        return self._buffer[1 : half + 1].flip(0)

    def _after(self, half: int) -> Tensor:
        if self.config.stft_padding == "constant":
            return torch.zeros(half)
        return self._buffer[-half - 1 : -1].flip(0)

    def _whole_frames(self) -> Tensor:
        """All frames whose windows are in the buffer, which then loses what no other needs."""
        hop, first = self.config.hop_length, self._next
        count = (len(self._buffer) - first - self._window) // hop + 1
        if count <= 0:
            return self._none()
        windows = self._buffer[first : first + (count - 1) * hop + self._window]
        frames = self._front_end.frames(windows, self._mel)
        self._next = first + count * hop
        # Half a window is kept: the end of a stream is reflected into it.
        spare = min(self._next, max(0, len(self._buffer) - self._window))
        self._buffer, self._next = self._buffer[spare:], self._next - spare
        self._frames += count
        return frames

    def _none(self) -> Tensor:
        return torch.zeros(self.config.n_mels, 0)


def stream_file(path: Path, config: FrontEndConfig) -> Iterator[Tensor]:
    """A file's samples (n,) in pieces, mixed to one channel, at the front end's rate.

    Memory does not grow with the file.

    Raises:
        AudioError: If the file is missing, unreadable, cut short or holds NaN.
    """
    with open_sound(path) as sound:
        resampler = StreamingResampler(sound.samplerate, config.sample_rate)
        for block in blocks(sound, path):
            mono = torch.from_numpy(to_mono(block, config.channels))
            if not torch.isfinite(mono).all():
                raise AudioError(f"{path} holds NaN or Inf: record or convert it again.")
            yield resampler.push(mono)
        yield resampler.finish()
