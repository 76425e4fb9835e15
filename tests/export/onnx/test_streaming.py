"""The step graph: whole recordings in pieces, through the front end and onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from aum_edge.audio.frontend import FrontEnd
from aum_edge.audio.wav import write_wav
from aum_edge.cli.main import main
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.errors import ExportError, ParityError
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.export.onnx.streaming import export_streaming
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.storage.directory import save
from aum_edge.runtimes.onnx import OnnxClassifier
from aum_edge.runtimes.onnx_stream import OnnxStream
from tests.small_run import RATE, student


def causal(mixer: str = "ssd") -> AudioClassifier:
    return student(bidirectional=False, d_conv=4, mixer=mixer).eval()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("steps")
    for mixer in ("ssd", "s6"):
        export_streaming(causal(mixer), folder / f"{mixer}.onnx")
    export_streaming(quantize(causal(), QuantizeConfig()), folder / "int8.onnx")
    save(causal(), folder / "model")
    return folder


@pytest.mark.parametrize("size", [1000, 4321, 30_000])
@pytest.mark.parametrize("mixer", ["ssd", "s6"])
@torch.no_grad()
def test_any_pieces_give_the_whole_recordings_logits(files: Path, mixer: str, size: int) -> None:
    model = causal(mixer)
    sound = 0.2 * torch.randn(3 * RATE + 137, generator=torch.manual_seed(4))
    stream = OnnxStream(files / f"{mixer}.onnx")
    for piece in sound.split(size):
        stream.push(piece)
    logits = stream.finish()
    features = FrontEnd(model.frontend)(sound[None]).unsqueeze(1)
    assert logits is not None
    torch.testing.assert_close(logits, model(features)[0], atol=1e-4, rtol=1e-4)
    assert stream.tokens == (features.shape[3] - 1) // 4 + 1


@torch.no_grad()
def test_a_reset_stream_starts_anew(files: Path) -> None:
    stream = OnnxStream(files / "ssd.onnx")
    sound = 0.2 * torch.randn(RATE, generator=torch.manual_seed(5))
    first = [stream.push(sound), stream.finish()][1]
    stream.push(torch.randn(RATE))
    stream.reset()
    again = [stream.push(sound), stream.finish()][1]
    assert torch.equal(first, again)


def test_int8_step_graphs_keep_int8_weights(files: Path) -> None:
    small, whole = (files / name for name in ("int8.onnx", "ssd.onnx"))
    assert small.stat().st_size < whole.stat().st_size


def test_whole_clip_tools_name_the_step_graph(files: Path) -> None:
    with pytest.raises(ExportError, match="predict --stream"):
        OnnxClassifier(files / "ssd.onnx")
    with pytest.raises(ExportError, match="both directions needs the whole clip"):
        export_streaming(student().eval(), files / "no.onnx")
    assert not (files / "no.onnx").exists()


def test_failed_parity_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="differs from the whole clip"):
        export_streaming(causal(), tmp_path / "m.onnx", ExportConfig(atol=1e-12))
    assert list(tmp_path.iterdir()) == []


def test_nan_is_reported_and_samples_are_one_row(files: Path) -> None:
    stream = OnnxStream(files / "ssd.onnx")
    with pytest.raises(ExportError, match="answers NaN"):
        stream.push(torch.full((RATE,), float("nan")))
    with pytest.raises(ExportError, match=r"takes samples \(n,\)"):
        stream.push(torch.zeros(2, 100))


def test_the_commands(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = tmp_path / "step.onnx"
    assert main(["export", str(files / "model"), str(step), "--streaming", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scan"] == "step"
    sound = 0.1 * np.random.default_rng(0).standard_normal(2 * 11025)
    write_wav(tmp_path / "a.wav", sound, 11025, bits=16)
    words = ["predict", str(step), str(tmp_path / "a.wav"), str(tmp_path / "b.wav")]
    assert main([*words, "--stream", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert abs(sum(rows[0]["probabilities"].values()) - 1) < 1e-4
    assert "b.wav" in rows[1]["error"]
    assert main(["predict", str(files / "model"), str(tmp_path / "a.wav"), "--stream"]) == 1
    assert "--streaming" in capsys.readouterr().err
