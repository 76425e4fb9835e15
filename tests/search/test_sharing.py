"""Searches that are shared, killed, stopped, or lose their storage on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import aum_edge.search.loop as loop
from aum_edge.search.context import SearchContext
from aum_edge.search.records import FINISHED, Record, read_records
from aum_edge.search.trial import TrialPlan, make_plan, run_plan
from tests.search.small_search import OVERRIDES, errors, facts, recipe, search, write

LONGER = {
    "model": {"preset": "student-ssd", "overrides": OVERRIDES},
    "train": {"epochs": 4, "batch_size": 4},
}


@pytest.mark.slow
def test_two_processes_share_the_trials_of_a_journal(tmp_path, corpus) -> None:
    file = write(tmp_path, corpus.root, student=LONGER, trials=6, pruning={"kind": "none"})
    out, cache = tmp_path / "out", corpus.cache
    with _process(file, "--out", str(out), "--cache", str(cache)) as other:
        _until(lambda: len(read_records(out)) >= 1, other)
        assert search(file, out, cache) == 0
        assert other.wait(300) == 0, other.stderr.read() if other.stderr else ""
    records = read_records(out)
    assert [r.number for r in records if r.state in FINISHED] == [0, 1, 2, 3, 4, 5]
    assert {r.pid for r in records} == {os.getpid(), other.pid}
    assert len({json.dumps(r.params) for r in records}) == len(records)


@pytest.mark.slow
def test_a_killed_processs_trial_is_run_again(tmp_path, corpus, capsys) -> None:
    file = write(tmp_path, corpus.root, student=LONGER, trials=4, pruning={"kind": "none"})
    out, cache, storage = tmp_path / "out", corpus.cache, f"sqlite:///{tmp_path}/base.db"
    with _process(file, "--out", str(out), "--cache", str(cache), "--storage", storage) as other:
        _until(lambda: len(read_records(out)) >= 1, other)
        _until(lambda: _amid(other, out), other)
        other.kill()
    killed = {record.number for record in read_records(out)}
    # Another folder, as on another machine: what the first one finished is in the storage.
    assert search(file, tmp_path / "mine", cache, "--storage", storage, "--json") == 0
    captured = capsys.readouterr()
    assert "its process is gone, to be run again" in captured.err
    report = json.loads(captured.out)
    numbers = {row["number"] for row in report["trials"]}
    assert report["counts"]["complete"] == 4
    assert killed < numbers
    assert max(numbers) == 4
    assert {r.number for r in read_records(tmp_path / "mine")} == numbers - killed


def _process(file: Path, *words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "aum_edge", "search", str(file), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def _amid(process: subprocess.Popen, out: Path) -> bool:
    """Whether the process, which is stopped then, is in a trial that it has not written down."""
    process.send_signal(signal.SIGSTOP)
    done = {str(record.number) for record in read_records(out)}
    if any(path.parent.name not in done for path in (out / "work").glob("*/last.ckpt")):
        return True
    process.send_signal(signal.SIGCONT)
    return False


def _until(ready, process: subprocess.Popen) -> None:
    end = time.monotonic() + 300
    while not ready():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_storage_lost_on_the_way_loses_no_trial(tmp_path, corpus, capsys, monkeypatch) -> None:
    file, out = write(tmp_path, corpus.root, trials=3), tmp_path / "out"
    place = out / "study.journal"
    keep = loop.write_record

    def lose(folder: Path, record: Record) -> None:
        keep(folder, record)
        if len(read_records(folder)) == 2:
            place.unlink()

    monkeypatch.setattr(loop, "write_record", lose)
    assert search(file, out, corpus.cache) == 1
    (line,) = errors(capsys)
    assert "is gone" in line
    assert place.name in line
    before = read_records(out)
    assert len(before) == 2
    lost = json.loads((out / "report" / "report.json").read_text())
    assert lost["counts"]["complete"] == 2
    monkeypatch.setattr(loop, "write_record", keep)
    assert search(file, out, corpus.cache, "--trials", "0") == 0
    assert search(file, out, corpus.cache) == 0
    assert facts(read_records(out)[:2]) == facts(before)
    assert len(read_records(out)) == 3


def test_ctrl_c_keeps_what_is_finished_and_gives_the_rest_back(
    tmp_path, corpus, capsys, monkeypatch
) -> None:
    file, out = write(tmp_path, corpus.root), tmp_path / "out"
    real = loop.run_plan

    def stopped(context, plan, work, on_value):
        if plan.number == 1:
            raise KeyboardInterrupt
        return real(context, plan, work, on_value)

    monkeypatch.setattr(loop, "run_plan", stopped)
    assert search(file, out, corpus.cache) == 130
    assert len(read_records(out)) == 1
    monkeypatch.setattr(loop, "run_plan", real)
    assert search(file, out, corpus.cache) == 0
    numbers = [record.number for record in read_records(out)]
    assert numbers == [0, 2, 3]
    assert "Traceback" not in capsys.readouterr().err


def test_epochs_of_other_values_are_not_gone_on_from(tmp_path, corpus) -> None:
    context = SearchContext(recipe(tmp_path, corpus.root), tmp_path / "out", corpus.cache)
    work, params = tmp_path / "out" / "work" / "0", {"mixer": "none", "d_model": 16}
    fresh = _trained(context, params, work)
    assert _trained(context, params, work) == fresh
    other = _trained(context, {**params, "d_model": 8}, work)
    assert other.state == "complete"
    assert other.val == _trained(context, {**params, "d_model": 8}, tmp_path / "elsewhere").val


def _trained(context: SearchContext, params: dict, work: Path) -> Record:
    plan = make_plan(context, 0, params)
    assert isinstance(plan, TrialPlan)
    record = run_plan(context, plan, work, lambda curve: "")
    return replace(record, seconds=0.0, finished="")
