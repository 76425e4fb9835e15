"""Runtimes: found by themselves, chosen by the file's ending, refused where they are missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import aum_edge.runtimes
from aum_edge.audio.wav import write_wav
from aum_edge.bench.config import BenchConfig, BenchPlan
from aum_edge.bench.latency import measure
from aum_edge.cli.main import main
from aum_edge.errors import BenchError, ExportError, RecipeError
from aum_edge.export.onnx.export import export_onnx
from aum_edge.runtimes.registry import (
    checked_runtimes,
    endings,
    runtimes,
    runtimes_for,
    stream_runtime,
    usual_runtime,
)
from tests.small_run import RATE, student

TOY = """
import json

from aum_edge.audio.config import FrontEndConfig
from aum_edge.runtimes.runtime import Opened, OpenedClassifier, Runtime


def _open(path, threads, batch, seed):
    return Opened(lambda: None, 1.0, "features")


def _classifier(path):
    import torch

    values = json.loads(path.read_text())
    frontend = FrontEndConfig(**values["frontend"])
    one = torch.arange(float(len(values["labels"])))
    return OpenedClassifier(
        tuple(values["labels"]), frontend, lambda x: one.repeat(len(x), 1), "softmax", "spectrogram"
    )


RUNTIME = Runtime(
    name="toy",
    endings=(".toy",),
    open=_open,
    classifier=_classifier,
    missing=lambda: "" if ALLOWED else "Toys are not allowed.",
)
ALLOWED = True
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One new file, and nothing else; a model of it."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy_runtime.py").write_text(TOY)
    package = aum_edge.runtimes
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / "more")])
    frontend = {"sample_rate": RATE, "n_fft": 256, "win_length": 256, "hop_length": 250}
    values = {"labels": ["a", "b"], "frontend": frontend | {"n_mels": 16}}
    (tmp_path / "m.toy").write_text(json.dumps(values))
    yield tmp_path / "m.toy"
    sys.modules.pop("aum_edge.runtimes.toy_runtime", None)


def test_a_new_file_is_a_runtime(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "toy" in runtimes()
    assert ".toy" in endings()
    sound = tmp_path / "s.wav"
    write_wav(sound, 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    assert main(["predict", str(toy), str(sound), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["label"] == "b"
    found = measure([toy], BenchConfig(runs=2, warmup=0))
    assert found.rows[0].runtime == "toy"
    assert main(["bench", str(toy), "--runtime", "onnxruntime"]) == 1
    assert "cannot run in onnxruntime" in capsys.readouterr().err
    monkeypatch.setattr(sys.modules["aum_edge.runtimes.toy_runtime"], "ALLOWED", False)
    with pytest.raises(BenchError, match="Toys are not allowed"):
        BenchPlan(runtimes=("toy",))


def test_every_runtime_has_what_it_must_have() -> None:
    known = runtimes()
    assert {"torch", "onnxruntime", "openvino", "c"} <= set(known)
    for ending in (*endings(), ""):
        usual = [runtime for runtime in runtimes_for(ending) if runtime.usual]
        assert len(usual) == 1, f"one is the usual one for {ending}"
        assert usual[0].classifier is not None


def test_the_ending_decides_in_capitals_too(tmp_path: Path) -> None:
    assert usual_runtime(tmp_path).name == "torch"
    assert usual_runtime(Path("a.ONNX")).name == "onnxruntime"
    assert usual_runtime(Path("a.c")).name == "c"
    assert usual_runtime(Path("nothing")).name == "torch", "which says what is wrong"
    assert stream_runtime(Path("a.c")).name == "c"
    with pytest.raises(ExportError, match="takes a step graph"):
        stream_runtime(tmp_path)


def test_a_file_in_capitals_is_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export_onnx(student().eval(), tmp_path / "M.ONNX")
    write_wav(tmp_path / "s.wav", 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    assert main(["predict", str(tmp_path / "M.ONNX"), str(tmp_path / "s.wav")]) == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_names_are_checked() -> None:
    assert checked_runtimes(("torch", "c")) == ("torch", "c")
    with pytest.raises(RecipeError, match="each once"):
        checked_runtimes(("torch", "torch"))
    with pytest.raises(RecipeError, match="tflite"):
        checked_runtimes(("tflite",))


def test_openvino_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[runtimes()["openvino"].open.__module__]
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(BenchError, match="not installed"):
        BenchPlan(runtimes=("openvino",))


def test_the_registry_imports_nothing_heavy() -> None:
    code = (
        "import sys; from aum_edge.runtimes.registry import runtimes\n"
        "from aum_edge.export.registry import export_targets\nruntimes(), export_targets()\n"
        "print(*{'torch', 'onnxruntime', 'numpy', 'onnx'} & set(sys.modules))"
    )
    root = Path(aum_edge.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == ""
