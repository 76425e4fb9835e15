"""The export stage's ONNX files, with and without static int8."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from aum_edge.compression.quantization.config import QuantizeConfig, StaticConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.data.features.cache import ClipArrays
from aum_edge.data.manifest import Clip
from aum_edge.models.storage.directory import save
from aum_edge.pipeline.recipe import Recipe
from aum_edge.pipeline.run import Run
from aum_edge.pipeline.stages.export import export
from aum_edge.runtimes.onnx import OnnxClassifier
from tests.small_run import FRONTEND, LABELS, student


def noise(split: str, count: int) -> ClipArrays:
    shape = (count, FRONTEND.n_mels, FRONTEND.n_frames)
    clips = tuple(
        Clip(path=Path(f"{i}.wav"), label=LABELS[i % 3], split=split) for i in range(count)
    )
    return ClipArrays(
        features=np.random.default_rng(count).standard_normal(shape).astype(np.float32),
        waveforms=None,
        labels=np.arange(count) % 3,
        clips=clips,
    )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose models are there; its clips are noise, and there is no compiler."""
    monkeypatch.setenv("CC", "no-such-compiler")
    made = Run(recipe=Recipe(name="x"), out=tmp_path, cache_dir=tmp_path)
    for stage, model in (
        ("prune", student()),
        ("quantize", quantize(student(), QuantizeConfig())),
        ("control", student(1)),
    ):
        save(model, made.folder(stage) / "model")
    made.folder("export").mkdir()
    arrays = {"train": noise("train", 12), "test": noise("test", 6)}
    made.__dict__["data"] = SimpleNamespace(arrays=arrays, labels=LABELS)
    return made


@pytest.mark.slow
def test_static_int8_is_written_where_the_recipe_asks_for_it(run: Run) -> None:
    folder = run.folder("export")
    rows = export(run, folder)["files"]
    assert [row["model"] for row in rows] == ["student", "student_int8", "control"]
    assert not (folder / "student_int8_static.onnx").exists()

    asked = replace(run, recipe=replace(run.recipe, static_int8=StaticConfig(max_loss=None)))
    asked.__dict__["data"] = run.data
    *_, row = export(asked, folder)["files"]
    assert (row["model"], row["kind"]) == ("student_int8_static", "int8-static")
    assert row["test_accuracy"] is not None
    assert row["file"] == "student_int8_static.onnx"
    assert OnnxClassifier(folder / row["file"]).labels == LABELS
