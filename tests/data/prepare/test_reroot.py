"""Manifests whose paths were made on another machine."""

from __future__ import annotations

import csv
import json

import pytest

from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.prepare.reroot import reroot
from aum_edge.errors import DataError

OLD = "/data/ada/speech"
FILES = ["yes/1.wav", "yes/2.wav", "no/1.wav", "no/3.wav"]


@pytest.fixture
def audio(tmp_path):
    for name in FILES:
        path = tmp_path / "here" / "deep" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "here"


def aum(tmp_path, names=FILES, old=OLD):
    path = tmp_path / "m.json"
    rows = [{"wav": f"{old}/{name}", "labels": "a", "note": "é"} for name in names]
    path.write_text(json.dumps({"data": rows, "version": 2}))
    return path


def paths(path):
    return [row["wav"] for row in json.loads(path.read_text())["data"]]


def test_files_are_found_by_how_their_paths_end(tmp_path, audio):
    result = reroot(aum(tmp_path), tmp_path / "out.json", audio)
    assert (result.rows, result.found, result.by_name, result.missing) == (4, 4, 0, ())
    assert paths(tmp_path / "out.json") == [str(audio / "deep" / name) for name in FILES]
    whole = json.loads((tmp_path / "out.json").read_text())
    assert whole["version"] == 2
    assert whole["data"][0]["note"] == "é"


def test_the_manifest_may_be_mended_in_place_and_read(tmp_path, audio):
    path = aum(tmp_path)
    with pytest.raises(DataError, match=r"4 of 4 audio files .*`aum-edge data reroot`"):
        load_manifest(DataConfig.of("manifest", path), tmp_path)
    reroot(path, path, audio)
    assert len(load_manifest(DataConfig.of("manifest", path), tmp_path).clips) == 4


def test_a_given_beginning_is_replaced_and_nothing_else_is_tried(tmp_path, audio):
    path = aum(tmp_path)
    result = reroot(path, tmp_path / "out.json", audio / "deep", OLD)
    assert result.found == 4
    with pytest.raises(DataError, match=r"4 of 4 files .*check `--from` and `--to`"):
        reroot(path, tmp_path / "other.json", audio, OLD)
    with pytest.raises(DataError, match="4 of 4 files"):
        reroot(path, tmp_path / "other.json", audio / "deep", "/home/ad")
    assert not (tmp_path / "other.json").exists()


def test_windows_paths_are_understood(tmp_path, audio):
    old = "D:\\sets\\speech"
    path = aum(tmp_path, [name.replace("/", "\\") for name in FILES], old)
    path.write_text(
        path.read_text().replace(f"{json.dumps(old)[1:-1]}/", json.dumps(old + "\\")[1:-1])
    )
    assert reroot(path, tmp_path / "out.json", audio).found == 4
    assert reroot(path, tmp_path / "out.json", audio / "deep", old).found == 4


def test_rows_without_a_file_are_never_lost_silently(tmp_path, audio):
    path = aum(tmp_path, [*FILES, "no/2.wav", "maybe/9.wav"])
    with pytest.raises(DataError, match=r"2 of 6 files .*no/2.wav, .*`--allow-missing`"):
        reroot(path, tmp_path / "out.json", audio)
    assert not (tmp_path / "out.json").exists()
    result = reroot(path, tmp_path / "out.json", audio, allow_missing=True)
    assert result.found == 4
    assert [missing[len(OLD) :] for missing in result.missing] == ["/no/2.wav", "/maybe/9.wav"]
    assert len(paths(tmp_path / "out.json")) == 4


def test_a_name_that_another_folder_has_is_not_taken_for_the_file(tmp_path, audio):
    (audio / "deep" / "no" / "1.wav").unlink()
    with pytest.raises(DataError, match=r"1 of 4 files .*no/1.wav"):
        reroot(aum(tmp_path), tmp_path / "out.json", audio)


def test_a_file_that_is_there_twice_is_not_guessed(tmp_path, audio):
    copy = audio / "copy" / "yes" / "1.wav"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"other")
    with pytest.raises(DataError, match=r"1 of 4 files .* more than once: .*yes/1.wav"):
        reroot(aum(tmp_path), tmp_path / "out.json", audio)


def test_unique_names_are_found_in_other_folders_and_counted(tmp_path, audio):
    path = aum(tmp_path, ["a/2.wav", "b/3.wav"])
    result = reroot(path, tmp_path / "out.json", audio)
    assert (result.found, result.by_name) == (2, 2)


def test_csv_keeps_its_columns_and_delimiter(tmp_path, audio):
    source = tmp_path / "m.tsv"
    lines = ["path\tlabel\tmood", *(f"{OLD}/{name}\ta, b\tgood" for name in FILES)]
    source.write_text("\n".join(lines))
    assert reroot(source, tmp_path / "out.tsv", audio).found == 4
    with (tmp_path / "out.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert rows[3] == {"path": str(audio / "deep/no/3.wav"), "label": "a, b", "mood": "good"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.json", "{", "is no manifest"),
        ("m.json", '{"rows": []}', "must hold a list of objects"),
        ("m.json", "[]", "must hold a list of objects"),
        ("m.json", '[{"path": "a.wav"}, {"label": "x"}]', "must have a `path` or `wav`"),
        ("m.csv", "file,label\na.wav,x\n", "must have a `path` or `wav`"),
        ("m.csv", "path,label\n", "must hold a list of objects"),
    ],
)
def test_broken_manifests_are_named(tmp_path, audio, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        reroot(tmp_path / name, tmp_path / f"out{name[1:]}", audio)


def test_wrong_folders_and_kinds(tmp_path, audio):
    with pytest.raises(DataError, match="There is no folder"):
        reroot(aum(tmp_path), tmp_path / "out.json", tmp_path / "gone")
    with pytest.raises(DataError, match=r"out.csv must end in .json"):
        reroot(aum(tmp_path), tmp_path / "out.csv", audio)
    with pytest.raises(DataError, match="cannot be read"):
        reroot(tmp_path / "no.json", tmp_path / "out.json", audio)
