from __future__ import annotations

import json
import logging

import pytest

from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.manifest import validate
from aum_edge.errors import DataError


@pytest.fixture
def folder(tmp_path, write_tone):
    for number in range(12):
        write_tone(tmp_path / "wavs" / f"{number}.wav", 1.0, seed=number)
    return tmp_path


def load(path, **values):
    return load_manifest(DataConfig.of("manifest", path, **values), path.parent)


def write(folder, text, name="m.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_all_columns_are_read_and_others_said(folder, caplog):
    lines = ["path,label,split,device,start,end,mood"]
    for number in range(12):
        split = ("train", "train", "val", "test")[number % 4]
        lines.append(f"wavs/{number}.wav,{'xy'[number // 4 % 2]},{split},b,0.25,0.75,good")
    with caplog.at_level(logging.INFO):
        manifest = load(write(folder, "\n".join(lines)))
    validate(manifest)
    clip = manifest.clips[0]
    assert (clip.path, clip.label, clip.split) == (folder / "wavs/0.wav", "x", "train")
    assert (clip.device, clip.start, clip.end) == ("b", 0.25, 0.75)
    assert "not used: mood" in caplog.text


def test_tabs_and_rows_without_splits(folder):
    lines = ["label\tpath", *(f"{'xy'[n % 2]}\twavs/{n}.wav" for n in range(12))]
    manifest = load(write(folder, "\n".join(lines), "m.tsv"))
    validate(manifest)
    assert len(manifest.split("test")) == 2


def test_segments_of_one_file_are_clips_of_their_own_in_one_group(folder):
    text = "path,label,start,end\nwavs/0.wav,x,0,0.5\nwavs/0.wav,x,0.5,1\n"
    first, second = load(write(folder, text)).clips
    assert first.clip_id != second.clip_id
    assert first.group == second.group
    joined = "path,label,start,end,clip_id\nwavs/0.wav,x,0,0.5,c\nwavs/0.wav,x,0.5,1,c\n"
    assert [clip.clip_id for clip in load(write(folder, joined)).clips] == ["c", "c"]


def test_json_lists_and_aums_own_form(folder):
    rows = [{"path": f"wavs/{n}.wav", "label": "xy"[n % 2], "end": 0.5} for n in range(12)]
    (folder / "m.json").write_text(json.dumps(rows))
    assert load(folder / "m.json").clips[0].end == 0.5
    aum = {"data": [{"wav": f"wavs/{n}.wav", "labels": f"/m/0{n % 2}"} for n in range(12)]}
    (folder / "aum.json").write_text(json.dumps(aum))
    assert load(folder / "aum.json").labels == ("/m/00", "/m/01")
    (folder / "class_labels_indices.csv").write_text(
        'index,mid,display_name\n0,/m/00,"Speech, male"\n1,/m/01,Dog\n'
    )
    assert load(folder / "aum.json").labels == ("Speech, male", "Dog")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,split\nwavs/0.wav,train\n", "lacks the column label; it has path, split"),
        ("path,label\n", "has no rows"),
        ("path,label,split\nwavs/0.wav,x,dev\n", "line 2: `split` must be train, val or test"),
        ("path,label,start\nwavs/0.wav,x,soon\n", "line 2: `start` must be seconds"),
        ("path,label,start\nwavs/0.wav,x,-1\n", "line 2: `start` must be seconds"),
        ("path,label,start,end\nwavs/0.wav,x,2,1\n", "line 2: `end` 1 s is not after"),
        ("path,label\nwavs/0.wav,\n", "line 2: `label` is empty"),
        ("path,label\nwavs/0.wav\n", "line 2: the header has 2 columns"),
        ("path,label\nwavs/0.wav,x\nwavs/0.wav,x\n", "1 rows given more than once"),
        ("path,label\nwavs/none.wav,x\n", "1 of 1 audio files that are not there"),
    ],
)
def test_csv_errors_name_the_line(folder, text, message):
    with pytest.raises(DataError, match=message):
        load(write(folder, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ('{"rows": []}', "must hold a list of objects"),
        ('{"data": [{"wav": "a.wav", "labels": "/m/1,"}]}', "entry 1: `label` is empty"),
        ('{"data": [{"wav": "a.wav", "labels": ""}]}', "entry 1: `label` is empty"),
    ],
)
def test_json_errors(folder, text, message):
    with pytest.raises(DataError, match=message):
        load(write(folder, text, "m.json"))


def test_other_files_and_no_file(folder):
    (folder / "bytes.csv").write_bytes(b"\xff\xfe\x00\xd8\x80")
    with pytest.raises(DataError, match=r"is not a CSV file in UTF-8"):
        load(folder / "bytes.csv")
    with pytest.raises(DataError, match=r"There is no manifest .*gone.csv: a .csv"):
        load(folder / "gone.csv")
