"""The engine: what is done is kept, what is stale is redone, what was killed goes on."""

from __future__ import annotations

import errno
import json
import os
import platform
from types import SimpleNamespace

import pytest

from aum_edge.errors import AumEdgeError, DiskError, RecipeError
from aum_edge.pipeline.recipe import Recipe
from aum_edge.pipeline.run import Run, Stage, run_stages
from tests.core.test_locks import go, python, said


class Work:
    """Counts how often each stage ran; ``fail`` makes one raise."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.fail: str | None = None

    def stage(self, name: str, needs: tuple[str, ...], key: str) -> Stage:
        def work(run, folder):
            self.ran.append(name)
            (folder / "draft.txt").write_text(name)
            if self.fail == name:
                raise KeyboardInterrupt
            return {"value": name}

        return Stage(name=name, needs=needs, settings=lambda r: getattr(r, key), work=work)

    def stages(self) -> tuple[Stage, ...]:
        return (
            self.stage("data", (), "name"),
            self.stage("teacher", ("data",), "seed"),
            self.stage("control", ("data",), "seed"),
            self.stage("report", ("teacher", "control"), "limits"),
        )


def job(out, **fields) -> Run:
    run = Run(recipe=Recipe(name="x", **fields), out=out, cache_dir=out / "cache")
    run.__dict__["data"] = SimpleNamespace(fingerprint="f")
    return run


def test_a_second_run_does_nothing(tmp_path) -> None:
    work = Work()
    run_stages(job(tmp_path / "o"), work.stages())
    again = run_stages(job(tmp_path / "o"), work.stages())
    assert work.ran == ["data", "teacher", "control", "report"]
    assert all(row["resumed"] for row in again)


def test_a_change_redoes_only_what_depends_on_it(tmp_path) -> None:
    work = Work()
    run_stages(job(tmp_path / "o"), work.stages())
    work.ran.clear()
    run_stages(job(tmp_path / "o", limits="dcase2024"), work.stages())
    assert work.ran == ["report"]
    work.ran.clear()
    run_stages(job(tmp_path / "o", limits="dcase2024", seed=5), work.stages())
    assert work.ran == ["teacher", "control", "report"]


def test_from_redoes_that_stage_and_its_dependants(tmp_path) -> None:
    work = Work()
    run_stages(job(tmp_path / "o"), work.stages())
    work.ran.clear()
    run_stages(job(tmp_path / "o"), work.stages(), start="teacher")
    assert work.ran == ["teacher", "report"]


def test_a_killed_stage_keeps_its_folder_and_goes_on(tmp_path) -> None:
    work = Work()
    work.fail = "teacher"
    with pytest.raises(KeyboardInterrupt):
        run_stages(job(tmp_path / "o"), work.stages())
    assert (tmp_path / "o" / "teacher" / "draft.txt").exists()
    assert not (tmp_path / "o" / "teacher" / "stage.json").exists()
    assert not (tmp_path / "o" / "run.lock").exists()
    work.fail = None
    run_stages(job(tmp_path / "o"), work.stages())
    assert work.ran == ["data", "teacher", "teacher", "control", "report"]


def test_leftovers_of_another_setting_are_not_reused(tmp_path) -> None:
    work = Work()
    work.fail = "teacher"
    with pytest.raises(KeyboardInterrupt):
        run_stages(job(tmp_path / "o"), work.stages())
    (tmp_path / "o" / "teacher" / "old.ckpt").write_text("of seed 0")
    work.fail = None
    run_stages(job(tmp_path / "o", seed=1), work.stages())
    assert not (tmp_path / "o" / "teacher" / "old.ckpt").exists()


def test_until_stops_after_that_stage(tmp_path) -> None:
    work = Work()
    run_stages(job(tmp_path / "o"), work.stages(), until="teacher")
    assert work.ran == ["data", "teacher"]


def test_a_damaged_record_is_redone(tmp_path) -> None:
    work = Work()
    run_stages(job(tmp_path / "o"), work.stages())
    (tmp_path / "o" / "teacher" / "stage.json").write_text("{half")
    work.ran.clear()
    run_stages(job(tmp_path / "o"), work.stages())
    assert work.ran == ["teacher"]


def test_every_record_says_what_made_it(tmp_path) -> None:
    run_stages(job(tmp_path / "o"), Work().stages())
    record = json.loads((tmp_path / "o" / "teacher" / "stage.json").read_text())
    assert record["result"] == {"value": "teacher"}
    assert record["seed"] == 0
    assert record["environment"]["torch"]


def test_a_folder_of_another_recipe_is_refused(tmp_path) -> None:
    run_stages(job(tmp_path / "o"), Work().stages())
    other = Run(recipe=Recipe(name="y"), out=tmp_path / "o", cache_dir=tmp_path)
    with pytest.raises(RecipeError, match="belongs to the recipe `x`"):
        run_stages(other, Work().stages())


def test_a_folder_of_foreign_files_is_refused(tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RecipeError, match="other files"):
        run_stages(job(tmp_path), Work().stages())
    assert (tmp_path / "thesis.txt").read_text() == "mine"


HOLD = """
import sys
from pathlib import Path
from types import SimpleNamespace
from aum_edge.errors import AumEdgeError
from aum_edge.pipeline.recipe import Recipe
from aum_edge.pipeline.run import Run, Stage, run_stages

def work(run, folder):
    print("works", flush=True)
    sys.stdin.readline()
    return {}

run = Run(recipe=Recipe(name="x"), out=Path(sys.argv[1]), cache_dir=Path(sys.argv[1]))
run.__dict__["data"] = SimpleNamespace(fingerprint="f")
sys.stdin.readline()
try:
    run_stages(run, (Stage(name="data", needs=(), settings=lambda r: 0, work=work),))
except AumEdgeError as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
"""


def test_of_two_runs_that_start_at_once_one_works(tmp_path) -> None:
    out = tmp_path / "o"
    with python(HOLD, out) as one, python(HOLD, out) as two:
        go(one)
        go(two)
        said_by = {process: said(process) for process in (one, two)}
        (worker,) = [process for process, line in said_by.items() if line == "works"]
        (other,) = [process for process in (one, two) if process is not worker]
        held_by = f"Process {worker.pid} on {platform.node()} works in {out}: wait for it"
        assert said_by[other].startswith(held_by)
        assert other.wait(60) == 1
        go(worker)
        assert worker.wait(60) == 0
    assert not (out / "run.lock").exists()


def test_a_folder_in_use_is_refused_until_its_process_is_gone(tmp_path) -> None:
    out = tmp_path / "o"
    run_stages(job(out), Work().stages())
    with python(HOLD, out) as process:
        go(process)
        assert said(process) == "works"
        with pytest.raises(AumEdgeError, match=f"Process {process.pid} on .* works in") as caught:
            run_stages(job(out), Work().stages())
        assert caught.value.exit_code == 1
    # It was killed.
    assert (out / "run.lock").exists()
    run_stages(job(out), Work().stages())


@pytest.mark.parametrize("text", ["999999999\n", "1\n", "", "shopping list"])
def test_a_lock_file_that_nobody_holds_is_taken_over(tmp_path, text) -> None:
    out = tmp_path / "o"
    run_stages(job(out), Work().stages())
    (out / "run.lock").write_text(text)
    assert all(row["resumed"] for row in run_stages(job(out), Work().stages()))


def test_a_disk_that_is_full_while_a_folder_is_taken_leaves_it_usable(
    tmp_path, monkeypatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskError, match=r"recipe\.yaml"):
            run_stages(job(tmp_path / "o"), Work().stages())
    assert not list((tmp_path / "o").iterdir())
    run_stages(job(tmp_path / "o"), Work().stages())


def test_what_a_kill_leaves_while_a_folder_is_taken_is_no_other_file(tmp_path) -> None:
    out = tmp_path / "o"
    out.mkdir()
    for name in ("run.lock", ".recipe.yaml.draft", ".recipe.yaml.lock", "recipe.yaml.tmp"):
        (out / name).write_text("half")
    run_stages(job(out), Work().stages())
    assert not list(out.glob(".*"))


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "\x80"])
def test_a_damaged_recipe_file_is_one_line(tmp_path, text) -> None:
    out = tmp_path / "o"
    out.mkdir()
    (out / "recipe.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(RecipeError, match=r"recipe.yaml is damaged: give another --out"):
        run_stages(job(out), Work().stages())


def test_an_unknown_stage_names_the_known_ones(tmp_path) -> None:
    with pytest.raises(RecipeError, match="data, teacher, control, report"):
        run_stages(job(tmp_path / "o"), Work().stages(), start="lunch")
