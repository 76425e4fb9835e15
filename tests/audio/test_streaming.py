"""Audio in pieces gives what the whole gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from aum_edge.audio.config import FrontEndConfig, aum_fbank, epic_sounds_mel
from aum_edge.audio.frontend import FrontEnd
from aum_edge.audio.resample import resample
from aum_edge.audio.streaming import StreamingFrontEnd, StreamingResampler, stream_file
from aum_edge.audio.wav import write_wav
from aum_edge.errors import AudioError

SMALL = FrontEndConfig(sample_rate=8000, n_fft=256, win_length=200, hop_length=90, n_mels=16)


def pieces(x: Tensor, size: int) -> list[Tensor]:
    return list(x.split(size)) if len(x) else []


@pytest.mark.parametrize("size", [1, 7, 160, 1000, 5000])
@pytest.mark.parametrize(
    "rates", [(8000, 8000), (44100, 32000), (16000, 44100), (48000, 16000), (11025, 8000)]
)
def test_resampling_in_pieces(rates: tuple[int, int], size: int) -> None:
    x = torch.randn(2001, generator=torch.manual_seed(0))
    stream = StreamingResampler(*rates)
    out = torch.cat([*(stream.push(piece) for piece in pieces(x, size)), stream.finish()])
    whole = resample(x, *rates)
    assert out.shape == whole.shape
    torch.testing.assert_close(out, whole, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("size", [1, 64, 91, 3000])
@pytest.mark.parametrize("samples", [1, 100, 128, 129, 256, 257, 900, 2001])
def test_frames_in_pieces(samples: int, size: int) -> None:
    x = torch.randn(samples, generator=torch.manual_seed(1))
    stream = StreamingFrontEnd(SMALL)
    frames = [stream.push(piece) for piece in pieces(x, size)]
    out = torch.cat([*frames, stream.finish()], dim=1)
    torch.testing.assert_close(out, FrontEnd(SMALL)(x[None])[0], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    "config", [aum_fbank(n_frames=128), epic_sounds_mel(64)], ids=["kaldi", "epic"]
)
def test_other_front_ends(config: FrontEndConfig) -> None:
    x = 0.1 * torch.randn(30_000, generator=torch.manual_seed(2))
    stream = StreamingFrontEnd(config)
    out = torch.cat([*(stream.push(p) for p in pieces(x, 777)), stream.finish()], dim=1)
    torch.testing.assert_close(out, FrontEnd(config)(x[None])[0], atol=2e-3, rtol=1e-4)


def test_memory_does_not_grow() -> None:
    stream, resampler = StreamingFrontEnd(SMALL), StreamingResampler(44100, 8000)
    sizes = []
    for _ in range(30):
        stream.push(resampler.push(torch.randn(4410)))
        sizes.append(len(stream._buffer) + len(resampler._buffer))
    assert max(sizes[3:]) <= 2 * min(sizes[3:])
    assert max(sizes) < 3000


@pytest.mark.parametrize("fields", [{"clip_mean": True}, {"range_db": 40.0}], ids=str)
def test_a_front_end_that_hears_the_whole_clip_cannot_stream(fields: dict) -> None:
    with pytest.raises(AudioError, match="cannot stream"):
        StreamingFrontEnd(replace(SMALL, **fields))


def test_streams_without_a_frame_are_refused() -> None:
    with pytest.raises(AudioError, match="after 0 samples"):
        StreamingFrontEnd(SMALL).finish()
    stream = StreamingFrontEnd(aum_fbank(n_frames=128))
    stream.push(torch.zeros(399))
    with pytest.raises(AudioError, match="after 399 samples"):
        stream.finish()


def test_files_in_pieces(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sound = 0.1 * rng.standard_normal((700_000, 2))
    write_wav(tmp_path / "a.wav", sound, 22050, bits=16)
    out = torch.cat(list(stream_file(tmp_path / "a.wav", SMALL)))
    assert len(out) == -(-700_000 * 8000 // 22050)
    with pytest.raises(AudioError, match=r"b\.wav"):
        next(stream_file(tmp_path / "b.wav", SMALL))
