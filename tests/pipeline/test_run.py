"""The engine: what is done is kept, what is stale is redone, what was killed goes on."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

from aum_edge.errors import AumEdgeError, RecipeError
from aum_edge.pipeline.recipe import Recipe
from aum_edge.pipeline.run import Run, Stage, run_stages


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


def test_a_folder_in_use_is_refused(tmp_path) -> None:
    out = tmp_path / "o"
    run_stages(job(out), Work().stages())
    (out / "run.lock").write_text(f"{os.getppid()}\n")
    with pytest.raises(AumEdgeError, match="works in"):
        run_stages(job(out), Work().stages())


def test_a_lock_of_a_dead_process_is_taken_over(tmp_path) -> None:
    out = tmp_path / "o"
    run_stages(job(out), Work().stages())
    (out / "run.lock").write_text("999999999\n")
    assert all(row["resumed"] for row in run_stages(job(out), Work().stages()))


def test_an_unknown_stage_names_the_known_ones(tmp_path) -> None:
    with pytest.raises(RecipeError, match="data, teacher, control, report"):
        run_stages(job(tmp_path / "o"), Work().stages(), start="lunch")
