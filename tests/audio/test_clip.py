"""A file becomes a clip of the right rate and length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from aum_edge.audio.clip import load_clip
from aum_edge.audio.config import FrontEndConfig, aum_fbank
from aum_edge.audio.io import read_audio
from aum_edge.audio.resample import resample
from aum_edge.errors import AudioError

CONFIG = FrontEndConfig(clip_seconds=1.0)


def write(path: Path, seconds: float, rate: int = 44100, channels: int = 1) -> Path:
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    soundfile.write(path, x, rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize("rate", [8000, 22050, 32000, 44100, 48000, 11111])
@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.5])
def test_a_clip_is_the_start_of_the_resampled_file(
    tmp_path: Path, rate: int, seconds: float
) -> None:
    path = write(tmp_path / "a.wav", seconds, rate, channels=2)
    clip = load_clip(path, CONFIG)
    samples, _ = read_audio(path)
    whole = resample(torch.from_numpy(samples), rate, 32000)
    assert clip.shape == (32000,)
    assert clip.dtype == torch.float32
    kept = min(len(whole), 32000)
    # The end of the clip must hear what follows it in the file.
    torch.testing.assert_close(clip[:kept], whole[:kept], atol=1e-5, rtol=0)
    assert not clip[kept:].any()


def test_start_and_end_choose_the_part(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", 3.0, 32000)
    samples = torch.from_numpy(read_audio(path)[0])
    assert torch.equal(load_clip(path, CONFIG, 1.0, 2.0), samples[32000:64000])
    assert torch.equal(load_clip(path, CONFIG, 1.0), samples[32000:64000])
    half = load_clip(path, CONFIG, 1.0, 1.5)
    assert torch.equal(half[:16000], samples[32000:48000])
    assert not half[16000:].any()


def test_an_offset_makes_no_step_where_the_padding_of_a_fbank_clip_begins(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.5), 16000, subtype="FLOAT")
    clip = load_clip(tmp_path / "a.wav", aum_fbank(16000, 1.0))
    assert clip.shape == (16000,)
    assert not clip.any()


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", 1.0)
    with pytest.raises(AudioError, match=r"a\.wav"):
        load_clip(path, CONFIG, 5.0)
    with pytest.raises(AudioError, match="after `start`"):
        load_clip(path, CONFIG, 0.5, 0.2)
    with pytest.raises(AudioError, match="does not exist"):
        load_clip(tmp_path / "b.wav", CONFIG)
