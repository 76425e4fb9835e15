from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from aum_edge.errors import RecipeError
from aum_edge.submission.build import Built
from aum_edge.submission.config import SubmissionConfig
from aum_edge.submission.description import Run, find_run
from aum_edge.submission.info import Info, read_info
from aum_edge.submission.meta import COMPLEXITY, DESCRIPTION, meta_document, meta_text, problems
from aum_edge.submission.models import SubmissionModel, read_models
from tests.submission.scene_models import LABEL, write_info

RESULTS = {
    "overall": {"accuracy": 50.0, "logloss": 1.0},
    "class_wise": {"x": {}},
    "device_wise": {"a": {}},
}
RUN = Run(
    {
        "teacher": {"model": {"init": ""}},
        "student": {
            "distill": {"temperature": 2.0},
            "train": {"augment": {"mixstyle_p": 0.4, "mixup_p": 0.0, "ir_p": 0.6, "ir_dir": ""}},
        },
    }
)


@pytest.fixture(scope="module")
def members(config: SubmissionConfig) -> dict[str, SubmissionModel]:
    return read_models(config)


@pytest.fixture
def info(tmp_path: Path) -> Info:
    return read_info(write_info(tmp_path / "i.yaml"), 2025)


def test_the_run_fills_the_description(members, config, info) -> None:
    document = meta_document(config, members, info, RUN, RESULTS)
    described = document["system"]["description"]
    assert described["input_sampling_rate"] == "8kHz"
    assert described["data_augmentation"] == "freq-mixstyle, device impulse responses"
    assert described["machine_learning_method"] == "Mamba, CNN (CP-Mobile)"
    assert described["complexity_management"] == (
        "knowledge distillation, int8 weights, 16-bit weights"
    )
    assert described["external_data_usage"] == "none"
    assert "a, b" in described["device_information"]
    assert problems(document, LABEL, 2025) == []
    assert yaml.safe_load(meta_text(document)) == document


def test_the_costliest_model_stands_for_all(members, config, info) -> None:
    counted = meta_document(config, members, info, RUN, RESULTS)["system"]["complexity"]
    figures = {name: member.figures for name, member in members.items()}
    assert counted["macs"] == max(row.macs for row in figures.values())
    assert counted["total_model_size"] == max(row.param_bytes for row in figures.values())
    assert counted["per_model"]["b"]["model_size"] == figures["b"].param_bytes


@pytest.mark.parametrize("year", [2022, 2023, 2024, 2025])
def test_every_year_has_its_own_fields(members, config, info, year: int) -> None:
    general = {"general": members["general"]}
    splits = {n: Path("x") for n in (5, 10, 25, 50, 100)} if year == 2024 else {}
    one = SubmissionConfig(label=LABEL, general=config.general, year=year, splits=splits)
    energy = {"training": 1.0, "inference": 0.1, "baseline_inference": 0.2}
    results = {f"split_{n}": RESULTS for n in splits} if splits else RESULTS
    document = meta_document(one, general, replace(info, energy_consumption=energy), RUN, results)
    system = document["system"]
    assert tuple(system["description"]) == DESCRIPTION[year]
    assert set(COMPLEXITY[year]) <= set(system["complexity"])
    assert ("energy_consumption" in system) == (year == 2023)
    assert ("split_adaptations" in system["description"]) == (year == 2024)
    assert ("embeddings" in system["description"]) == (year < 2024)
    assert problems(document, LABEL, year) == []


def test_what_no_run_knows_is_asked_for(members, config, info) -> None:
    with pytest.raises(RecipeError, match=r"`description\.data_augmentation` is not known"):
        meta_document(config, members, info, Run({}), RESULTS)
    words = replace(info, description={"data_augmentation": "none"})
    assert meta_document(config, members, words, Run({}), RESULTS)
    foreign = replace(info, description={"embeddings": "x"})
    with pytest.raises(RecipeError, match=r"2025 has no `description\.embeddings`"):
        meta_document(config, members, foreign, RUN, RESULTS)


def test_outside_data_must_be_described_and_declared(members, config, info) -> None:
    row = {"name": "MicIRP", "url": "u", "total_audio_length": 1, "licence": "CC0"}
    with pytest.raises(RecipeError, match="external_data_usage"):
        meta_document(config, members, replace(info, external_datasets=[row]), RUN, RESULTS)
    heard = Run({"student": {"train": {"augment": {"ir_p": 0.6, "ir_dir": "/irs"}}}})
    with pytest.raises(RecipeError, match=r"impulse responses of /irs.*licence"):
        meta_document(config, members, info, heard, RESULTS)


def test_what_models_and_recipe_declare_is_taken_over(members, config, info) -> None:
    pretrained = {
        "name": "CochlScene", "url": "", "licence": "CC BY-SA 3.0", "total_audio_length": None,
        "used_for": "pretraining",
    }  # fmt: skip
    old = members["b"]
    lineage = [{"step": "pretrain", "external_data": [pretrained]}]
    learnt = {**members, "b": replace(old, config={**old.config, "lineage": lineage})}
    run = Run({**RUN.recipe, "external_data": [pretrained]})
    with pytest.raises(RecipeError, match="`CochlScene` lacks `url`") as caught:
        meta_document(config, learnt, info, run, RESULTS)
    assert len(str(caught.value).splitlines()) == 2
    known = replace(
        info, external_datasets=[{"name": "CochlScene", "url": "u", "total_audio_length": 12600}]
    )
    system = meta_document(config, learnt, known, run, RESULTS)["system"]
    assert system["external_datasets"] == [
        {
            "name": "CochlScene", "licence": "CC BY-SA 3.0", "used_for": "pretraining", "url": "u",
            "total_audio_length": 12600,
        }
    ]  # fmt: skip
    assert system["description"]["external_data_usage"] == "CochlScene: pretraining"


def test_the_run_above_a_model_is_found(tmp_path: Path) -> None:
    model = tmp_path / "run" / "quantize" / "model"
    model.mkdir(parents=True)
    (tmp_path / "run" / "recipe.yaml").write_text("teacher: {checkpoints: [t1]}\n")
    assert find_run(model, None).outside_starts == ["t1"]
    assert find_run(model, tmp_path).recipe == {}


def test_a_validator_would_find_these(built: Built) -> None:
    path = built.out / "task1" / LABEL / f"{LABEL}.meta.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert problems(document, LABEL, 2025) == []
    document["submission"]["label"] = "Other_AUM_task1_1"
    document["submission"]["authors"][0]["corresponding"] = False
    document["system"]["complexity"]["total_parameters"] = "61k"
    document["system"]["description"]["framework"] = ""
    del document["results"]["development_dataset"]["device_wise"]
    lines = problems(document, LABEL, 2025)
    assert len(lines) == 5
