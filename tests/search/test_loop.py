"""Whole searches on tones: rejected, shared, killed, resumed, reported."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

import aum_edge.search.loop as loop
from aum_edge.complexity.limits import get_limits
from aum_edge.models.classifier import load
from aum_edge.pipeline.read_recipe import load_recipe, load_recipe_as
from aum_edge.search.config import SearchRecipe
from aum_edge.search.context import SearchContext
from aum_edge.search.records import FINISHED, Record, read_records
from aum_edge.search.space.candidate import cost_of, fresh, student_config
from aum_edge.search.trial import TrialPlan, make_plan
from tests.search.small_search import OVERRIDES, errors, facts, recipe, search, write


def test_a_search_resumed_is_the_search_uninterrupted(tmp_path, corpus, capsys, drawn) -> None:
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


def test_dominated_trials_end_early(tmp_path, corpus, capsys) -> None:
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
    out = tmp_path / "out"
    file = write(tmp_path, corpus.root, space={"depth": {"choices": [1, 2]}}, trials=9)
    for _ in range(2):
        assert search(file, out, corpus.cache) == 0
        lines = capsys.readouterr().err.splitlines()
        assert sum("all its 2 models are tried, 2 of 9 trials" in line for line in lines) == 1
        assert [record.state for record in read_records(out)] == ["complete"] * 2
    # Where the points cannot be counted, many repeats in a row end it, and none has a folder.
    monkeypatch.setattr(loop, "IDLE", 5)
    monkeypatch.setattr(loop, "all_points", lambda dimensions: None)
    assert search(file, out, corpus.cache) == 0
    assert "seems used up" in capsys.readouterr().err
    assert len(list((out / "trials").iterdir())) == 2


def test_latency_is_an_objective_and_a_limit(tmp_path, corpus, monkeypatch) -> None:
    timed = []

    def latency(context, model, folder):
        timed.append(model.backbone.config.d_model)
        return {"p50_ms": 1.0, "control_p50_ms": 2.0, "ratio": timed[-1] / 16}

    monkeypatch.setattr(SearchContext, "latency", latency)
    file = write(
        tmp_path,
        corpus.root,
        space={"d_model": {"choices": [8, 16, 24]}},
        objectives=["accuracy", "latency"],
        constraints={"latency": 1.2},
        trials=2,
    )
    assert search(file, tmp_path / "out", corpus.cache) == 0
    records = read_records(tmp_path / "out")
    complete = {r.params["d_model"]: r.objectives for r in records if r.state == "complete"}
    assert complete[8]["latency"] == 0.5
    assert 24 not in complete
    over = [r.cost["over"] for r in records if r.params["d_model"] == 24]
    assert all(found == {"latency": pytest.approx(0.25)} for found in over)


@pytest.mark.slow
def test_latency_is_timed_beside_cp_mobile(tmp_path, corpus) -> None:
    made = recipe(tmp_path, corpus.root, bench={"runs": 3, "warmup": 1}, constraints={"latency": 9})
    context = SearchContext(made, tmp_path / "out", corpus.cache)
    plan = make_plan(context, 0, {"mixer": "none"})
    assert isinstance(plan, TrialPlan)
    assert plan.latency["ratio"] == plan.latency["p50_ms"] / plan.latency["control_p50_ms"]
    assert [path.name for path in (tmp_path / "out").rglob("*.onnx")] == ["cp-mobile.onnx"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objectives": ["macs"]}, "needs accuracy"),
        ({"objectives": ["accuracy", "accuracy"]}, "each once"),
        ({"pruning": {"kind": "median"}}, "takes one objective"),
        ({"references": {"resnet": {}}}, "no preset"),
        ({"references": {"cp-mobile": {"train.lr": -1}}}, "`lr`"),
        ({"student": {"model": {"preset": "cp-mobile"}}}, "student family"),
        ({"trials": -1}, "at least 0"),
        ({"spase": {}}, "did you mean `space`"),
        (
            {"student": {"model": {"preset": "cp-mobile", "overrides": {"folded": False}}}},
            "student family and `student.model.preset` is cp-mobile: give one of student-ssd,",
        ),
        (
            {"student": {"model": {"preset": "student-ssd", "overrides": {"d": 8}}}},
            "has no such setting `d`; its settings are",
        ),
        ({"full": "/nope.yaml"}, "`full` is /nope.yaml"),
        ({"space": {"distill.kd_lambda": {"low": 0.1, "high": 0.9}}}, "without a teacher"),
        ({"space": {"train.lr": {"low": 0.1, "high": float("inf")}}}, "`space.train.lr`: `high`"),
    ],
)
def test_a_wrong_recipe_is_one_line(tmp_path, corpus, capsys, changes, words) -> None:
    assert search(write(tmp_path, corpus.root, **changes), tmp_path / "out", corpus.cache) == 2
    (line,) = errors(capsys)
    assert words in line


@pytest.mark.parametrize("name", ["search_builtin", "search_fsdd"])
def test_published_searches_have_models_inside_the_limits(name, tmp_path) -> None:
    path = Path(__file__).parents[2] / "recipes" / f"{name}.yaml"
    made = load_recipe_as(SearchRecipe, path)
    assert made.pruner == "dominated"
    labels = tuple(map(str, range(10)))
    for dimension in made.dimensions:
        assert len(dimension.ends()) >= 2
    config = student_config(made.student.model, len(labels), made)
    assert cost_of(fresh(config, made, labels), made, get_limits(made.limits)).fits
    assert load_recipe(path.parent / Path(made.full).name).frontend == made.frontend
