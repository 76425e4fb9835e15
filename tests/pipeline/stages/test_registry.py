"""Stages: found by themselves, in an order in which each comes after those that it needs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

import aum_edge.pipeline.stages as stages_package
from aum_edge.compression.quantization.config import StaticConfig
from aum_edge.errors import RecipeError
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.pipeline.recipe import Recipe
from aum_edge.pipeline.run import Run, run_stages
from aum_edge.pipeline.stages.registry import stages_of

ORDER = "data teacher distill prune quantize control devices export bench report".split()
TOY = """
from aum_edge.pipeline.run import Stage


def work(run, folder):
    (folder / "toy.txt").write_text(run.recipe.name)
    return {"made": 1}


STAGES = (Stage(name="toy", needs=(), settings=lambda r: r.seed, work=work),)
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One new file, and nothing else."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy.py").write_text(TOY)
    monkeypatch.setattr(
        stages_package, "__path__", [*stages_package.__path__, str(tmp_path / "more")]
    )
    yield
    sys.modules.pop("aum_edge.pipeline.stages.toy", None)


def test_the_stages_of_a_run_come_after_what_they_need() -> None:
    stages = stages_of("run")
    assert [stage.name for stage in stages] == ORDER
    for index, stage in enumerate(stages):
        assert set(stage.needs) <= set(ORDER[:index])
    assert [stage.name for stage in stages_of("pretrain")] == ["data", "pretrain"]


def test_a_new_file_is_a_stage(toy: None, tmp_path: Path) -> None:
    run = Run(recipe=Recipe(name="x"), out=tmp_path / "out", cache_dir=tmp_path)
    run.__dict__["data"] = SimpleNamespace(fingerprint="f")
    assert {stage.name for stage in stages_of("run")} == {*ORDER, "toy"}
    done = run_stages(run, stages_of("run"), until="toy")
    assert [row["name"] for row in done] == ["toy"], "what it does not need is not run"
    assert (tmp_path / "out" / "toy" / "toy.txt").read_text() == "x"
    assert run.result("toy") == {"made": 1}


def test_static_int8_is_part_of_the_export_stages_key_alone_and_where_it_is_asked_for() -> None:
    plain, static = Recipe(name="x"), Recipe(name="x", static_int8=StaticConfig(max_loss=None))
    by_name = {stage.name: stage for stage in stages_of("run")}
    assert by_name["export"].settings(plain) == {
        "scan": "auto",
        "with_frontend": False,
        "dynamic_length": False,
        "opset": 18,
        "atol": 1e-4,
    }
    changed = [
        name for name, stage in by_name.items() if stage.settings(plain) != stage.settings(static)
    ]
    assert changed == ["export"]
    assert by_name["export"].settings(static)["static_int8"] == asdict(StaticConfig(max_loss=None))


def test_a_recipe_refuses_a_step_graph() -> None:
    with pytest.raises(RecipeError, match=r"`export\.streaming`"):
        Recipe(name="x", export=ExportConfig(streaming=True))
