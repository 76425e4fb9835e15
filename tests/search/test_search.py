"""Whole searches on tones: rejected, shared, killed, resumed, reported."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

import aum_edge.search.loop as loop
from aum_edge.models.directory import load
from aum_edge.recipe import load_recipe
from aum_edge.search.records import FINISHED, Record, read_records
from tests.search.small_search import OVERRIDES, SPACE, search, write


def errors(capsys) -> list[str]:
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return [line for line in text.splitlines() if line.startswith("aum-edge: ")]


def facts(records: list[Record]) -> list[tuple]:
    return [(r.number, r.state, r.params, r.objectives, r.curve) for r in records]


def test_a_search_resumed_is_the_search_uninterrupted(tmp_path, corpus, capsys) -> None:
    references = {"cp-mobile": {"train.lr": 0.01}}
    file = write(tmp_path, corpus.root, trials=4, references=references)
    assert search(file, tmp_path / "whole", corpus.cache, "--json") == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert sum(" trial " in text and "/4" in text for text in captured.err.splitlines()) == 4
    assert search(file, tmp_path / "parts", corpus.cache, "--trials", "2") == 0
    assert search(file, tmp_path / "parts", corpus.cache) == 0
    records = read_records(tmp_path / "whole")
    assert facts(read_records(tmp_path / "parts")) == facts(records)
    _check_models(tmp_path / "whole", records)
    _check_report(tmp_path / "whole", report)
    _check_commands(report)


def _done(out: Path) -> list[Record]:
    return [record for record in read_records(out) if record.state in FINISHED]


def _check_models(out: Path, records: list[Record]) -> None:
    complete = [record for record in records if record.state == "complete"]
    assert len(complete) == 4
    for record in complete:
        folder = out / "trials" / str(record.number)
        stored = (folder / "model_int8" / "model.safetensors").stat().st_size
        assert record.objectives["bytes"] <= stored <= record.objectives["bytes"] + 8000
        assert load(folder / "model").lineage[-1]["trial"] == record.number
    assert not list((out / "work").iterdir())


def _check_report(out: Path, report: dict) -> None:
    assert json.loads((out / "report" / "report.json").read_text()) == report
    assert {row["number"] for row in report["front"]} <= {0, 1, 2, 3}
    assert report["references"]["cp-mobile"]["state"] == "complete"
    page = (out / "report" / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "cp-mobile" in page
    assert "limit 30 M" in page
    assert "| Trial |" in (out / "report" / "report.md").read_text()


def _check_commands(report: dict) -> None:
    """What the report tells to type is a recipe that builds exactly the model found."""
    for row in report["front"]:
        words = shlex.split(row["command"])
        changes = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
        recipe = load_recipe(Path(words[2]), changes)
        fields = {k: v for k, v in row["params"].items() if "." not in k}
        assert recipe.student.model.overrides == OVERRIDES | fields
        assert recipe.student.train.lr == row["params"]["train.lr"]
        assert recipe.student.train.epochs == 3
        assert recipe.student.distill.kd_lambda == 0


def test_what_is_over_a_limit_is_never_trained(tmp_path, corpus, capsys) -> None:
    limits = tmp_path / "tight.yaml"
    limits.write_text("macs: 36000\nparam_bytes: 128000\n")
    file = write(tmp_path, corpus.root, limits=str(limits), trials=3)
    assert search(file, tmp_path / "out", corpus.cache) == 0
    assert "rejected before training" in capsys.readouterr().out
    records = read_records(tmp_path / "out")
    over = [r for r in records if r.state == "rejected"]
    assert over
    assert all(r.cost["over"]["exact_macs"] > 0 and not r.curve for r in over)
    complete = [r for r in records if r.state == "complete"]
    assert len(complete) == 3
    assert all(r.objectives["macs"] <= 36000 for r in complete)
    report = json.loads((tmp_path / "out" / "report" / "report.json").read_text())
    assert report["counts"]["rejected"] == len(over)


def test_a_space_over_every_limit_says_the_least_it_costs(tmp_path, corpus, capsys) -> None:
    limits = tmp_path / "none.yaml"
    limits.write_text("macs: 1000\n")
    file = write(tmp_path, corpus.root, limits=str(limits))
    assert search(file, tmp_path / "out", corpus.cache) == 3
    (line,) = errors(capsys)
    assert "smallest reachable" in line
    assert "d_model: 8" in line
    assert read_records(tmp_path / "out") == []


def test_hopeless_trials_end_early(tmp_path, corpus, capsys) -> None:
    # The same model with a learning rate that learns and ones that cannot.
    space = {"train.lr": {"choices": [1.0e-2, 1.0e-6, 1.1e-6, 1.2e-6]}}
    train = {"epochs": 4, "batch_size": 6}
    model = {"preset": "student-ssd", "overrides": {**OVERRIDES, "d_model": 16}}
    file = write(
        tmp_path,
        corpus.root,
        space=space,
        student={"model": model, "train": train},
        pruning={"first_epoch": 3, "peers": 1, "keep": 0.2},
        trials=4,
    )
    assert search(file, tmp_path / "out", corpus.cache) == 0
    records = {r.params["train.lr"]: r for r in _done(tmp_path / "out")}
    assert records[1.0e-2].state == "complete"
    pruned = [r for r in records.values() if r.state == "pruned"]
    assert pruned
    assert all(len(r.curve) == 3 and "are ahead" in r.reason and not r.model for r in pruned)


def test_one_objective_takes_optunas_pruner_and_distils(tmp_path, corpus) -> None:
    teacher = {
        "model": {"preset": "aum-mini", "overrides": {"d_model": 8, "depth": 1, "d_state": 2}},
        "train": {"epochs": 1, "batch_size": 12},
    }
    file = write(
        tmp_path,
        corpus.root,
        teacher=teacher,
        objectives=["accuracy"],
        sampler={"kind": "nsga2", "population": 2},
        trials=2,
        space={"d_model": {"choices": [8, 16]}, "distill.kd_lambda": {"low": 0.1, "high": 0.9}},
    )
    assert search(file, tmp_path / "out", corpus.cache) == 0
    assert len(read_records(tmp_path / "out")) == 2
    assert (tmp_path / "out" / "teacher" / "teacher" / "model" / "config.json").is_file()


@pytest.mark.parametrize("url", ["", "sqlite:///{tmp}/base.db"], ids=["journal", "sqlite"])
def test_a_storage_lost_on_the_way_loses_no_trial(
    tmp_path, corpus, capsys, monkeypatch, url
) -> None:
    file, out = write(tmp_path, corpus.root, trials=3), tmp_path / "out"
    storage = ["--storage", url.format(tmp=tmp_path)] if url else []
    place = tmp_path / "base.db" if url else out / "study.journal"
    keep = loop.write_record

    def lose(folder: Path, record: Record) -> None:
        keep(folder, record)
        if len(read_records(folder)) == 2:
            place.unlink()

    monkeypatch.setattr(loop, "write_record", lose)
    assert search(file, out, corpus.cache, *storage) == 1
    (line,) = errors(capsys)
    assert "is gone" in line
    assert place.name in line
    before = read_records(out)
    assert len(before) == 2
    lost = json.loads((out / "report" / "report.json").read_text())
    assert lost["counts"]["complete"] == 2
    monkeypatch.undo()
    assert search(file, out, corpus.cache, "--trials", "0") == 0
    assert search(file, out, corpus.cache, *storage) == 0
    assert facts(read_records(out)[:2]) == facts(before)
    assert len(read_records(out)) == 3


def test_ctrl_c_keeps_what_is_finished_and_gives_the_rest_back(
    tmp_path, corpus, capsys, monkeypatch
) -> None:
    file, out = write(tmp_path, corpus.root), tmp_path / "out"
    real = loop.run_plan

    def stopped(room, plan, work, on_value):
        if plan.number == 1:
            raise KeyboardInterrupt
        return real(room, plan, work, on_value)

    monkeypatch.setattr(loop, "run_plan", stopped)
    assert search(file, out, corpus.cache) == 130
    assert len(read_records(out)) == 1
    monkeypatch.undo()
    assert search(file, out, corpus.cache) == 0
    numbers = [record.number for record in read_records(out)]
    assert numbers == [0, 2, 3]
    assert "Traceback" not in capsys.readouterr().err


def test_a_folder_of_other_trials_is_refused(tmp_path, corpus, capsys) -> None:
    out = tmp_path / "out"
    assert search(write(tmp_path, corpus.root, trials=1), out, corpus.cache) == 0
    capsys.readouterr()
    narrow = write(tmp_path, corpus.root, space={"depth": {"choices": [1]}})
    storage = ("--storage", str(tmp_path / "new.journal"))
    assert search(narrow, out, corpus.cache, *storage) == 1
    assert "give another --out" in errors(capsys)[0]
    assert search(write(tmp_path, corpus.root, name="other"), out, corpus.cache) == 2
    assert "belongs to the recipe `small`" in errors(capsys)[0]


def test_a_used_up_space_ends_the_search(tmp_path, corpus, capsys, monkeypatch) -> None:
    monkeypatch.setattr(loop, "IDLE", 5)
    file = write(tmp_path, corpus.root, space={"depth": {"choices": [1, 2]}}, trials=9)
    assert search(file, tmp_path / "out", corpus.cache) == 0
    assert "seems used up" in capsys.readouterr().err
    states = [record.state for record in read_records(tmp_path / "out")]
    assert states.count("complete") == 2
    assert states[-5:] == ["repeat"] * 5


@pytest.mark.slow
@pytest.mark.parametrize("url", ["", "sqlite:///{tmp}/base.db"], ids=["journal", "sqlite"])
def test_two_processes_share_a_storage_and_one_is_killed(tmp_path, corpus, capsys, url) -> None:
    train = {"epochs": 4, "batch_size": 4}
    model = {"preset": "student-ssd", "overrides": OVERRIDES}
    student = {"model": model, "train": train}
    file = write(
        tmp_path, corpus.root, student=student, trials=5, space=SPACE, pruning={"kind": "none"}
    )
    out, storage = tmp_path / "out", url.format(tmp=tmp_path)
    words = ["--out", str(out), "--cache", str(corpus.cache), *(["--storage", storage] * bool(url))]
    command = [sys.executable, "-m", "aum_edge", "search", str(file), *words]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    ) as other:
        _until(lambda: len(read_records(out)) >= 1, other)
        # The second process comes in while the first one works, and sees it die.
        _until(lambda: any((out / "work").glob("*/last.ckpt")), other)
        other.kill()
        other.communicate()
    more = ("--storage", storage) if url else ()
    assert search(file, out, corpus.cache, *more) == 0
    err = capsys.readouterr().err
    assert "its process is gone, to be run again" in err
    records = read_records(out)
    assert [r.state for r in records] == ["complete"] * 5
    assert len({r.number for r in records}) == 5
    again = max(r.number for r in records)
    assert again == 5
    lost = {0, 1, 2, 3, 4, 5} - {r.number for r in records}
    assert len(lost) == 1


def _until(ready, process: subprocess.Popen) -> None:
    end = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < end
        time.sleep(0.02)
