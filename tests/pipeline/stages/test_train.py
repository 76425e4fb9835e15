from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from aum_edge.errors import RecipeError
from aum_edge.models.classifier import load
from aum_edge.models.storage.directory import save
from aum_edge.pipeline.read_recipe import load_recipe
from aum_edge.pipeline.run import Run, run_stages
from aum_edge.pipeline.stages.registry import stages_of
from aum_edge.pipeline.stages.train import distillation
from tests.small_run import recipe_text, tones
from tests.training.kinds import cnn

ONE_EPOCH = {"epochs": 1, "batch_size": 12}
OTHER = {
    "sample_rate": 8000, "n_fft": 256, "win_length": 200, "hop_length": 200, "n_mels": 20,
}  # fmt: skip


def recipe(tmp_path: Path, **teacher):
    tones(tmp_path / "tones", per_class=6)
    values = yaml.safe_load(recipe_text(tmp_path / "tones"))
    values["teacher"] |= {"train": ONE_EPOCH} | teacher
    values["student"] |= {"train": ONE_EPOCH}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return load_recipe(path)


def run_until(tmp_path: Path, stage: str, **teacher) -> Run:
    run = Run(recipe=recipe(tmp_path, **teacher), out=tmp_path / "run", cache_dir=tmp_path / "c")
    run_stages(run, stages_of("run"), until=stage)
    return run


def test_one_recipe_trains_teachers_of_several_kinds_and_front_ends(tmp_path) -> None:
    also = [
        {"model": {"preset": "cp-mobile", "overrides": {"base_channels": 8}}, "frontend": OTHER},
        {"model": {"preset": "student-ssd", "overrides": {"d_model": 16, "depth": 1}}},
    ]
    run = run_until(tmp_path, "distill", also=also, weights=[1, 2, 3])
    result = run.result("teacher")
    assert result["members"] == 3
    assert [row["architecture"] for row in result["kinds"]] == [
        "audio_mamba",
        "cp_mobile",
        "mamba_student",
    ]
    assert result["ensemble"]["test"]["n"] == 12
    assert run.model("teacher", "model-1").frontend.n_mels == 20
    found = distillation(run)
    assert found.weights == (1.0, 2.0, 3.0)
    assert [len(t.labels) for t in found.teachers] == [3, 3, 3]
    assert run.result("distill")["val"]["n"] == 12


def test_given_models_and_trained_ones_teach_together(tmp_path) -> None:
    given = cnn(("mid", "high", "low", "bell"), seed=4).eval()
    save(given, tmp_path / "given")
    also = [{"model": {"preset": "student-ssd", "overrides": {"d_model": 16, "depth": 1}}}]
    run = run_until(tmp_path, "teacher", checkpoints=[str(tmp_path / "given")], also=also)
    first = load(run.folder("teacher") / "model")
    torch.testing.assert_close(
        first.backbone.state_dict(), given.backbone.state_dict(), rtol=0, atol=0
    )
    assert run.result("teacher")["members"] == 2
    assert 0 <= run.result("teacher")["test"]["accuracy"] <= 1


@pytest.mark.parametrize(
    ("teacher", "match"),
    [
        ({"weights": [1, 2]}, r"`teacher.weights` must be 1, one a teacher"),
        ({"also": [{"model": {"preset": "cp-mobile"}, "members": 0}]}, "must be at least 1, got 0"),
        ({"also": [{"modle": {"preset": "cp-mobile"}}]}, "`teacher.also.modle`; did you mean"),
        ({"also": ["cp-mobile"]}, "`teacher.also` holds settings of its own, got 'cp-mobile'"),
    ],
)
def test_teachers_that_mean_nothing_are_refused(tmp_path, teacher, match) -> None:
    with pytest.raises(RecipeError, match=match):
        recipe(tmp_path, **teacher)
