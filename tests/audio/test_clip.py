"""A file becomes a clip of the right rate and length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from aum_edge.audio.clip import array_clips, batch_clips, fit_samples, read_clip, read_clips
from aum_edge.audio.config import FrontEndConfig, aum_fbank
from aum_edge.audio.io import read_audio
from aum_edge.audio.resample import resample
from aum_edge.errors import AudioError

CONFIG = FrontEndConfig(clip_seconds=1.0)


def padded(path: Path, config: FrontEndConfig, *span: float) -> torch.Tensor:
    return batch_clips([read_clip(path, config, *span)], config).waveforms[0]


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
    clip = padded(path, CONFIG)
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
    assert torch.equal(padded(path, CONFIG, 1.0, 2.0), samples[32000:64000])
    assert torch.equal(padded(path, CONFIG, 1.0), samples[32000:64000])
    half = padded(path, CONFIG, 1.0, 1.5)
    assert torch.equal(half[:16000], samples[32000:48000])
    assert not half[16000:].any()


def test_an_offset_makes_no_step_where_the_padding_of_a_fbank_clip_begins(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.5), 16000, subtype="FLOAT")
    clip = padded(tmp_path / "a.wav", aum_fbank(16000, 1.0))
    assert clip.shape == (16000,)
    assert not clip.any()


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", 1.0)
    with pytest.raises(AudioError, match=r"a\.wav"):
        padded(path, CONFIG, 5.0)
    with pytest.raises(AudioError, match="after `start`"):
        padded(path, CONFIG, 0.5, 0.2)
    with pytest.raises(AudioError, match="does not exist"):
        padded(tmp_path / "b.wav", CONFIG)


@pytest.mark.parametrize(("extra", "count"), [(0, 1), (1, 1), (499, 1), (500, 2), (32000, 2)])
def test_a_rest_of_less_than_a_hop_is_no_clip_of_its_own(extra: int, count: int) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 32000 + extra).astype(np.float32)
    clips = array_clips(samples, 32000, CONFIG)
    assert [len(clip) for clip in clips] == [32000, extra][:count]
    assert torch.equal(clips[0], torch.from_numpy(samples[:32000]))


def test_a_file_is_cut_into_clips_that_training_hears_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", 2.5, 32000, channels=2)
    clips = read_clips(path, CONFIG)
    assert [len(clip) for clip in clips] == [32000, 32000, 16000]
    for second, clip in enumerate(clips):
        assert torch.equal(clip, read_clip(path, CONFIG, float(second)))


def test_fitting_pads_with_zeros_and_crops_at_the_end() -> None:
    x = torch.arange(1.0, 7.0).reshape(2, 3)
    assert fit_samples(x, 5).tolist() == [[1, 2, 3, 0, 0], [4, 5, 6, 0, 0]]
    assert fit_samples(x, 2).tolist() == [[1, 2], [4, 5]]
