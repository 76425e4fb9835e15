"""The stage: cut and recover in rounds, resumable, both limits met, everything told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from aum_edge.compression.pruning.cost import model_cost
from aum_edge.errors import CompressionError
from aum_edge.pipeline.read_recipe import load_recipe
from aum_edge.pipeline.run import Run, run_stages
from aum_edge.pipeline.stages import prune
from aum_edge.pipeline.stages.registry import stages_of
from tests.small_run import recipe_text, tones

FEW = "prune.cut.curve_clips=0"
CUT = ["prune.cut.max_bytes=null", "prune.cut.macs_share=0.6", "prune.cut.bytes_share=0.7"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run up to its student."""
    folder = tmp_path_factory.mktemp("prune")
    (folder / "recipe.yaml").write_text(recipe_text(tones(folder / "corpus")))
    run_stages(job(folder, folder / "run"), stages_of("run"), until="distill")
    return folder


def job(folder: Path, out: Path, *overrides: str) -> Run:
    recipe = load_recipe(folder / "recipe.yaml", [*CUT, *overrides])
    return Run(recipe=recipe, out=out, cache_dir=folder / "cache")


def copied(trained: Path, out: Path, *overrides: str) -> Run:
    shutil.copytree(trained / "run", out)
    return job(trained, out, *overrides)


@pytest.fixture(scope="module")
def finished(trained: Path) -> Run:
    """A run that was never stopped."""
    run = copied(trained, trained / "whole")
    run_stages(run, stages_of("run"), until="prune")
    return run


def test_rounds_end_within_both_limits_and_are_told(finished: Run) -> None:
    run = finished
    result = run.result("prune")
    whole, small = model_cost(run.model("distill")), model_cost(run.model("prune"))
    assert small.macs <= 0.6 * whole.macs
    assert small.bytes <= 0.7 * whole.bytes
    first, last = result["rounds"]
    assert whole.macs > first["macs"] > last["macs"] == small.macs
    assert whole.bytes > first["int8_bytes"] > last["int8_bytes"] == small.bytes
    assert result["unpruned"]["macs"] == whole.macs
    assert result["target"] == {
        "macs": pytest.approx(0.6 * whole.macs),
        "int8_bytes": pytest.approx(0.7 * whole.bytes),
    }
    assert [row["epoch"] for row in result["history"]] == [1, 2]
    assert {row["dimension"] for row in result["sensitivity"]} >= {"none", "d_model", "stem"}
    steps = [entry["step"] for entry in run.model("prune").lineage]
    assert steps.count("prune") == 1
    assert run.model("prune").lineage[-1]["after"]["macs"] == small.macs
    json.dumps(result, allow_nan=False)


def test_a_killed_stage_goes_on_where_it_was(
    trained: Path, finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = prune.fit, []

    def killed(*values: Any, title: str, **named: Any) -> Any:
        seen.append(title)
        if "round 2" in title and len(seen) == 2:
            raise KeyboardInterrupt
        return real(*values, title=title, **named)

    monkeypatch.setattr(prune, "fit", killed)
    run = copied(trained, tmp_path / "killed", FEW)
    with pytest.raises(KeyboardInterrupt):
        run_stages(run, stages_of("run"), until="prune")
    run_stages(job(trained, tmp_path / "killed", FEW), stages_of("run"), until="prune")
    assert [title[-12:] for title in seen] == ["round 1 of 2", "round 2 of 2", "round 2 of 2"]
    expected, got = (r.model("prune").state_dict() for r in (finished, run))
    assert all(torch.equal(expected[key], value) for key, value in got.items())


def test_a_target_out_of_reach_is_refused_before_anything_is_done(
    trained: Path, tmp_path: Path
) -> None:
    run = copied(trained, tmp_path / "run", "prune.cut.macs_share=0.001")
    with pytest.raises(CompressionError, match=r"smallest reachable is .* MACs and .* bytes"):
        run_stages(run, stages_of("run"), until="prune")
    assert not (run.folder("prune") / "round-1").exists()
