"""TAU 2022, ESC, FSDD and plain folders."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.manifest import validate
from aum_edge.errors import DataError, RecipeError


@pytest.fixture(scope="module")
def esc_corpus(tmp_path_factory, write_tone):
    """Two classes, three folds, two sources a fold with two takes; yaps end in padding."""
    root = tmp_path_factory.mktemp("esc")
    for label, silent in (("yap", ((0.9, 3.0),)), ("rain", ())):
        for fold in (1, 2, 3):
            for source in (10 * fold, 10 * fold + 1):
                for take in "AB":
                    name = f"{fold}-{source}{len(label)}-{take}.wav"
                    write_tone(root / label / name, 2.98, seed=source, silent=silent)
    return root


def esc(root: Path, cache: Path, **values):
    values = {"test_folds": (3,), "val_fraction": 0.3, **values}
    return load_manifest(DataConfig.of("esc", root, **values), cache)


def test_esc_segments_share_their_clip_and_sources_stay_together(esc_corpus, tmp_path):
    manifest = esc(esc_corpus, tmp_path, silent_segments="keep")
    validate(manifest)
    assert manifest.labels == ("rain", "yap")
    assert len(manifest.clips) == 24 * 3
    assert len({clip.clip_id for clip in manifest.split("test")}) == 8
    parts = [clip for clip in manifest.clips if clip.clip_id == "rain/1-104-A.wav"]
    assert [(clip.start, clip.end) for clip in parts] == [(0, 1), (1, 2), (2, 2.98)]
    assert {clip.path.name[0] for clip in manifest.split("test")} == {"3"}
    assert all(clip.group in clip.path.name for clip in manifest.clips)
    groups = {s: {c.group for c in manifest.split(s)} for s in ("train", "val")}
    assert not groups["train"] & groups["val"]


def test_esc_padding_is_left_out_everywhere_counted_and_no_clip_is_lost(
    esc_corpus, tmp_path, caplog
):
    with caplog.at_level(logging.INFO):
        manifest = esc(esc_corpus, tmp_path)
    assert "Left out 24 of 72 segments" in caplog.text
    everything = esc(esc_corpus, tmp_path, silent_segments="keep")
    assert {c.clip_id for c in manifest.clips} == {c.clip_id for c in everything.clips}
    yaps = [clip for clip in manifest.clips if clip.label == "yap"]
    assert {clip.start for clip in yaps} == {0.0}


def test_esc_keeps_the_loudest_segment_of_a_silent_clip(tmp_path, write_tone):
    for fold in (1, 2):
        write_tone(tmp_path / "x" / f"{fold}-7{fold}-A.wav", 3.0, silent=((0.0, 3.0),))
    manifest = esc(tmp_path, tmp_path / "cache", test_folds=(2,))
    assert len(manifest.clips) == 2


def test_esc_reads_peaks_once(esc_corpus, tmp_path, monkeypatch):
    first = esc(esc_corpus, tmp_path)
    monkeypatch.setattr(
        "aum_edge.data.segments.read_audio", lambda *a: pytest.fail("decoded again")
    )
    assert esc(esc_corpus, tmp_path) == first


def test_esc50_own_layout(tmp_path, write_tone):
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for fold in (1, 2, 3):
        for label in ("dog", "rain"):
            name = f"{fold}-{fold}{len(label)}-A-0.wav"
            lines.append(f"{name},{fold},0,{label},True,{fold}{len(label)},A")
            write_tone(tmp_path / "audio" / name, 2.0, seed=fold)
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "esc50.csv").write_text("\n".join(lines) + "\n")
    manifest = esc(tmp_path, tmp_path / "cache")
    assert len(manifest.clips) == 12
    assert {clip.group for clip in manifest.split("test")} == {"33", "34"}
    (tmp_path / "meta" / "esc50.csv").write_text("filename,fold\n")
    with pytest.raises(DataError, match="lacks the columns category"):
        esc(tmp_path, tmp_path / "cache")


def test_esc_fold_errors_say_what_there_is(esc_corpus, tmp_path):
    with pytest.raises(DataError, match=r"no fold 7; its folds are 1, 2, 3\."):
        esc(esc_corpus, tmp_path, test_folds=(3, 7))
    with pytest.raises(DataError, match="share 3"):
        esc(esc_corpus, tmp_path, val_folds=(2, 3))
    with pytest.raises(DataError, match=r"needs `test_folds`; its folds are 1, 2, 3\."):
        esc(esc_corpus, tmp_path, test_folds=())


def test_a_corpus_with_test_clips_alone_can_be_scored_but_not_trained_on(esc_corpus, tmp_path):
    manifest = esc(esc_corpus, tmp_path, test_folds=(1, 2, 3))
    assert len(manifest.split("test")) == len(manifest.clips)
    with pytest.raises(DataError, match="train split of corpus `esc` is empty"):
        validate(manifest)


def fsdd(root: Path, cache: Path, **values):
    values = {"test_speakers": ("cy",), **values}
    return load_manifest(DataConfig.of("fsdd", root, **values), cache)


def test_fsdd_holds_out_speakers_and_validates_inside_the_others(fsdd_corpus, tmp_path):
    manifest = fsdd(fsdd_corpus, tmp_path)
    validate(manifest)
    assert manifest.labels == ("0", "1", "2")
    assert {clip.path.stem.split("_")[1] for clip in manifest.split("test")} == {"cy"}
    assert len(manifest.split("test")) == 12
    takes = {clip.group for clip in manifest.split("val")}
    assert len(manifest.split("val")) == 3 * len(takes) > 0
    assert takes.isdisjoint(clip.group for clip in manifest.split("train"))
    assert fsdd(fsdd_corpus / "recordings", tmp_path).labels == manifest.labels


def test_fsdd_validates_on_whole_speakers_if_asked(fsdd_corpus, tmp_path):
    manifest = fsdd(fsdd_corpus, tmp_path, val_speakers=("bo",))
    heard = {
        split: {clip.path.stem.split("_")[1] for clip in manifest.split(split)}
        for split in ("train", "val", "test")
    }
    assert heard == {"train": {"ada"}, "val": {"bo"}, "test": {"cy"}}


def test_esc_validates_on_whole_folds_if_asked(esc_corpus, tmp_path):
    manifest = esc(esc_corpus, tmp_path, test_folds=(3,), val_folds=(2,))
    heard = {
        split: {clip.path.name.split("-")[0] for clip in manifest.split(split)}
        for split in ("train", "val", "test")
    }
    assert heard == {"train": {"1"}, "val": {"2"}, "test": {"3"}}


def test_fsdd_speaker_errors_say_what_there_is(fsdd_corpus, tmp_path):
    with pytest.raises(DataError, match=r"no speaker eve; its speakers are ada, bo, cy\."):
        fsdd(fsdd_corpus, tmp_path, test_speakers=("eve",))
    with pytest.raises(DataError, match="has no speaker eve"):
        fsdd(fsdd_corpus, tmp_path, val_speakers=("eve",))
    with pytest.raises(DataError, match="share cy"):
        fsdd(fsdd_corpus, tmp_path, val_speakers=("cy",))
    with pytest.raises(DataError, match="needs `test_speakers`"):
        fsdd(fsdd_corpus, tmp_path, test_speakers=())


def test_fsdd_leaves_out_strangers_loudly(fsdd_corpus, tmp_path, write_tone, caplog):
    root = tmp_path / "copy"
    shutil.copytree(fsdd_corpus, root)
    write_tone(root / "recordings" / "notes.wav")
    (root / "recordings" / "._0_ada_0.wav").write_bytes(b"resource fork")
    assert len(fsdd(root, tmp_path).clips) == 36
    assert "notes.wav" in caplog.text


@pytest.mark.parametrize("corpus", ["tau2022", "esc", "fsdd", "folder"])
def test_missing_and_empty_folders(corpus, tmp_path):
    held = {"esc": {"test_folds": (1,)}, "fsdd": {"test_speakers": ("cy",)}}
    values = held.get(corpus, {})
    with pytest.raises(DataError, match=f"Corpus `{corpus}` has no folder .*nowhere"):
        load_manifest(DataConfig.of(corpus, tmp_path / "nowhere", **values), tmp_path)
    with pytest.raises(DataError, match=f"Corpus `{corpus}` needs `root`"):
        load_manifest(DataConfig.of(corpus, **values), tmp_path)
    expected = "meta.csv" if corpus == "tau2022" else "no audio files"
    with pytest.raises(DataError, match=expected):
        load_manifest(DataConfig.of(corpus, tmp_path, **values), tmp_path)


def test_folder_with_splits_and_without(tmp_path, write_tone):
    for label in ("on", "off"):
        for number in range(10):
            write_tone(tmp_path / "flat" / label / f"deep/{number}.wav", 0.5, seed=number)
        for split in ("train", "test"):
            for number in range(4):
                write_tone(tmp_path / "split" / split / label / f"{number}.wav", 2.0, seed=number)
    flat = load_manifest(DataConfig.of("folder", tmp_path / "flat"), tmp_path)
    validate(flat)
    assert (len(flat.split("test")), len(flat.split("val"))) == (4, 2)
    again = load_manifest(DataConfig.of("folder", tmp_path / "flat"), tmp_path)
    assert again == flat
    split = load_manifest(DataConfig.of("folder", tmp_path / "split"), tmp_path)
    validate(split)
    assert len(split.split("test")) == 16
    assert len({clip.clip_id for clip in split.split("test")}) == 8
    assert split.labels == ("off", "on")


def tau(root: Path, cache: Path, subset: str = "split100"):
    return load_manifest(DataConfig.of("tau2022", root, subset=subset), cache)


def test_tau_reads_tables_with_crlf_beside_or_in_split_setup(small_corpus, tmp_path):
    root = tmp_path / "tau"
    shutil.copytree(small_corpus, root)
    manifest = tau(root, tmp_path)
    validate(manifest)
    assert manifest.clips[0].clip_id.startswith("audio/airport-")
    shutil.move(root / "split_setup" / "test.csv", root / "test.csv")
    meta = (root / "meta.csv").read_bytes()
    (root / "meta.csv").write_bytes(meta.replace(b"\n", b"\r\n"))
    assert tau(root, tmp_path) == manifest
    assert len(tau(root, tmp_path, "split25").split("train")) < len(manifest.split("train"))


def test_tau_errors_are_named(small_corpus, tmp_path):
    root = tmp_path / "tau"
    shutil.copytree(small_corpus, root)
    (root / "split_setup" / "split5.csv").unlink()
    with pytest.raises(DataError, match=r"no split5.csv.*found: split10, split25"):
        tau(root, tmp_path, "split5")
    split = root / "split_setup" / "split10.csv"
    split.write_text(split.read_text() + "audio/moon-base-1-1-0-a.wav\tpark\r\n")
    with pytest.raises(DataError, match=r"1 clips of the train split are not in meta.csv.*moon"):
        tau(root, tmp_path, "split10")
    split = root / "split_setup" / "split25.csv"
    split.write_text(split.read_text().replace("\t", ","))
    with pytest.raises(DataError, match="lacks the columns filename, scene_label"):
        tau(root, tmp_path, "split25")
    lines = (root / "split_setup" / "split50.csv").read_text().splitlines()
    (root / "split_setup" / "split50.csv").write_text("\n".join([*lines, lines[1]]))
    with pytest.raises(DataError, match=r"lists .* twice \(line"):
        tau(root, tmp_path, "split50")
    (next((root / "audio").glob("*-a.wav"))).unlink()
    with pytest.raises(DataError, match="1 of 87 audio files that are not there"):
        tau(root, tmp_path)


def test_a_location_in_both_published_splits_is_said_and_kept(small_corpus, tmp_path, caplog):
    root = tmp_path / "tau"
    shutil.copytree(small_corpus, root)
    meta = (root / "meta.csv").read_text().splitlines()
    first, last = meta[1].split("\t"), meta[-1].split("\t")
    meta[-1] = "\t".join([last[0], last[1], first[2], last[3]])
    (root / "meta.csv").write_text("\n".join(meta) + "\n")
    manifest = tau(root, tmp_path)
    assert "1 locations are in both published splits" in caplog.text
    assert manifest.clips[-1].group == Path(last[0]).stem.rsplit("-", 2)[0]


@pytest.mark.parametrize(
    ("corpus", "values"),
    [
        ("synthetic", {"corpus": "audioset"}),
        ("tau2022", {"subset": "split7"}),
        ("synthetic", {"val_fraction": 0.0}),
        ("folder", {"test_fraction": 1.0}),
        ("manifest", {"test_fraction": 0.0}),
        ("folder", {"segment_seconds": 0.0}),
        ("audio", {"segment_seconds": -1.0}),
        ("esc", {"segment_seconds": float("inf")}),
        ("esc", {"silent_segments": "maybe"}),
        ("synthetic", {"store": "tape"}),
        ("synthetic", {"n_classes": -1}),
    ],
)
def test_bad_settings_are_named_with_what_is_allowed(corpus, values):
    with pytest.raises(RecipeError, match=f"`{next(iter(values))}` must"):
        DataConfig(corpus=corpus).changed(values)
