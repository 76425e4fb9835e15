"""The quantize stage: choices are recorded, training listens to whom it was told."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from aum_edge.compression.quantization.config import (
    CalibrationConfig,
    QatConfig,
    QuantizeConfig,
    SensitivityConfig,
)
from aum_edge.data.config import DataConfig
from aum_edge.errors import CompressionError
from aum_edge.models.classifier import load
from aum_edge.models.storage.directory import save
from aum_edge.pipeline.recipe import Recipe
from aum_edge.pipeline.run import Run
from aum_edge.pipeline.stages import quantize
from aum_edge.pipeline.stages.quantize import calibration_clips, quantize_student
from aum_edge.pipeline.stages.registry import stages_of
from aum_edge.training.config import TrainConfig
from tests.small_run import FRONTEND, student, tones


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tones(tmp_path_factory.mktemp("tones"))


def job(corpus: Path, out: Path, **settings: Any) -> Run:
    recipe = Recipe(
        name="x",
        data=DataConfig.of("folder", corpus),
        frontend=FRONTEND,
        quantize=QuantizeConfig(calibration=CalibrationConfig(clips=12), **settings),
    )
    save(student().eval(), out / "prune" / "model")
    return Run(recipe=recipe, out=out, cache_dir=corpus / "cache")


def done(run: Run) -> dict[str, Any]:
    folder = run.folder("quantize")
    folder.mkdir()
    return json.loads(json.dumps(quantize_student(run, folder)))


def test_plain_rounding_reports_scores_and_agreement(corpus: Path, tmp_path: Path) -> None:
    result = done(job(corpus, tmp_path))
    assert {"val", "test", "agreement_with_float"} <= result.keys()
    assert "sensitivity" not in result
    assert load(tmp_path / "quantize" / "model").quantization["bits"] == 8


def test_an_automatic_choice_is_kept_with_its_measurements(corpus: Path, tmp_path: Path) -> None:
    run = job(
        corpus,
        tmp_path,
        keep_float="auto",
        activations="uint8",
        sensitivity=SensitivityConfig(max_loss=0),
    )
    told: list[str] = []
    run.progress = lambda done, total, what: told.append(what)
    result = done(run)
    record = load(tmp_path / "quantize" / "model").quantization
    kept = result["sensitivity"]["kept"]
    assert {row["layer"] for row in kept if row["kind"] == "weight"}.isdisjoint(record["layers"])
    assert {row["layer"] for row in kept if row["kind"] == "input"}.isdisjoint(record["inputs"])
    assert record["calibration"]["rows"] == list(
        calibration_clips(run.data, 12, run.recipe.seed).rows
    )
    assert "tensors tried" in told


@pytest.mark.parametrize("voice", ["float", "none", "teachers"])
def test_qat_listens_to_whom_the_recipe_names(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, voice: str
) -> None:
    heard: list[Any] = []
    trained = quantize.train_quantized

    def watched(*args: Any, **options: Any) -> Any:
        heard.append(options["distillation"])
        return trained(*args, **options)

    monkeypatch.setattr(quantize, "train_quantized", watched)
    monkeypatch.setattr(quantize, "distillation", lambda run: None)
    train = TrainConfig(epochs=1, batch_size=12, lr=1e-3)
    run = job(corpus, tmp_path, qat=QatConfig(train=train, freeze_epochs=0, distill=voice))
    result = done(run)
    assert len(result["history"]) == 1
    assert result["best_epoch"] in (0, 1)
    if voice == "float":
        (teacher,) = heard[0].teachers
        features = torch.from_numpy(run.data.arrays["train"].features[:4]).unsqueeze(1)
        torch.testing.assert_close(teacher(features), student().eval()(features))
        assert heard[0].config.kd_lambda == 1
        assert heard[0].config.teaching == "online"
    else:
        assert heard == [None]


def test_limits_that_cannot_be_met_stop_the_stage(corpus: Path, tmp_path: Path) -> None:
    run = job(corpus, tmp_path, keep_float="auto", sensitivity=SensitivityConfig(max_bytes=10))
    with pytest.raises(CompressionError, match="smallest layout"):
        done(run)
    assert not (tmp_path / "quantize" / "model").exists()


def test_every_setting_is_part_of_the_stage_key() -> None:
    stage = next(s for s in stages_of("run") if s.name == "quantize")
    kept = stage.settings(Recipe(name="x"))
    assert kept["quantize"] == asdict(QuantizeConfig())
    assert kept["seed"] == 0
    assert stage.trains
