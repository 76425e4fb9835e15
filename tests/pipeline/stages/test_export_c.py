"""The export stage's C files: proven, measured as compiled, and no reason to stop a run."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from aum_edge.bench.config import BenchConfig
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.core.files import write_json
from aum_edge.data.features.cache import ClipArrays
from aum_edge.data.manifest import Clip
from aum_edge.errors import UnsupportedOperatorError
from aum_edge.models.storage.directory import save
from aum_edge.pipeline.recipe import Recipe
from aum_edge.pipeline.run import Run
from aum_edge.pipeline.stages import export_c as stage
from aum_edge.pipeline.stages.export import bench
from aum_edge.training.metrics.classification import evaluate
from tests.export.c.frontend.frontend_program import need_compiler
from tests.small_run import FRONTEND, LABELS, student


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run whose students are there; the test split is six clips of noise."""
    made = Run(
        recipe=Recipe(name="x", bench=BenchConfig(runs=2, warmup=1)),
        out=tmp_path,
        cache_dir=tmp_path,
    )
    save(student(), made.folder("prune") / "model")
    save(quantize(student(), QuantizeConfig()), made.folder("quantize") / "model")
    made.folder("export").mkdir()
    noise = np.random.default_rng(0).standard_normal((6, FRONTEND.n_mels, FRONTEND.n_frames))
    clips = tuple(Clip(path=Path(f"{i}.wav"), label=LABELS[i % 3], split="test") for i in range(6))
    rows = ClipArrays(
        features=noise.astype(np.float32),
        waveforms=None,
        labels=np.arange(6) % 3,
        clips=clips,
    )
    made.__dict__["data"] = SimpleNamespace(arrays={"test": rows}, labels=LABELS)
    return made


def written(run: Run) -> tuple[list[dict[str, Any]], list[str]]:
    test = np.asarray(run.data.arrays["test"].features)
    clips = torch.from_numpy(test).unsqueeze(1)
    return stage.c_files(run, run.folder("export"), clips, test)


def test_both_students_are_measured_and_timed(run: Run) -> None:
    need_compiler()
    rows, notes = written(run)
    assert notes == []
    assert [(row["file"], row["kind"]) for row in rows] == [
        ("student.c", "fp32"),
        ("student_int8.c", "int8"),
    ]
    for row in rows:
        assert row["verified"]
        assert row["max_abs_diff"] < 1e-3
        assert row["agreement"] == 1.0
        assert row["bytes"] == row["weight_bytes"] + row["table_bytes"]
        assert row["arena_bytes"] > 0
    assert rows[1]["weight_bytes"] < rows[0]["weight_bytes"]
    scores = evaluate(run.model("prune"), run.data.arrays["test"], LABELS, "softmax")
    assert rows[0]["test_accuracy"] == scores.accuracy
    write_json(run.folder("export") / "stage.json", {"result": {"files": rows, "notes": notes}})
    told = bench(run, run.folder("bench"))["rows"]
    assert [(Path(row["model"]).name, row["runtime"]) for row in told] == [
        ("student.c", "c"),
        ("student_int8.c", "c"),
    ], "and not the programs of the golden vectors"


def test_without_a_compiler_the_run_goes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with caplog.at_level(logging.WARNING):
        rows, notes = written(run)
    assert rows == []
    assert len(notes) == 1
    assert "no-such-compiler" in notes[0]
    assert notes[0] in caplog.text
    assert list(run.folder("export").iterdir()) == []


def test_a_model_that_the_engine_lacks_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise UnsupportedOperatorError("The C engine has no\n`Fold`.")

    monkeypatch.setattr(stage, "find_compiler", lambda: None)
    monkeypatch.setattr(stage, "export_c", refused)
    rows, notes = written(run)
    assert rows == []
    assert notes == [
        "student.c was not written: The C engine has no `Fold`.",
        "student_int8.c was not written: The C engine has no `Fold`.",
    ]
