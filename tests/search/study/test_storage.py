"""Storages that are foreign, gone or half written: one line, and nothing of anybody is lost."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from pathlib import Path

import pytest
from optuna.storages import RetryHeartbeatStaleTrialCallback

from aum_edge.errors import RecipeError, SearchError
from aum_edge.search.records import Record
from aum_edge.search.study.storage import open_storage, require_storage, storage_errors
from aum_edge.search.study.study import SharedStudy
from tests.core.test_locks import go, python, said
from tests.search.small_search import SPACE, recipe


def line(caught) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


def foreign_database(path: Path) -> str:
    with sqlite3.connect(path) as base:
        base.execute("create table songs (title text)")
    return f"sqlite:///{path}"


@pytest.mark.parametrize("content", [b"shopping list", b"eggs\nmilk\n", b'{"a": 1}\n{"b": 2}\n'])
def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path, content) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    with pytest.raises(SearchError, match="no journal") as caught:
        open_storage(str(file), tmp_path)
    assert line(caught).count("notes.txt") >= 1
    assert file.read_bytes() == content


def test_a_foreign_database_is_refused_and_left_as_it_is(tmp_path) -> None:
    url = foreign_database(tmp_path / "songs.db")
    before = (tmp_path / "songs.db").read_bytes()
    with pytest.raises(SearchError, match="other tables: songs") as caught:
        open_storage(url, tmp_path)
    line(caught)
    assert (tmp_path / "songs.db").read_bytes() == before
    with pytest.raises(SearchError, match="sqlite:///"):
        open_storage(str(tmp_path / "songs.db"), tmp_path)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("nosuch://host/base", RecipeError, "no URL of a database"),
        ("sqlite:///{tmp}/none/base.db", SearchError, "no folder"),
        ("{tmp}/none/base.journal", SearchError, "no folder"),
        ("{tmp}", SearchError, "cannot be used"),
    ],
)
def test_what_cannot_be_opened_is_one_line(tmp_path, text, kind, words) -> None:
    with pytest.raises(kind, match=words) as caught:
        open_storage(text.format(tmp=tmp_path), tmp_path)
    line(caught)


def test_a_file_that_is_no_database_is_one_line(tmp_path) -> None:
    file = tmp_path / "x.db"
    file.write_bytes(b"not a database at all, but long enough to be read as a header" * 20)
    with pytest.raises(SearchError) as caught:
        open_storage(f"sqlite:///{file}", tmp_path)
    line(caught)


OPEN = """
import sys
from pathlib import Path
from aum_edge.search.study.storage import open_storage
print("ready", flush=True)
sys.stdin.readline()
storage, _ = open_storage(sys.argv[1], Path(sys.argv[2]))
print(storage.get_all_studies(), flush=True)
"""


def test_processes_that_make_a_database_at_once_all_open_it(tmp_path) -> None:
    for number in range(2):
        url = f"sqlite:///{tmp_path}/{number}.db"
        with ExitStack() as stack:
            started = [stack.enter_context(python(OPEN, url, tmp_path)) for _ in range(4)]
            assert [said(process) for process in started] == ["ready"] * 4
            for process in started:
                go(process)
            assert [said(process) for process in started] == ["[]"] * 4
            assert [process.wait(60) for process in started] == [0] * 4
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".db"] * 2


@pytest.fixture(params=["", "sqlite:///{tmp}/base.db"], ids=["journal", "sqlite"])
def study(request, tmp_path, corpus) -> SharedStudy:
    made = recipe(tmp_path, corpus.root)
    return SharedStudy(made, request.param.format(tmp=tmp_path), tmp_path)


def storage_file(tmp_path: Path) -> Path:
    found = [tmp_path / name for name in ("study.journal", "base.db")]
    return next(path for path in found if path.exists())


def finished(number: int) -> Record:
    values = {"accuracy": 0.5, "macs": 10.0, "bytes": 10.0}
    return Record(
        number=number, state="complete", key="k", params={"mixer": "s6"}, objectives=values
    )


def test_a_storage_that_vanishes_is_noticed_at_the_next_word(study, tmp_path) -> None:
    trial, _ = study.ask()
    storage_file(tmp_path).unlink()
    for word in (study.trials, study.ask, lambda: study.tell(trial, finished(0))):
        with pytest.raises(SearchError, match="is gone") as caught:
            word()
        line(caught)
    assert not (tmp_path / "study.journal").exists()
    assert not (tmp_path / "base.db").exists()


def test_half_a_line_of_a_crash_is_cut_off(tmp_path, corpus) -> None:
    made = recipe(tmp_path, corpus.root)
    study = SharedStudy(made, "", tmp_path)
    trial, _ = study.ask()
    journal = tmp_path / "study.journal"
    with journal.open("ab") as file:
        file.write(b'{"op_code":5,"worker_id":"x","trial_')
    again = SharedStudy(made, "", tmp_path)
    again.note(trial, "curve", [0.5])
    assert study.trials()[0].user_attrs["curve"] == [0.5]
    assert SharedStudy(made, "", tmp_path).trials()[0].user_attrs["curve"] == [0.5]


def test_another_recipes_study_of_the_same_name_is_refused(study, tmp_path, corpus) -> None:
    storage = study.where if "://" in study.where else ""
    longer = {"train": {"epochs": 2, "batch_size": 12}}
    for changes in ({"space": {**SPACE, "depth": {"choices": [1]}}}, {"student": longer}):
        other = recipe(tmp_path, corpus.root, **changes)
        with pytest.raises(SearchError, match="study of another recipe") as caught:
            SharedStudy(other, storage, tmp_path)
        line(caught)
    renamed = recipe(tmp_path, corpus.root, name="small-two", space={"depth": {"choices": [1]}})
    assert SharedStudy(renamed, storage, tmp_path).trials() == []


def test_what_does_not_change_a_trial_may_differ(study, tmp_path, corpus) -> None:
    study.ask()
    storage = study.where if "://" in study.where else ""
    other = recipe(
        tmp_path, corpus.root, trials=99, sampler={"kind": "nsga2"}, pruning={"kind": "none"}
    )
    assert len(SharedStudy(other, storage, tmp_path).trials()) == 1


def test_other_data_or_another_teacher_is_refused(study, tmp_path) -> None:
    study.bind("a" * 64)
    study.bind("a" * 64)
    with pytest.raises(SearchError, match="other data or another teacher") as caught:
        study.bind("b" * 64)
    line(caught)


def test_a_lost_study_is_filled_from_records_under_their_numbers(study) -> None:
    assert study.fill([finished(1), finished(3)]) == 2
    assert study.fill([finished(1)]) == 0
    trials = study.trials()
    assert [t.values for t in trials] == [None, [0.5, 10.0, 10.0], None, [0.5, 10.0, 10.0]]
    assert study.ask()[0].number == 4


def test_a_dead_processs_trial_is_run_again_with_its_values(study) -> None:
    trial, params = study.ask()
    study.note(trial, "worker", {**study.worker, "started": 1.0})
    assert study.reap() == [0]
    assert study.reap() == []
    again, values = study.ask()
    assert (again.number, values) == (1, params)
    assert study.work_of(again) == 0
    # What the first process still says of it changes nothing.
    assert not study.tell(trial, finished(0))
    assert study.tell(again, finished(1))


def test_a_trial_that_kills_its_processes_is_given_up(study) -> None:
    for number in range(4):
        trial, _ = study.ask()
        assert trial.number == number
        study.release(number)
    study.ask()
    retried = [RetryHeartbeatStaleTrialCallback.retry_history(t) for t in study.trials()]
    assert retried == [[], [0], [0, 1], [0, 1, 2], []]


def test_only_storage_trouble_is_translated(tmp_path) -> None:
    with pytest.raises(ZeroDivisionError), storage_errors("x"):
        raise ZeroDivisionError
    with pytest.raises(RecipeError), storage_errors("x"):
        raise RecipeError("as it is")
    for mistake in (AttributeError, KeyError, TypeError, ValueError):
        with pytest.raises(mistake), storage_errors("x"):
            raise mistake("of ours")
    storage, _ = open_storage("", tmp_path)
    require_storage(storage)
