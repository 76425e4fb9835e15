from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from aum_edge.data.manifest import Clip, check_rows, fingerprint, make_manifest, validate
from aum_edge.data.splits import split_by_groups
from aum_edge.errors import DataError


def rows(folder: Path, per_label: int = 6, labels: str = "xyz") -> list[Clip]:
    """One-clip groups; the last of each label is tested, the one before validated."""
    clips = []
    for label in labels:
        for number in range(per_label):
            path = folder / f"{label}{number}.wav"
            path.write_bytes(f"{label}{number}".encode() * 50)
            split = {per_label - 1: "test", per_label - 2: "val"}.get(number, "train")
            clips.append(Clip(path=path, label=label, split=split))
    return clips


def test_a_clip_is_its_own_clip_and_group_unless_told(tmp_path):
    clip = Clip(path=tmp_path / "a.wav", label="x", split="train")
    assert clip.clip_id == clip.group == str(tmp_path / "a.wav")
    assert Clip(path=tmp_path / "a.wav", label="x", split="train", group="g").group == "g"


def test_labels_are_sorted_and_splits_keep_order(tmp_path):
    manifest = make_manifest("m", rows(tmp_path, labels="zxy"))
    assert manifest.labels == ("x", "y", "z")
    assert [clip.path.stem for clip in manifest.split("test")] == ["z5", "x5", "y5"]
    validate(manifest)


def test_fingerprint_survives_moving_and_sees_content_of_equal_size(tmp_path):
    first, second = tmp_path / "one", tmp_path / "two"
    first.mkdir()
    clips = rows(first)
    shutil.copytree(first, second)
    moved = [replace(clip, path=second / clip.path.name) for clip in clips]
    assert fingerprint(clips) == fingerprint(moved)
    (second / "x0.wav").write_bytes(b"q9" * 50)
    assert fingerprint(clips) != fingerprint(moved)


@pytest.mark.parametrize("change", [{"label": "y"}, {"start": 0.1}, {"split": "val"}])
def test_manifest_fingerprint_sees_every_row(tmp_path, change):
    clips = rows(tmp_path)
    before = make_manifest("m", clips).fingerprint()
    clips[0] = replace(clips[0], **change)
    assert make_manifest("m", clips).fingerprint() != before


def test_fingerprint_of_a_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(DataError, match=r"gone.wav cannot be opened"):
        fingerprint([Clip(path=tmp_path / "gone.wav", label="x", split="train")])


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_empty_split_is_named(tmp_path, split):
    clips = [clip for clip in rows(tmp_path) if clip.split != split]
    manifest = make_manifest("m", clips)
    check_rows(manifest)
    with pytest.raises(DataError, match=f"The {split} split of corpus `m` is empty"):
        validate(manifest)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_label_never_trained_is_named(tmp_path, split):
    clips = rows(tmp_path)
    index = next(i for i, clip in enumerate(clips) if clip.split == split)
    clips[index] = replace(clips[index], label="stranger")
    with pytest.raises(DataError, match=f"{split} split.*lacks: stranger; it has x, y, z"):
        validate(make_manifest("m", clips))


def test_a_single_label_is_refused(tmp_path):
    with pytest.raises(DataError, match="single label `x`"):
        validate(make_manifest("m", rows(tmp_path, labels="x")))


def test_rows_given_twice_are_named_but_segments_of_one_file_are_not(tmp_path):
    clips = rows(tmp_path)
    check_rows(make_manifest("m", [*clips, replace(clips[0], start=0.0, end=1.0)]))
    with pytest.raises(DataError, match=r"1 rows given more than once: .*x0\.wav"):
        check_rows(make_manifest("m", [*clips, clips[0]]))


def test_missing_files_are_counted_and_the_first_named(tmp_path):
    clips = rows(tmp_path)
    for clip in clips[:7]:
        clip.path.unlink()
    with pytest.raises(DataError, match=r"7 of 18 audio files .*x0\.wav.*and 2 more"):
        check_rows(make_manifest("m", clips))


def test_a_group_on_both_sides_is_named(tmp_path):
    clips = [replace(clip, group="hall") for clip in rows(tmp_path)]
    with pytest.raises(DataError, match=r"1 groups .* hall \(train and "):
        check_rows(make_manifest("m", clips))


def test_no_rows_at_all():
    with pytest.raises(DataError, match="holds no audio clips"):
        check_rows(make_manifest("m", []))


def many(groups: int = 30, size: int = 4) -> list[Clip]:
    return [
        Clip(path=Path(f"{label}/{g}/{i}.wav"), label=label, split="train", group=f"{label}{g:02d}")
        for label in ("x", "y")
        for g in range(groups)
        for i in range(size)
    ]


def test_carving_takes_whole_groups_evenly_and_is_repeatable():
    clips = many()
    carved = split_by_groups(clips, 0.2, seed=3)
    assert [clip.path for clip in carved] == [clip.path for clip in clips]
    groups = {split: {c.group for c in carved if c.split == split} for split in ("train", "val")}
    assert not groups["train"] & groups["val"]
    for label in ("x", "y"):
        share = sum(c.split == "val" for c in carved if c.label == label) / 120
        assert share == pytest.approx(0.2, abs=0.02)
    assert split_by_groups(clips, 0.2, seed=3) == carved
    assert split_by_groups(clips, 0.2, seed=4) != carved


def test_carving_does_not_depend_on_the_folder():
    here = split_by_groups(many(), 0.2, seed=0)
    there = split_by_groups(
        [
            replace(c, path=Path("/elsewhere") / c.path, group=f"/elsewhere/{c.group}")
            for c in many()
        ],
        0.2,
        seed=0,
    )
    assert [c.split for c in here] == [c.split for c in there]


def test_carving_leaves_every_label_something_to_train_on():
    clips = [*many(groups=2), Clip(path=Path("z.wav"), label="z", split="train")]
    carved = split_by_groups(clips, 0.05, seed=0)
    for label, held in (("x", 4), ("y", 4), ("z", 0)):
        assert sum(c.split == "val" for c in carved if c.label == label) == held


def test_carving_touches_training_rows_only():
    clips = [replace(c, split="test") if c.group < "x10" else c for c in many()]
    carved = split_by_groups(clips, 0.5, 0, "val")
    assert [c for c in carved if c.split == "test"] == [c for c in clips if c.split == "test"]


def test_groups_that_hold_every_label_are_carved_too():
    clips = [
        Clip(path=Path(f"{label}{take}.wav"), label=str(label), split="train", group=f"take{take}")
        for take in range(20)
        for label in range(10)
    ]
    carved = split_by_groups(clips, 0.15, 0)
    assert sum(c.split == "val" for c in carved) == 30
