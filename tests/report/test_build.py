from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from aum_edge.errors import AumEdgeError
from aum_edge.report.build import write_report
from tests.report.sample import minimal, sample


def test_three_files_and_nothing_else(tmp_path: Path) -> None:
    path = write_report(sample(), tmp_path / "new" / "report")
    assert path == tmp_path / "new" / "report" / "report.html"
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "report.html",
        "report.json",
        "report.md",
    ]
    assert json.loads((path.parent / "report.json").read_text()) == sample()


def test_a_refused_report_leaves_the_old_files(tmp_path: Path) -> None:
    write_report(minimal(), tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    broken = minimal()
    del broken["verdict"]
    with pytest.raises(AumEdgeError, match="`verdict` is missing"):
        write_report(broken, tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_full_disk_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(minimal(), tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    syncs = iter([None, None, OSError(28, "No space left on device")])

    def full(handle: int) -> None:
        error = next(syncs)
        if error:
            raise error

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AumEdgeError, match="No space left on device"):
        write_report(minimal() | {"title": "new"}, tmp_path)
    assert next(syncs, "none left") == "none left"
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_file_in_the_way_is_one_clear_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(AumEdgeError, match="Cannot write the report into"):
        write_report(minimal(), blocked)


def test_values_without_a_json_form_are_refused(tmp_path: Path) -> None:
    report = minimal()
    report["recipe"]["resolved"] = {"root": tmp_path}
    with pytest.raises(AumEdgeError, match="no form"):
        write_report(report, tmp_path)


def test_the_same_report_gives_the_same_files(tmp_path: Path) -> None:
    one, two = (write_report(minimal(), tmp_path / name) for name in ("a", "b"))
    assert one.read_bytes() == two.read_bytes()
