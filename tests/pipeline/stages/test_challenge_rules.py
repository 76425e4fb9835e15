"""A challenge run that could not be submitted is refused before it trains."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from aum_edge.audio.augment.config import AugmentConfig
from aum_edge.core.files import write_json
from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.external_data import ExternalData
from aum_edge.data.manifest import Clip, make_manifest
from aum_edge.errors import RecipeError
from aum_edge.pipeline.recipe import ModelChoice, Recipe, StudentConfig, TeacherConfig
from aum_edge.pipeline.run import Run
from aum_edge.pipeline.stages.challenge_rules import check_rules, check_separate, outside_sources
from aum_edge.pipeline.stages.train import _first_step
from aum_edge.training.config import TrainConfig

COCHL = ExternalData(name="CochlScene", licence="CC BY-SA 3.0")


def run_of(recipe: Recipe, tmp_path) -> Run:
    run = Run(recipe=recipe, out=tmp_path, cache_dir=tmp_path)
    run.__dict__["data"] = SimpleNamespace(manifest=make_manifest("tau2022", []))
    return run


def challenge(**values) -> Recipe:
    data = DataConfig.of("tau2022", "x", subset=values.pop("subset", "split25"))
    return Recipe(name="x", data=data, **values)


def test_only_the_allowed_subset_is_trained_on(tmp_path):
    check_rules(run_of(challenge(), tmp_path))
    with pytest.raises(RecipeError, match=r"dcase2025 allows training on split25, got .* split100"):
        check_rules(run_of(challenge(subset="split100"), tmp_path))
    check_rules(run_of(challenge(subset="split5", limits="dcase2024"), tmp_path))
    other = Recipe(name="x", data=DataConfig(corpus="synthetic"))
    check_rules(run_of(other, tmp_path))


def test_weights_and_responses_from_outside_have_to_be_declared(tmp_path):
    student = StudentConfig(model=ModelChoice(preset="student-ssd", init=str(tmp_path / "m")))
    heard = AugmentConfig(ir_p=0.5, ir_dir="micirp")
    teacher = TeacherConfig(train=TrainConfig(augment=heard))
    for recipe, name in (
        (challenge(student=student), "student.model.init"),
        (challenge(teacher=teacher), "teacher.train.augment.ir_dir"),
    ):
        with pytest.raises(RecipeError, match=rf"not declared: `{name}`"):
            check_rules(run_of(recipe, tmp_path))
        check_rules(run_of(replace(recipe, external_data=(COCHL,)), tmp_path))
    built_in = TeacherConfig(train=TrainConfig(augment=AugmentConfig(ir_p=0.5)))
    check_rules(run_of(challenge(teacher=built_in), tmp_path))


def test_a_teacher_of_ones_own_from_the_same_subset_is_no_outside_data(tmp_path):
    recipe = challenge(teacher=TeacherConfig(checkpoints=(str(tmp_path),)))
    run, choice = run_of(recipe, tmp_path), ModelChoice(preset="aum-mini")
    step = _first_step(run, "teacher", choice, TrainConfig(), 0)
    write_json(tmp_path / "config.json", {"lineage": [step]})
    assert list(outside_sources(recipe)) == []
    for change in ({"data": "tau2022 split100"}, {"external_data": [{"name": "x"}]}):
        write_json(tmp_path / "config.json", {"lineage": [step | change]})
        assert len(list(outside_sources(recipe))) == 1
    write_json(tmp_path / "config.json", {"lineage": [{"step": "convert"}, step]})
    assert len(list(outside_sources(recipe))) == 1


def test_declared_data_do_not_allow_the_rest_of_the_corpus(tmp_path):
    student = StudentConfig(model=ModelChoice(preset="student-ssd", init=str(tmp_path)))
    run = run_of(challenge(student=student, external_data=(COCHL,)), tmp_path)
    for subset in ("split25", "split100"):
        write_json(tmp_path / "config.json", {"lineage": [{"data": f"tau2022 {subset}"}]})
        if subset == "split25":
            check_rules(run)
            continue
        with pytest.raises(RecipeError, match=r"`student.model.init`.*tau2022 split100; dcase2025"):
            check_rules(run)


def test_lineage_carries_what_was_declared(tmp_path):
    run = run_of(challenge(external_data=(COCHL,)), tmp_path)
    step = _first_step(run, "student", ModelChoice(preset="student-ssd"), TrainConfig(), 0)
    assert step["data"] == "tau2022 split25"
    assert step["external_data"][0]["licence"] == "CC BY-SA 3.0"
    bare = _first_step(
        run_of(challenge(), tmp_path), "student", ModelChoice(preset="x"), TrainConfig(), 0
    )
    assert "external_data" not in bare


def test_a_recording_of_the_test_split_trains_nothing_even_by_another_device(tmp_path):
    names = {"train": "audio/bus-lyon-1-7-0-a.wav", "test": "audio/bus-lyon-1-7-3-s1.wav"}
    clips = [
        Clip(path=tmp_path / name, label="bus", split=split, clip_id=name, group=split)
        for split, name in names.items()
    ]
    with pytest.raises(RecipeError, match=r"1 recordings of the test split .* bus-lyon-1-7"):
        check_separate(make_manifest("tau2022", clips))
    check_separate(make_manifest("tau2022", clips[:1]))


def test_the_generated_corpus_keeps_its_recordings_apart(tmp_path):
    config = DataConfig(corpus="synthetic")
    config = config.changed({"n_train": 40, "n_test": 20})
    check_separate(load_manifest(config, tmp_path))


def test_declarations_have_names_and_come_once():
    with pytest.raises(RecipeError, match="needs a `name`"):
        ExternalData(name=" ")
    with pytest.raises(RecipeError, match="twice"):
        Recipe(name="x", external_data=(COCHL, COCHL))
