"""Records on disk, and the front they give."""

from __future__ import annotations

from pathlib import Path

from aum_edge.search.records import Record, read_records, trial_folder, write_record
from aum_edge.search.summary import front

NAMES = ("accuracy", "macs", "bytes")


def made(number: int, accuracy: float, macs: float, size: float, state: str = "complete") -> Record:
    objectives = {"accuracy": accuracy, "macs": macs, "bytes": size}
    return Record(number=number, state=state, key="k", params={}, objectives=objectives)


def test_the_front_holds_what_nothing_dominates() -> None:
    records = [
        made(0, 0.9, 100, 100),
        made(1, 0.8, 50, 100),
        made(2, 0.8, 60, 100),
        made(3, 0.7, 200, 10),
        made(4, 0.95, 1, 1, state="pruned"),
        made(5, 0.9, 100, 100),
    ]
    assert [record.number for record in front(records, NAMES)] == [0, 1, 3]
    assert [record.number for record in front(records, ("accuracy",))] == [0]


def test_records_survive_damage_beside_them(tmp_path: Path) -> None:
    for number in (3, 1):
        write_record(tmp_path, made(number, 0.5, 1, 1))
    damaged = trial_folder(tmp_path, 2)
    damaged.mkdir()
    (damaged / "record.json").write_text('{"number": 2, "sta')
    (trial_folder(tmp_path, 7)).mkdir()
    assert read_records(tmp_path) == [made(1, 0.5, 1, 1), made(3, 0.5, 1, 1)]
    assert read_records(tmp_path / "nowhere") == []
