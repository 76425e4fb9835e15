from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from aum_edge.audio.io import audio_info, read_audio
from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.corpora.synthetic import generate as synthetic
from aum_edge.data.corpora.synthetic.devices import DEVICES, SEEN, UNSEEN, record, response
from aum_edge.data.corpora.synthetic.events import EVENTS, RATE
from aum_edge.data.corpora.synthetic.generate import SyntheticConfig, generate
from aum_edge.data.corpora.synthetic.scenes import SCENES
from aum_edge.data.corpora.tau2022 import read_layout
from aum_edge.data.manifest import validate
from aum_edge.errors import DataError, RecipeError


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_layout_is_that_of_the_challenge(small_corpus):
    meta = table(small_corpus / "meta.csv")
    assert list(meta[0]) == ["filename", "scene_label", "identifier", "source_label"]
    assert len(meta) == 87
    for row in meta:
        folder, name = row["filename"].split("/")
        scene, city, location, segment, piece, device = name.removesuffix(".wav").split("-")
        assert (folder, scene, device) == ("audio", row["scene_label"], row["source_label"])
        assert row["identifier"] == f"{city}-{location}"
        assert segment.isdigit()
        assert piece == "0"
    info = audio_info(small_corpus / meta[0]["filename"])
    assert (info.sample_rate, info.channels, info.samples) == (44_100, 1, 44_100)
    assert (small_corpus / meta[0]["filename"]).stat().st_size == 132_344
    assert b"\r\n" in (small_corpus / "split_setup" / "test.csv").read_bytes()
    assert sorted({row["scene_label"] for row in meta}) == sorted(SCENES)


def test_splits_share_no_location_and_keep_devices_apart(small_corpus):
    manifest = read_layout(small_corpus, "split100", "synthetic")
    train, test = manifest.split("train"), manifest.split("test")
    assert (len(train), len(test)) == (60, 27)
    assert not {clip.group for clip in train} & {clip.group for clip in test}
    assert {clip.device for clip in train} <= set(SEEN)
    assert Counter(clip.device for clip in test) == dict.fromkeys(SEEN + UNSEEN, 3)
    assert Counter(clip.device for clip in train)["a"] > 35
    assert {clip.label for clip in train} == {clip.label for clip in test} == set(SCENES)


def test_subsets_nest_and_take_whole_segments(small_corpus):
    names: list[set[str]] = []
    for subset in ("split5", "split25", "split50", "split100"):
        rows = table(small_corpus / "split_setup" / f"{subset}.csv")
        names.append({row["filename"] for row in rows})
    assert all(small < large for small, large in pairwise(names))
    segments = {name.rsplit("-", 2)[0] for name in names[1]}
    assert {n for n in names[3] if n.rsplit("-", 2)[0] in segments} == names[1]


def test_the_same_seed_gives_the_same_samples_and_another_does_not(tmp_path, small_corpus):
    config = SyntheticConfig(n_train=20, n_test=10, pieces=1)
    name = table(small_corpus / "meta.csv")[5]["filename"]
    again = generate(config, tmp_path / "again")
    other = generate(replace(config, seed=1), tmp_path / "other")
    # Fewer clips of the same seed are the same clips.
    assert (again / name).read_bytes() == (small_corpus / name).read_bytes()
    assert (other / name).read_bytes() != (small_corpus / name).read_bytes()


def test_generating_twice_writes_once(small_corpus, small_config, monkeypatch):
    monkeypatch.setattr(synthetic, "write_wav", lambda *a, **k: pytest.fail("wrote again"))
    assert generate(small_config, small_corpus) == small_corpus


def test_a_damaged_corpus_is_generated_again(tmp_path):
    config = SyntheticConfig(n_train=20, n_test=10, pieces=1)
    root = generate(config, tmp_path / "corpus")
    victims = sorted((root / "audio").glob("*.wav"))[:2]
    before = victims[0].read_bytes()
    victims[0].write_bytes(before[:1000])
    victims[1].unlink()
    generate(config, root)
    assert victims[0].read_bytes() == before
    assert victims[1].exists()


def test_foreign_folders_are_left_alone(tmp_path):
    config = SyntheticConfig(n_train=20, n_test=10, pieces=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="holds other files"):
        generate(config, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    generate(config, tmp_path / "corpus")
    with pytest.raises(DataError, match="other settings"):
        generate(replace(config, seed=9), tmp_path / "corpus")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_generation_leaves_no_corpus_and_the_next_cleans_up(tmp_path):
    root = tmp_path / "corpus"
    code = (
        "from pathlib import Path; from aum_edge.data.corpora.synthetic import generate as g; "
        f"g.generate(g.SyntheticConfig(), Path({str(root)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*.draft/audio/*.wav")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(tmp_path.glob("*.draft"))
    assert not root.exists()
    generate(SyntheticConfig(n_train=20, n_test=10, pieces=1), root)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_pieces_of_one_segment_continue_each_other(tmp_path):
    root = generate(SyntheticConfig(n_train=40, n_test=10, pieces=2), tmp_path / "c")
    names = [row["filename"] for row in table(root / "meta.csv")[:2]]
    assert names[0].replace("-0-a.wav", "-1-a.wav") == names[1]
    manifest = read_layout(root, "split100", "synthetic")
    assert manifest.clips[0].group == manifest.clips[1].group
    assert manifest.clips[0].clip_id != manifest.clips[1].clip_id


def test_clips_are_audible_and_rarely_clip(small_corpus):
    peaks = []
    for path in sorted((small_corpus / "audio").glob("*.wav")):
        samples, _ = read_audio(path)
        peaks.append(np.abs(samples).max())
        assert (np.abs(samples) >= 0.999).mean() < 0.02
    assert min(peaks) > 5e-3


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_event_is_finite_and_level(name):
    samples = EVENTS[name](np.random.default_rng(3), RATE)
    assert samples.shape == (RATE,)
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert np.sqrt(np.mean(samples.astype(float) ** 2)) == pytest.approx(1, rel=1e-3)


def test_device_strength_zero_records_all_alike_but_for_noise():
    scene = 0.05 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    for device in DEVICES:
        out = record(scene, device, np.random.default_rng(1), 0.0)
        assert np.abs(out - scene).max() < 0.01
    curves = [response(spec, 4096, 1.0) for spec in DEVICES.values()]
    gaps = [
        np.abs(20 * np.log10(a / b))[10:600].max()
        for i, a in enumerate(curves)
        for b in curves[i + 1 :]
    ]
    assert min(gaps) > 3


def test_default_config_through_the_loader(tmp_path, small_config):
    config = DataConfig(settings=small_config, val_fraction=0.2)
    manifest = load_manifest(config, tmp_path)
    validate(manifest)
    assert manifest.name == "synthetic"
    assert len(list(tmp_path.glob("synthetic-*"))) == 1
    groups = {s: {c.group for c in manifest.split(s)} for s in ("train", "val", "test")}
    assert not groups["val"] & (groups["train"] | groups["test"])
    assert load_manifest(config, tmp_path) == manifest


@pytest.mark.parametrize("values", [{"n_train": 3}, {"n_test": 0}, {"pieces": 0}, {"spread": -1.0}])
def test_bad_settings_are_named(values):
    with pytest.raises(RecipeError, match=f"`{next(iter(values))}` must be"):
        SyntheticConfig(**values)


def test_a_full_disk_is_refused_before_the_work(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1_000_000})()
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(DataError, match=r"needs 4 MB .* 1 MB free"):
        generate(SyntheticConfig(n_train=20, n_test=10, pieces=1), tmp_path / "corpus")
    assert not list(tmp_path.iterdir())
