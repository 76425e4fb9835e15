"""Streamed features are those of the cache, and a clip that cannot be read is never replaced."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from aum_edge.audio.config import FrontEndConfig, aum_fbank
from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.datamodule import AudioData
from aum_edge.data.features.cache import build_cache, normalization
from aum_edge.data.features.stream import stream_splits
from aum_edge.errors import DataError

FBANK = aum_fbank(8000, n_frames=40)
MEL = FrontEndConfig(sample_rate=8000, n_fft=256, win_length=256, hop_length=200, n_mels=16)


@pytest.fixture(scope="module")
def config(fsdd_corpus):
    return DataConfig.of("fsdd", fsdd_corpus, test_speakers=("cy",))


@pytest.mark.parametrize("frontend", [FBANK, MEL], ids=["zero", "audio"])
def test_rows_equal_the_cache_and_nothing_is_written(config, frontend, tmp_path):
    manifest = load_manifest(config, tmp_path)
    stored = build_cache(manifest, frontend, tmp_path / "cache", waveforms=True)["train"]
    streamed = stream_splits(manifest, frontend)["train"]
    rows = np.array([5, 0, 2])
    assert streamed.features.shape == stored.features.shape
    assert len(streamed) == len(stored)
    for picked in (rows, slice(3, 6), slice(len(stored), None)):
        np.testing.assert_allclose(streamed.features[picked], stored.features[picked], atol=1e-3)
    for one, other in zip(streamed.waveform_rows(rows), stored.waveform_rows(rows), strict=True):
        assert (one is None and other is None) or np.array_equal(one, other)
    assert normalization(streamed).mean == pytest.approx(normalization(stored).mean, abs=1e-4)
    assert np.array_equal(streamed.labels, stored.labels)


def test_batches_come_from_workers_in_the_same_order(config, tmp_path):
    streaming = replace(config, store="stream")
    folder = tmp_path / "cache"
    stored = AudioData(config, FBANK, cache_dir=tmp_path / "other", batch_size=6, seed=3)
    data = AudioData(streaming, FBANK, cache_dir=folder, batch_size=6, seed=3, waveforms=True)
    data.setup()
    stored.setup()
    assert not folder.exists()
    for one, other in zip(data.train_dataloader(), stored.train_dataloader(), strict=True):
        assert torch.equal(one["index"], other["index"])
        assert torch.equal(one["y"], other["y"])
        assert one["waveform"].shape == (len(one["y"]), FBANK.clip_samples)
        assert one["length"].max() <= FBANK.clip_samples


def test_a_clip_that_cannot_be_read_stops_and_is_named(config, tmp_path, write_tone):
    manifest = load_manifest(config, tmp_path)
    bad = write_tone(tmp_path / "bad.wav")
    bad.write_bytes(bad.read_bytes()[:2000])
    clips = (replace(manifest.clips[0], path=bad), *manifest.clips[1:])
    train = stream_splits(replace(manifest, clips=clips), MEL)["train"]
    with pytest.raises(DataError, match=r"^A clip cannot be read: .*bad\.wav"):
        train.features[np.arange(4)]
    data = AudioData(replace(config, store="stream"), MEL, cache_dir=tmp_path, batch_size=6)
    data.setup()
    data.arrays["train"] = train
    with pytest.raises(DataError, match=r"^A clip cannot be read: .*bad\.wav") as caught:
        list(data.train_dataloader())
    assert "\n" not in str(caught.value)


def test_a_cache_without_waveforms_says_so(config, tmp_path):
    stored = build_cache(load_manifest(config, tmp_path), MEL, tmp_path)["train"]
    with pytest.raises(DataError, match="without waveforms"):
        stored.waveform_rows(np.arange(2))
