from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from aum_edge.submission.build import Built
from aum_edge.submission.check.check import sample_rows
from aum_edge.submission.check.files import (
    check_accuracy,
    check_complexity,
    check_meta,
    check_output,
    check_sample,
    check_zip,
)
from aum_edge.submission.file_list import Listing, evaluation_listing
from aum_edge.submission.label import parse_label
from aum_edge.submission.output import HEADER
from tests.submission.scene_models import LABEL

OUTPUT = f"{LABEL}.output.csv"


@pytest.fixture
def listing(evaluation: Path) -> Listing:
    return evaluation_listing(evaluation)


@pytest.fixture
def table(built: Built, tmp_path: Path) -> Path:
    path = tmp_path / OUTPUT
    shutil.copy2(built.out / "task1" / LABEL / OUTPUT, path)
    return path


def test_what_was_built_is_right(table: Path, listing: Listing) -> None:
    assert check_output(table, 2025, listing) == []
    head, *rows = table.read_text(encoding="utf-8").splitlines()
    assert head.split("\t") == list(HEADER)
    assert [row.split("\t")[0] for row in rows] == list(listing.names)


def edit(table: Path, line: int, column: int, value: str) -> None:
    rows = [row.split("\t") for row in table.read_text(encoding="utf-8").splitlines()]
    rows[line][column] = value
    table.write_text("\n".join("\t".join(row) for row in rows) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "column", "value", "why"),
    [
        (0, 1, "label", "must begin with"),
        (3, 0, "audio/1.wav", "1 files more than once"),
        (3, 0, "audio/x.wav", "lacks 1 files"),
        (3, 0, "audio/x.wav", "1 files that are not in it: audio/x.wav"),
        (3, 1, "beach", r"the scene `beach` \(line 4\)"),
        (3, 2, "nan", "NaN"),
        (3, 2, "much", "no number"),
        (3, 2, "1.5", "do not sum to 1"),
        (3, 2, "-0.5", "do not sum to 1"),
        (3, 0, "audio/2.wav\textra", "13 fields instead of 12"),
    ],
)
def test_each_damage_is_found(
    table: Path, listing: Listing, line: int, column: int, value: str, why: str
) -> None:
    edit(table, line, column, value)
    found = check_output(table, 2025, listing)
    assert all(finding.level == "error" for finding in found)
    assert any(re.search(why, finding.what) for finding in found), found


def test_scene_and_order_are_held_to_the_probabilities_and_the_list(
    table: Path, listing: Listing
) -> None:
    rows = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([rows[0], rows[2], rows[1], *rows[3:]]), encoding="utf-8")
    assert "not in the order" in check_output(table, 2025, listing)[0].what
    scene = rows[1].split("\t")[1]
    edit(table, 2, 1, "tram" if scene != "tram" else "bus")
    assert "not the most probable" in check_output(table, 2025, None)[0].what
    table.unlink()
    assert "is missing" in check_output(table, 2025, None)[0].what


def test_rows_are_held_to_what_the_package_predicts(table: Path, listing: Listing) -> None:
    rows = [row.split("\t") for row in table.read_text(encoding="utf-8").splitlines()[1:]]
    names = [row[0] for row in rows[:5]]
    logits = np.log(np.maximum(np.array([row[2:] for row in rows[:5]], dtype=float), 1e-30))
    assert check_sample(table, names, logits.tolist()) == []
    logits[3] = logits[3, ::-1]
    (finding,) = check_sample(table, names, logits.tolist())
    assert f"for 1 of 5 files tried: {names[3]}" in finding.what
    assert sample_rows(1) == [0]
    assert len(sample_rows(56)) == 24
    assert sample_rows(200)[::23] == [0, 199]


def test_stated_complexity_must_be_what_is_counted(built: Built, tmp_path: Path) -> None:
    document = json.loads((built.out / "predictions" / LABEL / "complexity.json").read_text())
    path = tmp_path / "complexity.json"
    path.write_text(json.dumps(document))
    counted = document["per_device"]
    assert check_complexity(path, counted) == []
    other = {**counted, "a": {"MACs": 1, "Params": 2}}
    assert "for device a" in check_complexity(path, other)[0].what
    path.write_text(json.dumps(document | {"max_Params": 1}))
    assert "max_Params" in check_complexity(path, counted)[0].what
    assert "missing" in check_complexity(tmp_path / "none.json", counted)[0].what


def test_accuracy_is_a_percentage(tmp_path: Path) -> None:
    path = tmp_path / "test_accuracy.json"
    assert check_accuracy(path)[0].level == "note"
    path.write_text('{"Test Accuracy": 53.24}')
    assert check_accuracy(path) == []
    path.write_text('{"Test Accuracy": "53 %"}')
    assert check_accuracy(path)[0].level == "error"


def test_the_zip_holds_the_submission_and_nothing_else(built: Built, tmp_path: Path) -> None:
    label = parse_label(LABEL)
    path = tmp_path / f"{label.package}.zip"
    shutil.copy2(built.out / path.name, path)
    outputs = {LABEL: [OUTPUT]}
    assert check_zip(path, label, [LABEL], outputs) == []
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("task1/notes.txt", "x")
    assert "notes.txt" in check_zip(path, label, [LABEL], outputs)[0].what
    second = "Muster_AUM_task1_2"
    lacking = check_zip(path, label, [LABEL, second], outputs | {second: [f"{second}.output.csv"]})
    assert sum("lacks task1/Muster_AUM_task1_2/" in finding.what for finding in lacking) == 2
    path.write_bytes(b"no zip")
    assert "no zip" in check_zip(path, label, [LABEL], outputs)[0].what


def test_a_meta_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    assert "--info and --dev" in check_meta(path, LABEL, 2025)[0].what
    path.write_text("a: [")
    assert "is not YAML" in check_meta(path, LABEL, 2025)[0].what
    path.write_text("- 1")
    assert "holds no" in check_meta(path, LABEL, 2025)[0].what
