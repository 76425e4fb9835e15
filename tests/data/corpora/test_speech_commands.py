"""Speech Commands and the published tables of other corpora."""

from __future__ import annotations

import json
import logging

import pytest

from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.manifest import validate
from aum_edge.data.prepare.published_tables import write_manifest
from aum_edge.errors import DataError

CONFIG: dict[str, object] = {}


@pytest.fixture
def corpus(tmp_path, write_tone):
    root = tmp_path / "speech"
    for word in ("go", "stop", "_background_noise_"):
        for speaker in ("aa", "bb", "cc"):
            for take in range(2):
                name = f"{speaker}_nohash_{take}.wav"
                write_tone(root / word / name, 0.2, seed=len(word) * 10 + take)
    lists = {"validation_list.txt": "bb", "testing_list.txt": "cc"}
    for name, speaker in lists.items():
        lines = [f"{w}/{speaker}_nohash_{t}.wav" for w in ("go", "stop") for t in range(2)]
        (root / name).write_text("\n".join(lines) + "\n")
    return root


def load(root, tmp_path):
    return load_manifest(DataConfig.of("speech_commands", root, **CONFIG), tmp_path)


def test_official_lists_decide_and_noise_is_no_word(corpus, tmp_path):
    manifest = load(corpus, tmp_path)
    validate(manifest)
    assert manifest.labels == ("go", "stop")
    for split, speaker in (("train", "aa"), ("val", "bb"), ("test", "cc")):
        clips = manifest.split(split)
        assert len(clips) == 4
        assert {clip.group for clip in clips} == {speaker}


def test_a_speaker_in_two_lists_is_said_and_does_not_stop(corpus, tmp_path, caplog):
    with (corpus / "testing_list.txt").open("a") as file:
        file.write("go/aa_nohash_0.wav\n")
    with caplog.at_level(logging.WARNING):
        manifest = load(corpus, tmp_path)
    assert "1 speakers into two splits: aa" in caplog.text
    assert len(manifest.split("test")) == 5


def test_lists_that_are_missing_or_name_clips_not_there(corpus, tmp_path):
    with (corpus / "validation_list.txt").open("a") as file:
        file.write("go/zz_nohash_0.wav\n")
    with pytest.raises(DataError, match=r"names 1 of 5 clips .* go/zz_nohash_0.wav"):
        load(corpus, tmp_path)
    (corpus / "validation_list.txt").unlink()
    with pytest.raises(DataError, match=r"has no .*validation_list.txt"):
        load(corpus, tmp_path)
    with pytest.raises(DataError, match="finds no audio files"):
        load(tmp_path / "speech" / "go", tmp_path)


TABLES = {
    "audioset": (
        "# made up\n# YTID, start_seconds, end_seconds, positive_labels\n"
        '--aa_1, 30.000, 40.000, "/m/a,/m/b"\nbb, 0.000, 10.000, "/m/a"\n',
        ["x/--aa_1_30000_40000.wav", "Ybb.wav"],
        {"labels": "/m/a,/m/b"},
    ),
    "vggsound": (
        '--aa,31,"female speech, woman speaking",train\nbb,5,dog,test\n',
        ["--aa_000031.wav", "bb_5.wav"],
        {"labels": ["female speech, woman speaking"], "split": "train", "group": "--aa"},
    ),
    "voxceleb": (
        "1 id1/vid/00001.wav\n3 id2/vid/00001.wav\n",
        ["wav/id1/vid/00001.wav", "wav/id2/vid/00001.wav"],
        {"labels": "id1", "split": "train", "group": "id1/vid"},
    ),
    "epic-sounds": (
        "annotation_id,participant_id,video_id,start_timestamp,stop_timestamp,description,class\n"
        "P01_01_0,P01,P01_01,00:00:00.100,00:00:00.900,cut,chop\n"
        "P01_01_1,P01,P01_01,00:00:00.500,00:00:01.000,tap,water\n",
        ["P01_01.wav"],
        {"labels": ["chop"], "start": 0.1, "end": 0.9, "group": "P01_01", "clip_id": "P01_01_0"},
    ),
}


@pytest.mark.parametrize("kind", TABLES)
def test_published_tables_become_manifests_that_load(tmp_path, write_tone, kind):
    text, files, first = TABLES[kind]
    (tmp_path / "table.csv").write_text(text)
    for name in files:
        write_tone(tmp_path / "audio" / name, 1.0, seed=len(name))
    out = tmp_path / "m.json"
    assert write_manifest(kind, tmp_path / "table.csv", tmp_path / "audio", out) == (2, 2)
    row = json.loads(out.read_text())["data"][0]
    assert row.pop("wav") == str(tmp_path / "audio" / files[0])
    assert row == first
    manifest = load_manifest(DataConfig.of("manifest", out), tmp_path)
    assert len(manifest.clips) == 2
    labels = first["labels"]
    assert manifest.clips[0].labels == tuple(
        labels if isinstance(labels, list) else labels.split(",")
    )


def test_rows_without_audio_are_counted_and_left_out_only_when_asked(tmp_path, write_tone):
    text, files, _ = TABLES["vggsound"]
    (tmp_path / "t.csv").write_text(text)
    audio = tmp_path / "audio"
    arguments = ("vggsound", tmp_path / "t.csv", audio, tmp_path / "m.json")
    with pytest.raises(DataError, match="There is no folder"):
        write_manifest(*arguments)
    write_tone(audio / files[0])
    with pytest.raises(DataError, match=r"1 of 2 rows .* have no audio .*bb_000005.*allow-missing"):
        write_manifest(*arguments)
    assert not (tmp_path / "m.json").exists()
    assert write_manifest(*arguments, allow_missing=True) == (1, 2)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("vggsound", "a,1,dog\n", "line 1 has 3 columns instead of 4"),
        ("vggsound", "a,1,dog,dev\n", "must be train or test, got 'dev'"),
        ("audioset", 'a, soon, 10, "/m/a"\n', "'soon' is no number of seconds"),
        ("voxceleb", "1 id1/00001.wav\n", "line 1 must read"),
        ("epic-sounds", "video_id,class\n", "lacks the columns start_timestamp"),
    ],
)
def test_broken_tables_are_named(tmp_path, kind, text, message):
    (tmp_path / "t.csv").write_text(text)
    (tmp_path / "audio").mkdir()
    with pytest.raises(DataError, match=message):
        write_manifest(kind, tmp_path / "t.csv", tmp_path / "audio", tmp_path / "m.json")
