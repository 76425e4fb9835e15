from __future__ import annotations

import errno
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aum_edge.audio.clip import fit_samples, read_clip
from aum_edge.audio.frontend import FrontEnd
from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.features import builder, cache
from aum_edge.data.features.cache import build_cache, normalization
from aum_edge.data.features.npy import ArrayWriter, open_array
from aum_edge.data.manifest import Clip, make_manifest
from aum_edge.errors import DataError


@pytest.fixture(scope="module")
def manifest(fsdd_corpus, tmp_path_factory):
    config = DataConfig.of("fsdd", fsdd_corpus, test_speakers=("cy",))
    return load_manifest(config, tmp_path_factory.mktemp("cache"))


def forbid_building(monkeypatch):
    monkeypatch.setattr(builder, "read_clip", lambda *a: pytest.fail("read audio again"))


def test_rows_are_what_the_front_end_makes_of_each_clip(manifest, frontend, tmp_path):
    arrays = build_cache(manifest, frontend, tmp_path, waveforms=True)
    assert {s: len(a) for s, a in arrays.items()} == {
        s: len(manifest.split(s)) for s in ("train", "val", "test")
    }
    front_end = FrontEnd(frontend)
    for split, stored in arrays.items():
        for row, clip in enumerate(manifest.split(split)):
            waveform = fit_samples(read_clip(clip.path, frontend), frontend.clip_samples)
            assert np.array_equal(stored.waveforms[row], waveform.numpy())
            wanted = front_end(waveform[None])[0].numpy()
            np.testing.assert_allclose(stored.features[row], wanted, atol=1e-4)
            assert manifest.labels[stored.labels[row]] == clip.label
        assert stored.clip_ids == [clip.clip_id for clip in manifest.split(split)]
        assert stored.features.shape[1:] == (16, 41)


def test_segments_and_other_rates_and_channels(tmp_path, frontend):
    import soundfile as sf

    ramp = np.linspace(-0.5, 0.5, 88_200, dtype=np.float32)
    sf.write(tmp_path / "stereo.flac", np.stack([ramp, ramp], 1), 44_100)
    path = tmp_path / "stereo.flac"
    clips = [
        Clip(path=path, label="x", split="train", start=s, end=s + 1, group="g") for s in (0.0, 1.0)
    ]
    arrays = build_cache(make_manifest("m", clips), frontend, tmp_path / "c", waveforms=True)
    first, second = arrays["train"].waveforms[:, 500:-500].mean(axis=1)
    assert first == pytest.approx(-0.25, abs=0.01)
    assert second == pytest.approx(0.25, abs=0.01)


def test_a_second_build_reads_no_audio(manifest, frontend, tmp_path, monkeypatch):
    first = build_cache(manifest, frontend, tmp_path)
    forbid_building(monkeypatch)
    second = build_cache(manifest, frontend, tmp_path)
    for split in first:
        assert np.array_equal(first[split].features, second[split].features)
    only_test = replace(manifest, clips=manifest.split("test"))
    alone = build_cache(only_test, frontend, tmp_path)
    assert np.array_equal(alone["test"].features, first["test"].features)
    assert len(alone["train"]) == 0
    assert alone["train"].features.shape == (0, 16, 41)


@pytest.mark.parametrize("change", ["frontend", "version", "audio", "waveforms"])
def test_whatever_the_features_depend_on_makes_new_ones(
    manifest, frontend, tmp_path, monkeypatch, change, write_tone
):
    build_cache(manifest, frontend, tmp_path)
    before = set(tmp_path.iterdir())
    asked = False
    if change == "frontend":
        frontend = replace(frontend, log_offset=1e-4)
    elif change == "version":
        monkeypatch.setattr(cache, "CACHE_VERSION", cache.CACHE_VERSION + 1)
    elif change == "waveforms":
        asked = True
    else:
        path = write_tone(tmp_path.parent / f"{tmp_path.name}-new" / "9.wav", seed=99)
        clips = [replace(manifest.clips[0], path=path), *manifest.clips[1:]]
        manifest = replace(manifest, clips=tuple(clips))
    build_cache(manifest, frontend, tmp_path, waveforms=asked)
    assert len(set(tmp_path.iterdir()) - before) >= 1


def test_a_changed_split_seed_keeps_the_test_features(fsdd_corpus, frontend, tmp_path, manifest):
    build_cache(manifest, frontend, tmp_path)
    config = DataConfig.of("fsdd", fsdd_corpus, test_speakers=("cy",), val_seed=5, val_fraction=0.4)
    build_cache(load_manifest(config, tmp_path), frontend, tmp_path)
    assert len(list(tmp_path.glob("features-*"))) == 5


def damage_bytes(path: Path) -> None:
    data = bytearray((path / "features.npy").read_bytes())
    data[-10] ^= 0xFF
    (path / "features.npy").write_bytes(data)


def truncate(path: Path) -> None:
    (path / "features.npy").write_bytes((path / "features.npy").read_bytes()[:-100])


def empty(path: Path) -> None:
    (path / "features.npy").write_bytes(b"")


def remove_array(path: Path) -> None:
    (path / "features.npy").unlink()


def remove_index(path: Path) -> None:
    (path / "index.json").unlink()


def break_index(path: Path) -> None:
    (path / "index.json").write_text('{"files": {"featu')


def swap_index(path: Path) -> None:
    (path / "index.json").write_text(json.dumps({"files": [], "silent": "x"}))


@pytest.mark.parametrize(
    "damage",
    [damage_bytes, truncate, empty, remove_array, remove_index, break_index, swap_index],
)
def test_a_damaged_cache_is_built_again(manifest, frontend, tmp_path, damage, caplog):
    wanted = {s: np.array(a.features) for s, a in build_cache(manifest, frontend, tmp_path).items()}
    for folder in tmp_path.glob("features-*"):
        damage(folder)
    arrays = build_cache(manifest, frontend, tmp_path)
    assert "is damaged; building it again" in caplog.text
    for split, features in wanted.items():
        assert np.array_equal(arrays[split].features, features)


def test_a_stopped_build_leaves_whole_splits_and_nothing_half(
    manifest, frontend, tmp_path, monkeypatch
):
    seen = []

    def stop(clip, *rest):
        seen.append(clip)
        if len(seen) > len(manifest.split("train")) + 1:
            raise KeyboardInterrupt
        return read_clip(clip, *rest)

    monkeypatch.setattr(builder, "read_clip", stop)
    with pytest.raises(KeyboardInterrupt):
        build_cache(manifest, frontend, tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".draft"]
    monkeypatch.setattr(builder, "read_clip", read_clip)
    assert len(build_cache(manifest, frontend, tmp_path)["test"]) == 12


def test_a_draft_of_a_killed_process_is_removed(manifest, frontend, tmp_path):
    build_cache(manifest, frontend, tmp_path)
    folder = next(tmp_path.glob("features-*"))
    draft = folder.with_name(f".{folder.name}.draft")
    draft.mkdir()
    (draft / "features.npy").write_bytes(b"half")
    remove_array(folder)
    build_cache(manifest, frontend, tmp_path)
    assert not list(tmp_path.glob("*.draft"))


def test_two_that_need_one_cache_build_it_once(manifest, frontend, tmp_path, monkeypatch):
    read = []
    real = builder.read_clip
    monkeypatch.setattr(builder, "read_clip", lambda *a: read.append(a) or real(*a))
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda _: build_cache(manifest, frontend, tmp_path), range(2)))
    assert len(read) == len(manifest.clips)
    assert np.array_equal(made[0]["train"].features, made[1]["train"].features)
    assert all(path.name.startswith("features-") for path in tmp_path.iterdir())


def test_unreadable_files_are_counted_and_named(manifest, frontend, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"not audio at all")
    (tmp_path / "b.wav").write_bytes(b"")
    bad = [Clip(path=tmp_path / n, label="0", split="train") for n in ("a.wav", "b.wav")]
    broken = replace(manifest, clips=(*manifest.clips, *bad))
    with pytest.raises(DataError, match=r"2 of \d+ clips cannot be read: .*a\.wav.*b\.wav.*check"):
        build_cache(broken, frontend, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_silent_clips_are_kept_and_counted(tmp_path, frontend, write_tone, caplog):
    write_tone(tmp_path / "quiet.wav", silent=((0, 1),))
    write_tone(tmp_path / "loud.wav")
    clips = [Clip(path=tmp_path / n, label="x", split="train") for n in ("quiet.wav", "loud.wav")]
    stored = build_cache(make_manifest("m", clips), frontend, tmp_path / "cache")["train"]
    assert (len(stored), stored.silent) == (2, 1)
    assert "1 of 2 clips are silent" in caplog.text


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(
    manifest, frontend, tmp_path, monkeypatch
):
    def full(self, rows):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ArrayWriter, "append", full)
    with pytest.raises(DataError, match="disk is full while writing the feature cache"):
        build_cache(manifest, frontend, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_too_little_space_is_said_before_the_work(manifest, frontend, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 10})()
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    forbid_building(monkeypatch)
    with pytest.raises(DataError, match=r"feature cache needs .* MB free"):
        build_cache(manifest, frontend, tmp_path / "cache")


def test_a_cache_folder_that_is_a_file(manifest, frontend, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(DataError, match="Cannot write the feature cache"):
        build_cache(manifest, frontend, tmp_path / "cache")


def test_normalization_is_over_the_training_split(manifest, frontend, tmp_path):
    arrays = build_cache(manifest, frontend, tmp_path)
    values = torch.from_numpy(np.array(arrays["train"].features)).double()
    found = normalization(arrays["train"])
    assert found.mean == pytest.approx(values.mean().item(), rel=1e-9)
    assert found.std == pytest.approx(values.std(correction=0).item(), rel=1e-6)
    none = build_cache(replace(manifest, clips=()), frontend, tmp_path)["train"]
    with pytest.raises(DataError, match="nothing to normalise"):
        normalization(none)


def test_array_files_refuse_rows_that_do_not_fit(tmp_path):
    writer = ArrayWriter(tmp_path / "a.npy", (3, 2))
    with pytest.raises(ValueError, match="do not fit"):
        writer.append(np.zeros((1, 5), np.float32))
    writer.append(np.arange(4, dtype=np.float32).reshape(2, 2))
    with pytest.raises(ValueError, match="Got 2 rows"):
        writer.close()
    writer = ArrayWriter(tmp_path / "b.npy", (2, 2))
    writer.append(np.arange(4, dtype=np.float64).reshape(2, 2))
    writer.close()
    assert open_array(tmp_path / "b.npy").tolist() == [[0, 1], [2, 3]]


def test_a_killed_build_goes_on_after_its_last_kept_rows(manifest, frontend, tmp_path, monkeypatch):
    monkeypatch.setattr(builder, "BATCH", 2)
    monkeypatch.setattr(builder, "KEPT", 4)
    only = replace(manifest, clips=manifest.split("train"))
    wanted = build_cache(only, frontend, tmp_path / "whole", waveforms=True)["train"]

    def killed(done, total, what):
        if done >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_cache(only, frontend, tmp_path / "c", waveforms=True, progress=killed)
    assert list((tmp_path / "c").glob("*.draft"))
    read = []
    real = builder.read_clip
    monkeypatch.setattr(builder, "read_clip", lambda *a: read.append(a) or real(*a))
    made = build_cache(only, frontend, tmp_path / "c", waveforms=True)["train"]
    assert len(read) == len(only.clips) - 8
    assert np.array_equal(made.features, wanted.features)
    assert np.array_equal(made.waveforms, wanted.waveforms)
    assert not list((tmp_path / "c").glob("*.draft"))


def test_a_half_cache_takes_half_the_bytes_and_reads_as_float32(manifest, frontend, tmp_path):
    full = build_cache(manifest, frontend, tmp_path, waveforms=True)["train"]
    before = set(tmp_path.rglob("features.npy"))
    half = build_cache(manifest, frontend, tmp_path, waveforms=True, dtype="float16")["train"]
    sizes = {path in before: path.stat().st_size for path in tmp_path.rglob("features.npy")}
    assert sizes[False] < 0.6 * sizes[True]
    rows = np.array([3, 1, 2])
    assert half.features[rows].dtype == np.float32
    np.testing.assert_allclose(half.features[rows], full.features[rows], atol=5e-3)
    np.testing.assert_allclose(half.waveforms[rows], full.waveforms[rows], atol=3e-4)
    assert normalization(half).mean == pytest.approx(normalization(full).mean, abs=5e-3)
