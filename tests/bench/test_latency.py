from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.bench import latency
from aum_edge.bench.config import BenchConfig
from aum_edge.bench.contestant import Contestant
from aum_edge.bench.latency import measure
from aum_edge.errors import CheckpointError, ExportError, RecipeError
from aum_edge.export.onnx import export_onnx
from aum_edge.models.build import build
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import CPMobileConfig
from aum_edge.models.directory import save

FIELDS = "model runtime threads runs p50_ms p90_ms p99_ms min_ms load_ms rss_mb rtf sha256".split()
QUICK = BenchConfig(runs=7, warmup=1, block=3)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same network as a directory and as a file."""
    folder = tmp_path_factory.mktemp("bench")
    frontend = FrontEndConfig(
        sample_rate=8000, n_fft=256, win_length=256, hop_length=500, n_mels=32, clip_seconds=2
    )
    backbone = build(CPMobileConfig(n_classes=2, n_mels=32, n_frames=33, base_channels=8))
    model = AudioClassifier(
        backbone, frontend=frontend, normalization=Normalization(), labels=("a", "b")
    ).eval()
    save(model, folder / "model")
    export_onnx(model, folder / "file.onnx")
    return folder / "model", folder / "file.onnx"


@pytest.fixture(scope="module")
def report(models: tuple[Path, Path]) -> dict[str, Any]:
    return measure(models, QUICK).to_dict()


def test_rows_have_the_stable_fields(report: dict[str, Any], models: tuple[Path, Path]) -> None:
    assert [row["model"] for row in report["rows"]] == [str(path) for path in models]
    assert [row["runtime"] for row in report["rows"]] == ["torch", "onnxruntime"]
    for row in report["rows"]:
        assert list(row) == FIELDS
        assert (row["threads"], row["runs"]) == (1, 7)
        assert 0 < row["min_ms"] <= row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"]
        assert row["load_ms"] > 0
        assert row["rss_mb"] >= 0
        assert row["rtf"] == pytest.approx(row["p50_ms"] / 2000)
        assert len(row["sha256"]) == 64
    assert report["rows"][0]["sha256"] != report["rows"][1]["sha256"]
    assert report["host"]["cpu"]
    json.dumps(report)


def test_ratios_are_against_the_control(report: dict[str, Any], models: tuple[Path, Path]) -> None:
    first, second = report["rows"]
    assert report["control"] == first["model"]
    assert report["ratios"][first["model"]] == 1
    assert report["ratios"][second["model"]] == second["p50_ms"] / first["p50_ms"]
    other = measure(models, QUICK, control="file")
    assert other.control == str(models[1])
    assert other.ratios[str(models[1])] == 1


def test_models_take_turns_and_warm_up_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    clock = iter(range(0, 10**6, 5))
    monkeypatch.setattr(latency.time, "perf_counter_ns", lambda: next(clock))

    def contestant(name: str) -> Contestant:
        return Contestant(name, "torch", "", 1.0, 0.0, 0.0, lambda: calls.append(name))

    told: list[tuple[int, int]] = []
    times = latency._take_turns(
        [contestant("a"), contestant("b")],
        BenchConfig(runs=5, warmup=2, block=2),
        lambda done, total, what: told.append((done, total)),
    )
    assert "".join(calls) == "aabb" + "aabb" + "bbaa" + "ab"
    assert [list(taken) for taken in times] == [[5] * 5] * 2
    assert told[-1] == (10, 10)


def test_percentiles() -> None:
    model = Contestant("m", "torch", "s", 0.5, 1.0, 2.0, lambda: None)
    row = latency._row(model, np.arange(1, 102) * 1_000_000, BenchConfig(runs=101))
    assert (row.min_ms, row.p50_ms, row.p90_ms, row.p99_ms) == (1, 51, 91, 100)
    assert row.rtf == pytest.approx(0.102)


def test_torch_threads_are_put_back(models: tuple[Path, Path]) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    measure(
        models[:1],
        BenchConfig(threads=before + 1, runs=1, warmup=0),
        progress=lambda *_: seen.append(torch.get_num_threads()),
    )
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("values", [{"threads": 0}, {"runs": 0}, {"warmup": -1}, {"block": 0}])
def test_bad_settings(values: dict[str, int]) -> None:
    with pytest.raises(RecipeError, match=next(iter(values))):
        BenchConfig(**values)


def test_bad_models(tmp_path: Path, models: tuple[Path, Path]) -> None:
    with pytest.raises(RecipeError, match="one model or more"):
        measure([], QUICK)
    with pytest.raises(RecipeError, match="each once"):
        measure([models[0], models[0]], QUICK)
    with pytest.raises(RecipeError, match="control"):
        measure(models, QUICK, control="other")
    with pytest.raises(ExportError, match="no model"):
        measure([tmp_path / "none"], QUICK)
    with pytest.raises(CheckpointError):
        measure([tmp_path], QUICK)
    (tmp_path / "bad.onnx").write_bytes(b"x")
    with pytest.raises(ExportError):
        measure([tmp_path / "bad.onnx"], QUICK)
