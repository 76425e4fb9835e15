from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.bench import latency
from aum_edge.bench.config import BenchConfig, BenchPlan
from aum_edge.bench.entry import Entry, LoadedEntry, entry_of
from aum_edge.bench.footprint import fresh_footprint
from aum_edge.bench.latency import measure
from aum_edge.bench.report import row_of
from aum_edge.errors import BenchError, CheckpointError, ExportError, RecipeError
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import CPMobileConfig
from aum_edge.models.registry import build
from aum_edge.models.storage.directory import save
from aum_edge.runtimes.runtime import example_for
from tests.small_run import student

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
        assert set(FIELDS) <= set(row)
        assert row["p25_ms"] <= row["p50_ms"] <= row["p75_ms"]
        assert (row["batch"], row["input"]) == (1, "features")
        assert row["bytes"] > 0
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


def test_models_are_interleaved_and_warm_up_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    clock = iter(range(0, 10**6, 5))
    monkeypatch.setattr(latency.time, "perf_counter_ns", lambda: next(clock))

    def entry(name: str) -> LoadedEntry:
        return LoadedEntry(model=name, runtime="torch", threads=1, run=lambda: calls.append(name))

    told: list[tuple[int, int]] = []
    times = latency._interleaved_times(
        [entry("a"), entry("b")],
        BenchConfig(runs=5, warmup=2, block=2),
        lambda done, total, what: told.append((done, total)),
    )
    assert "".join(calls) == "aabb" + "aabb" + "bbaa" + "ab"
    assert [list(taken) for taken in times] == [[5] * 5] * 2
    assert told[-1] == (10, 10)


def test_percentiles() -> None:
    model = LoadedEntry(
        model="m", runtime="torch", threads=2, run=lambda: None, clip_seconds=0.5, load_ms=1.0
    )
    row = row_of(model, np.arange(1, 102) * 1_000_000, 1)
    assert (row.min_ms, row.p25_ms, row.p50_ms, row.p75_ms) == (1, 26, 51, 76)
    assert (row.p90_ms, row.p99_ms, row.runs, row.threads) == (91, 100, 101, 2)
    assert row.spread == pytest.approx(50 / 51)
    assert row.rtf == pytest.approx(0.102)
    assert row_of(model, np.arange(1, 102) * 1_000_000, 4).rtf == pytest.approx(0.0255)


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


def test_runtimes_and_threads_have_rows_of_their_own(models: tuple[Path, Path]) -> None:
    plan = BenchPlan(runtimes=("onnxruntime", "torch"), threads=(1, 2), batch=3)
    found = measure(models, BenchConfig(runs=2, warmup=0), plan=plan, control="file")
    rows = [(Path(row.model).name, row.runtime, row.threads) for row in found.rows]
    once = [("model", "onnxruntime"), ("model", "torch"), ("file.onnx", "onnxruntime")]
    assert rows == [(*each, threads) for threads in (1, 2) for each in once]
    assert {row.batch for row in found.rows} == {3}
    assert len(found.skipped) == 1
    assert "cannot run in" in found.skipped[0]["reason"]
    for at in (2, 5):
        assert found.rows[at].ratio == 1
        assert found.rows[at - 1].ratio == found.rows[at - 1].p50_ms / found.rows[at].p50_ms
    # The directory was exported for onnxruntime: that file was timed, not the weights.
    assert found.rows[0].sha256 != found.rows[1].sha256


def test_one_bad_model_does_not_stop_the_others(tmp_path: Path, models: tuple[Path, Path]) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"x")
    plan = BenchPlan(tolerant=True)
    found = measure([tmp_path / "bad.onnx", tmp_path / "no", models[1]], QUICK, plan=plan)
    assert [row.model for row in found.rows] == [str(models[1])]
    assert found.rows[0].ratio == 1
    assert found.control == str(models[1])
    assert {Path(row["model"].split(" in ")[0]).name for row in found.failed} == {"bad.onnx", "no"}
    with pytest.raises(ExportError, match="no model"):
        measure([tmp_path / "no"], QUICK, plan=plan)


def test_a_model_that_one_runtime_cannot_take_is_timed_in_the_others(
    models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, runtime: str, folder: Path) -> Entry | None:
        if runtime == "onnxruntime":
            raise ExportError("it has no ONNX form")
        return entry_of(path, runtime, folder)

    monkeypatch.setattr("aum_edge.bench.latency.entry_of", refuse)
    plan = BenchPlan(runtimes=("onnxruntime", "torch"), tolerant=True)
    found = measure([models[0]], QUICK, plan=plan)
    assert [row.runtime for row in found.rows] == ["torch"]
    assert [row["model"] for row in found.failed] == [f"{models[0]} in onnxruntime"]


def test_the_control_may_be_named_as_a_shell_completes_it(models: tuple[Path, Path]) -> None:
    folder, file = models
    for name in (f"{folder}/", f"{folder.parent}/./model", "model"):
        assert latency._control((file, folder), name) == str(folder)
    assert latency._control(models, "file.onnx") == str(file)


def test_loading_is_measured_in_a_process_of_its_own(models: tuple[Path, Path]) -> None:
    cost = fresh_footprint(models[1], "onnxruntime", 1, 1)
    assert cost.load_ms > 0
    assert cost.process_mb > cost.rss_mb > 0
    with pytest.raises(BenchError, match="of its own"):
        fresh_footprint(models[1].with_name("none.onnx"), "onnxruntime", 1, 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"runtimes": ("tflite",)}, "tflite"),
        ({"runtimes": ("torch", "torch")}, "each once"),
        ({"threads": (1, 0)}, "1,0"),
        ({"threads": (2, 2)}, "each once"),
        ({"batch": 0}, "batch"),
    ],
)
def test_bad_plans(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        BenchPlan(**values)


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")
def test_openvino_times_a_file(models: tuple[Path, Path]) -> None:
    found = measure(models[1:], QUICK, plan=BenchPlan(runtimes=("openvino",)))
    assert found.rows[0].runtime == "openvino"


def test_examples_follow_the_graphs_input() -> None:
    frontend = FrontEndConfig()
    features = example_for(["batch", 1, 256, 65], frontend, 2, 0)
    assert features.shape == (2, 1, 256, 65)
    assert example_for(["batch", 1, 256, "time"], frontend, 1, 0).shape[3] == 65
    sound = example_for(["batch", 32000], frontend, 3, 0)
    assert sound.shape == (3, 32000)
    assert np.abs(sound).max() < 1
    assert example_for(["batch", "samples"], frontend, 1, 0).shape == (1, 32000)
    assert features.dtype == sound.dtype == np.float32


def test_columns_stand_below_their_heads_where_names_are_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(student(), "m")
    head, line, *_ = str(measure(["m"], BenchConfig(runs=2, warmup=0))).splitlines()
    assert head.index("runtime") == line.index("torch")
