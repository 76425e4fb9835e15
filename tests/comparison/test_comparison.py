"""A comparison chooses by validation, trains every arm, and its page follows from its runs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from aum_edge.comparison.arms import arm_stages, chosen_rates, tuning_stages
from aum_edge.comparison.config import ArmConfig, CompareRecipe
from aum_edge.comparison.page import page, with_range
from aum_edge.comparison.runs import SUMMARY, ComparisonRun, costs
from aum_edge.comparison.summary import Spread, differences, finished, model_names
from aum_edge.complexity.limits import Limits, presets
from aum_edge.complexity.report import analyse
from aum_edge.errors import AumEdgeError, RecipeError
from aum_edge.models.registry import build
from aum_edge.pipeline.read_recipe import load_recipe_as
from aum_edge.pipeline.recipe import ModelChoice
from aum_edge.report.plots.spread import draw_spread
from aum_edge.training.config import TrainConfig
from tests.small_run import FRONTEND, student, tones

SMALL = {"d_model": 16, "depth": 1, "d_state": 4, "head_dim": 8, "stem_channels": [4, 4]}
TRAIN = {"epochs": 1, "batch_size": 8, "augment": {"mixstyle_p": 0.0}}


def recipe_values(root: Path) -> dict[str, Any]:
    fields = ("sample_rate", "n_fft", "win_length", "hop_length", "n_mels")
    return {
        "name": "small",
        "data": {"corpus": "folder", "root": str(root)},
        "frontend": {name: getattr(FRONTEND, name) for name in fields},
        "folds": {"a": {}, "b": {"val_seed": 1}},
        "seeds": [3, 4],
        "teacher": {
            "model": {"preset": "student-ssd", "overrides": SMALL},
            "train": TRAIN,
            "members": 2,
        },
        "arms": {
            "student": {
                "model": {"preset": "student-ssd", "overrides": SMALL | {"d_model": 24}},
                "train": TRAIN,
                "lrs": [1e-9, 1e-2],
                "distilled_epochs": 2,
            },
            "cnn": {
                "model": {"preset": "cp-mobile", "overrides": {"base_channels": 8}},
                "train": TRAIN,
                "half": True,
            },
            "plain": {
                "model": {"preset": "student-noscan", "overrides": SMALL | {"inner": [16]}},
                "train": TRAIN,
                "lessons": ["scratch"],
            },
        },
        "prune": {"cut": {"macs_share": 0.8, "rounds": 1, "steps": 2}, "recover": TRAIN},
        "quantize": {"qat": {"train": TRAIN, "freeze_epochs": 0}},
    }


def load(tmp_path: Path, values: dict[str, Any]) -> CompareRecipe:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return load_recipe_as(CompareRecipe, path)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[CompareRecipe, Path]:
    folder = tmp_path_factory.mktemp("comparison")
    recipe = load(folder, recipe_values(tones(folder / "tones")))
    out = folder / "out"
    for seed in (None, 3):
        ComparisonRun(recipe, out, "a", seed).work()
    return recipe, out


def test_a_run_holds_every_arm_and_every_form_of_the_student(
    done: tuple[CompareRecipe, Path],
) -> None:
    recipe, out = done
    found = json.loads((out / "a" / "seed-3" / SUMMARY).read_text())
    assert list(found["models"]) == [
        "teacher",
        "student-scratch",
        "distill",
        "cnn-scratch",
        "cnn-distilled",
        "plain-scratch",
        "ptq",
        "qat",
        "prune",
        "quantize",
    ]
    assert set(model_names(recipe)) == set(found["models"])
    models = found["models"]
    assert models["prune"]["macs"] <= 0.8 * models["distill"]["macs"]
    assert models["qat"]["param_bytes"] == models["ptq"]["param_bytes"]
    assert models["ptq"]["param_bytes"] < 0.5 * models["distill"]["param_bytes"]
    assert models["cnn-distilled"]["param_bytes"] == 2 * models["cnn-distilled"]["n_params"]
    assert models["teacher"]["n_params"] == 2 * _params(out / "a/teacher/teacher/model-1")
    assert all(0 <= row["macro_accuracy"] <= 1 for row in models.values())


def _params(folder: Path) -> int:
    from aum_edge.models.classifier import load

    return sum(p.numel() for p in load(folder).backbone.parameters())


def test_the_rate_is_the_one_that_validation_likes(
    done: tuple[CompareRecipe, Path], tmp_path: Path
) -> None:
    recipe, out = done
    rates = json.loads((out / "a" / "rates.json").read_text())
    assert set(rates) == {"student"}

    class Run:
        def result(self, stage: str) -> dict[str, Any]:
            score = {"student-lr-1e-09": 0.4, "student-lr-0.01": 0.3}[stage]
            return {"lr": float(stage.rsplit("lr-")[1]), "score": score}

    assert chosen_rates(recipe, Run()) == {"student": 1e-9}  # type: ignore[arg-type]
    worst = replace(recipe.arms["student"].train, monitor="loss")
    arms = recipe.arms | {"student": replace(recipe.arms["student"], train=worst)}
    assert chosen_rates(replace(recipe, arms=arms), Run()) == {"student": 0.01}  # type: ignore[arg-type]
    assert recipe.tuned(rates).arms["student"].train.lr == rates["student"]
    assert recipe.tuned(rates).arms["cnn"] == recipe.arms["cnn"]


def test_a_teachers_lesson_may_be_longer(done: tuple[CompareRecipe, Path]) -> None:
    models = json.loads((done[1] / "a" / "seed-3" / SUMMARY).read_text())["models"]
    epochs = {name: models[name]["epochs"] for name in ("student-scratch", "distill")}
    assert epochs == {"student-scratch": 1, "distill": 2}
    assert models["cnn-scratch"]["epochs"] == models["cnn-distilled"]["epochs"] == 1


def test_a_finished_run_is_kept_and_an_unprepared_fold_refused(
    done: tuple[CompareRecipe, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out = done
    record = out / "a" / "seed-3" / "cnn-scratch" / "stage.json"
    before = record.stat().st_mtime_ns
    ComparisonRun(recipe, out, "a", 3).work()
    assert record.stat().st_mtime_ns == before
    with pytest.raises(AumEdgeError, match="prepare the fold first"):
        ComparisonRun(recipe, out, "b", 3).work()


def test_the_teacher_of_a_fold_serves_all_its_seeds(done: tuple[CompareRecipe, Path]) -> None:
    recipe, out = done
    trained = (out / "a/teacher/teacher/model/model.safetensors").read_bytes()
    assert (out / "a/seed-3/teacher/model/model.safetensors").read_bytes() == trained
    stages = {stage.name for stage in arm_stages(recipe)}
    assert not stages & {stage.name for stage in tuning_stages(recipe)} - {"data"}


@pytest.mark.parametrize("name", list(presets()))
def test_costs_of_one_and_of_several_models_under_every_preset(name: str) -> None:
    one = analyse(student(), name).to_dict()
    single, double = (costs([one] * members, presets()[name]) for members in (1, 2))
    assert single["within"] == double["within"] == {"exact": True, "official": True}
    assert double["macs"] == 2 * single["macs"]
    assert (double["official_macs"] is None) == (name == "dcase2021")
    tight = Limits(name="x", macs=single["macs"])
    assert costs([one], tight)["within"]["exact"] is True
    assert costs([one] * 2, tight)["within"]["exact"] is False


def test_the_page_says_what_is_not_known(done: tuple[CompareRecipe, Path]) -> None:
    recipe, out = done
    (run,) = finished(recipe, out)
    run = json.loads(json.dumps(run))
    models = run["models"]
    for row in models.values():
        row["within"] = {"exact": True, "official": True}
    models["ptq"] |= {"official_macs": None, "within": {"exact": True, "official": None}}
    models["qat"]["within"] = {"exact": False, "official": None}
    lines = page(recipe, [run], "command", "host", "small.svg").splitlines()
    ends = {line.split(" | ")[0]: line.split(" | ")[-2:] for line in lines if " | " in line}
    titles = model_names(recipe)
    assert ends[f"| {titles['ptq']}"] == ["–", "not known |"]
    assert ends[f"| {titles['qat']}"][1] == "over |"
    assert ends[f"| {titles['distill']}"][1] == "inside |"


def test_page_and_picture_follow_from_the_runs(
    done: tuple[CompareRecipe, Path], tmp_path: Path
) -> None:
    recipe, out = done
    runs = finished(recipe, out)
    assert [(run["fold"], run["seed"]) for run in runs] == [("a", 3)]
    other: dict[str, Any] = json.loads(json.dumps(runs[0])) | {"seed": 4}
    for row in other["models"].values():
        row["macro_accuracy"] += 0.1
    other["models"]["distill"]["macro_accuracy"] += 0.02
    found = {item.title: item for item in differences(recipe, [*runs, other])}
    gain = found["student, distilled − student, from labels"]
    first = runs[0]["models"]
    assert gain.spread.values[1] - gain.spread.values[0] == pytest.approx(0.02)
    expected = first["distill"]["macro_accuracy"] - first["student-scratch"]["macro_accuracy"]
    assert gain.spread.values[0] == pytest.approx(expected)
    text = page(recipe, [*runs, other], "command", "host", "small.svg")
    for title in model_names(recipe).values():
        assert f"| {title} |" in text
    assert "2 of 4 runs" in text
    int8 = next(
        line for line in text.splitlines() if line.startswith("| student, distilled, int8 |")
    )
    assert "| – |" in int8, "rounding without training has no epochs"
    draw_spread({"one": [50.0, 60.0], "two": [70.0]}, tmp_path / "x.svg", "accuracy, %")
    drawn = (tmp_path / "x.svg").read_text()
    assert "55.0" in drawn
    assert "70.0" in drawn


def test_runs_of_other_settings_are_left_out(
    done: tuple[CompareRecipe, Path], caplog: pytest.LogCaptureFixture
) -> None:
    recipe, out = done
    assert len(finished(replace(recipe, title="another", seeds=(3,)), out)) == 1
    longer = replace(recipe.arms["cnn"].train, epochs=2)
    changed: list[CompareRecipe] = [
        replace(recipe, arms=recipe.arms | {"cnn": replace(recipe.arms["cnn"], train=longer)}),
        replace(recipe, arms=recipe.arms | {"more": recipe.arms["cnn"]}),
        replace(recipe, seeds=(4, 3)),
        replace(recipe, compress=False),
        replace(recipe, folds=recipe.folds | {"a": {"val_seed": 2}}),
        replace(recipe, tuning={"a": {"val_seed": 2}}),
    ]
    for other in changed:
        assert finished(other, out) == []
    assert "other settings" in caplog.text


def test_a_spread_knows_its_margin() -> None:
    spread = Spread((1.0, 2.0, 3.0))
    assert (spread.mean, spread.deviation) == (2.0, 1.0)
    assert spread.margin == pytest.approx(4.30 / math.sqrt(3))
    assert Spread((1.0,)).margin == math.inf


def test_a_single_run_has_no_deviation_on_the_page() -> None:
    assert with_range(Spread((0.607,))) == "60.7 (one run)"
    assert with_range(Spread((0.6, 0.62))) == "61.0 ± 1.4 (60.0 to 62.0)"


def test_without_a_teacher_nothing_is_distilled(tmp_path: Path) -> None:
    values = recipe_values(tmp_path)
    for arm in values["arms"].values():
        arm["lessons"] = ["scratch"]
    recipe = load(tmp_path, values | {"compress": False})
    assert [stage.name for stage in arm_stages(recipe)] == [
        "data",
        "student-scratch",
        "cnn-scratch",
        "plain-scratch",
    ]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"student": "cat"}, "must be one of the arms, got 'cat'"),
    ({"seeds": [1, 1]}, "different `seeds`"),
    ({"folds": {}}, "needs folds"),
    ({"tuning": {"c": {}}}, "`tuning` is about folds, got c"),
    ({"tuning_epochs": -1}, "`tuning_epochs`"),
    ({"tuning": {"a": {"test_speakers": ["x"]}}}, "could be chosen on what is tested"),
    ({"tuning": {"a": {"root": "elsewhere"}}}, "could be chosen on what is tested"),
    ({"folds": {"../x": {}}}, "name of a fold"),
    ({"folds": {"cache": {}}}, "name of a fold"),
    ({"folds": {"a:1": {}}}, "name of a fold"),
    ({"limits": "nope"}, "nope"),
    ({"student": "cnn"}, "cuts Mamba blocks"),
    ({"arms": None}, "`arms` holds settings by name, got None"),
    ({"folds": {"a": {"speakers": ["x"]}}}, "Fold 'a': `data` has no such setting"),
    ({"arms": {"student": {"modle": {}}}}, "no key `arms.student.modle`; did you mean `model`"),
    ({"arms": {"student": 3}}, "holds settings of its own, got 3"),
    (
        {"arms": {"student": {"model": {"preset": "student-ssd"}, "distilled_epochs": -1}}},
        "`distilled_epochs` must be at least 0",
    ),
]


@pytest.mark.parametrize(("change", "words"), WRONG, ids=str)
def test_wrong_recipes_are_refused_in_one_line(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        load(tmp_path, recipe_values(tmp_path) | change)
    assert "\n" not in str(caught.value)


RECIPES = sorted((Path(__file__).parents[2] / "recipes" / "compare").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_comparisons_load_and_build_inside_the_limits(path: Path) -> None:
    recipe = load_recipe_as(CompareRecipe, path)
    assert len(arm_stages(recipe)) > len(recipe.arms)
    for name, arm in recipe.arms.items():
        config = arm.model.config(10, recipe.frontend)
        weights = sum(p.numel() for p in build(config).parameters())
        assert weights * (2 if arm.half else 1) <= 128_000, name


def test_the_control_has_as_many_weights_as_the_student() -> None:
    for path in RECIPES:
        recipe = load_recipe_as(CompareRecipe, path)
        student, control = (
            sum(p.numel() for p in build(arm.model.config(10, recipe.frontend)).parameters())
            for name, arm in recipe.arms.items()
            if name == "student" or arm.model.preset == "student-noscan"
        )
        assert abs(student - control) <= 0.01 * student


def test_an_undistilled_student_cannot_be_compressed() -> None:
    model = ModelChoice(preset="student-ssd")
    arm = ArmConfig(model=model, train=TrainConfig(), lessons=("scratch",))
    with pytest.raises(RecipeError, match="starts from the distilled student"):
        CompareRecipe(name="x", arms={"student": arm})
    for lessons in ((), ("distilled", "distilled")):
        with pytest.raises(RecipeError, match="scratch, distilled or both"):
            replace(arm, lessons=lessons)
    for rates in ((0.01, 0.010000001), (0.0,), (float("inf"),)):
        with pytest.raises(RecipeError, match="different numbers above 0"):
            replace(arm, lrs=rates)
    for name in ("a/b", ".a", ""):
        with pytest.raises(RecipeError, match="name of an arm"):
            CompareRecipe(name="x", compress=False, student=name, arms={name: arm})
    with pytest.raises(RecipeError, match="is the student"):
        CompareRecipe(name="x", compress=False, arms={"student": replace(arm, half=True)})
