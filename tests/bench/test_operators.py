"""Operators fall into groups, and a scan's body counts once."""

from __future__ import annotations

from pathlib import Path

import pytest

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.bench.operators import group_of, grouped, operator_times
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import CPMobileConfig
from aum_edge.models.registry import build


def event(kind: str, start: int, length: int, name: str = "n_kernel_time") -> dict:
    return {"name": name, "ts": start, "dur": length, "args": {"op_name": kind}}


def test_a_scans_body_is_not_counted_twice() -> None:
    events = [
        event("Conv", 0, 10),
        event("Mul", 12, 3),
        event("Mul", 16, 2),
        event("Scan", 11, 9),
        event("Mul", 20, 4),
        event("", 0, 30, name="model_run"),
    ]
    found = grouped(events, warmup=0)
    assert found == {"convolution": 10.0, "scan loop": 9.0, "add, multiply, norms": 4.0}
    assert list(found) == ["convolution", "scan loop", "add, multiply, norms"]


def test_first_runs_and_a_disturbed_one_do_not_show() -> None:
    times = (900, 10, 12, 7000, 11, 12)
    events = [event("Conv", 10_000 * at + 1, took) for at, took in enumerate(times)]
    events += [event("", 10_000 * at, 9_000, name="model_run") for at in range(len(times))]
    assert grouped(events, warmup=1) == {"convolution": 12}


@pytest.mark.parametrize(
    ("kind", "group"),
    [("FusedConv", "convolution"), ("QGemm", "matrix products"), ("Brand New", "other")],
)
def test_groups(kind: str, group: str) -> None:
    assert group_of(kind) == group


def test_a_files_time_is_mostly_convolution(tmp_path: Path) -> None:
    frontend = FrontEndConfig(
        sample_rate=8000, n_fft=256, win_length=256, hop_length=500, n_mels=32, clip_seconds=2
    )
    model = AudioClassifier(
        build(CPMobileConfig(n_classes=2, n_mels=32, n_frames=33, base_channels=8)),
        frontend=frontend,
        normalization=Normalization(),
        labels=("a", "b"),
    )
    export_onnx(model.eval(), tmp_path / "m.onnx")
    found = operator_times(tmp_path / "m.onnx", runs=2)
    assert found["convolution"] > 0
    assert "scan loop" not in found
    assert not list(tmp_path.glob("*.json"))
