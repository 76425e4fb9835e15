"""Corpora without labels: a folder of files, and any corpus with its labels ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from aum_edge.audio.config import FrontEndConfig
from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.datamodule import AudioData
from aum_edge.data.subset import UnlabelledAudio
from aum_edge.errors import DataError

SMALL = FrontEndConfig(sample_rate=8000, n_fft=256, win_length=256, hop_length=250, n_mels=16)


@pytest.fixture
def folder(tmp_path: Path, write_tone) -> Path:
    root = tmp_path / "audio"
    for index in range(8):
        write_tone(root / ("deep/er" if index % 2 else ".") / f"{index}.wav", 2.0, seed=index)
    return root


def test_an_audio_folder_needs_no_labels(folder, tmp_path) -> None:
    manifest = load_manifest(DataConfig.of("audio", folder), tmp_path)
    assert manifest.labels == ("",)
    assert len(manifest.clips) == 16
    assert len({clip.clip_id for clip in manifest.clips}) == 8
    held = {clip.clip_id for clip in manifest.split("val")}
    assert len(held) == 1
    assert held.isdisjoint(clip.clip_id for clip in manifest.split("train"))
    assert manifest.split("test") == ()


def test_pretraining_takes_it_and_a_classifier_does_not(folder, tmp_path) -> None:
    config = DataConfig.of("audio", folder)
    data = UnlabelledAudio(config, SMALL, cache_dir=tmp_path / "cache", batch_size=4)
    data.setup()
    assert {name: len(arrays) for name, arrays in data.arrays.items()} == {
        "train": 14,
        "val": 2,
        "test": 0,
    }
    with pytest.raises(DataError, match="test split of corpus `audio` is empty"):
        AudioData(config, SMALL, cache_dir=tmp_path / "cache").setup()


def test_test_clips_never_reach_pretraining(tmp_path, write_tone) -> None:
    for split, count in (("train", 4), ("val", 1), ("test", 2)):
        for index in range(count):
            write_tone(tmp_path / "c" / split / "one" / f"{index}.wav", seed=index)
    # A single class, and a test file that cannot be read: neither matters here.
    (tmp_path / "c" / "test" / "one" / "0.wav").write_bytes(b"RIFF")
    config = DataConfig.of("folder", tmp_path / "c")
    data = UnlabelledAudio(config, SMALL, cache_dir=tmp_path / "cache")
    data.setup()
    assert {clip.split for clip in data.manifest.clips} == {"train", "val"}
    assert data.normalization.std > 0


def test_an_empty_folder_and_a_single_file_are_refused(tmp_path, write_tone) -> None:
    (tmp_path / "c").mkdir()
    config = DataConfig.of("audio", tmp_path / "c")
    with pytest.raises(DataError, match="no audio files"):
        load_manifest(config, tmp_path)
    write_tone(tmp_path / "c" / "a.wav")
    with pytest.raises(DataError, match="no val clips to pretrain with"):
        UnlabelledAudio(config, SMALL, cache_dir=tmp_path / "cache").setup()
