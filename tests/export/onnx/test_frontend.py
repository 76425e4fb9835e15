"""The front end inside the file gives the values of the one outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch

from aum_edge.audio.config import FrontEndConfig, aum_fbank
from aum_edge.audio.frontend import FrontEnd
from aum_edge.audio.mel import mel_filters
from aum_edge.audio.wav import write_wav
from aum_edge.complexity.limits import get_limits
from aum_edge.complexity.onnx.counter import count_onnx
from aum_edge.complexity.onnx.report import analyse_onnx
from aum_edge.errors import ExportError, ParityError, RecipeError
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.export.onnx.export import ExportReport, export_onnx
from aum_edge.export.onnx.frontend import with_front_end
from aum_edge.export.onnx.naming import number_nodes
from aum_edge.export.onnx.parity import random_waveforms
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.storage.directory import save
from aum_edge.runtimes.onnx import OnnxClassifier
from aum_edge.runtimes.predictor import open_predictor

SMALL = {"sample_rate": 8000, "n_fft": 256, "win_length": 200, "hop_length": 77, "n_mels": 20}
FRONT_ENDS = {
    "the default": FrontEndConfig(n_mels=64),
    "whole clip": FrontEndConfig(**SMALL, range_db=60, clip_mean=True),
    "magnitudes, zeros": FrontEndConfig(**SMALL, power=1, stft_padding="constant"),
    "odd sizes": FrontEndConfig(**{**SMALL, "n_fft": 315, "win_length": 211}),
    "prime transform": FrontEndConfig(**{**SMALL, "n_fft": 211}, clip_seconds=0.1),
    "shorter than its padding": FrontEndConfig(**SMALL, clip_seconds=0.01),
    "one band": FrontEndConfig(**{**SMALL, "n_mels": 1}),
    "part of the band": FrontEndConfig(**SMALL, f_min=300, f_max=3000),
    "kaldi": aum_fbank(16_000, n_frames=30),
    "kaldi, odd hop": FrontEndConfig(kind="kaldi_fbank", **SMALL, clip_seconds=0.3),
}


def graph_of(config: FrontEndConfig) -> onnx.ModelProto:
    """A network that gives back its features."""
    features = ir.val("spectrogram", ir.DataType.FLOAT, ["batch", 1, config.n_mels, "frames"])
    node = ir.node("Identity", [features])
    out = node.outputs[0]
    out.name, out.shape, out.type = "logits", features.shape, features.type
    graph = ir.Graph([features], [out], nodes=[node], opset_imports={"": 18}, name="g")
    model = ir.Model(graph, ir_version=8)
    with_front_end(model, config)
    number_nodes(graph)
    return ir.to_proto(model)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_features(name: str) -> None:
    config = FRONT_ENDS[name]
    proto = graph_of(config)
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    clips = 0.3 * torch.randn(3, config.clip_samples, generator=torch.Generator().manual_seed(1))
    clips[1] = 0.01 * clips[1] + 0.1
    for batch in (clips, clips[:1]):
        got = session.run(None, {"waveform": batch.numpy()})[0]
        np.testing.assert_allclose(got[:, 0], FrontEnd(config)(batch), atol=2e-3)
        assert np.abs(got[:, 0] - FrontEnd(config)(batch).numpy()).mean() < 2e-5


def test_silence_is_finite() -> None:
    for config in (FRONT_ENDS["the default"], FRONT_ENDS["kaldi"]):
        session = onnxruntime.InferenceSession(graph_of(config).SerializeToString())
        silence = np.zeros((1, config.clip_samples), np.float32)
        got = session.run(None, {"waveform": silence})[0][0]
        np.testing.assert_allclose(got, FrontEnd(config)(torch.zeros(1, len(silence[0]))))


def test_tables_are_small() -> None:
    proto = graph_of(FrontEndConfig())
    assert len(proto.SerializeToString()) < 200_000
    assert all(t.name.startswith(("frontend.", "int64_")) for t in proto.graph.initializer)


@pytest.fixture(scope="module")
def listening(
    classifier: Callable[[str], AudioClassifier], tmp_path_factory: pytest.TempPathFactory
) -> tuple[AudioClassifier, ExportReport]:
    model = classifier("ssd")
    path = tmp_path_factory.mktemp("waveform") / "ssd.onnx"
    return model, export_onnx(model, path, ExportConfig(with_frontend=True))


Listening = tuple[AudioClassifier, ExportReport]


def test_waveform_in_logits_out(listening: Listening) -> None:
    model, report = listening
    runner = OnnxClassifier(report.path)
    clips = random_waveforms(model.frontend, 5)
    with torch.inference_mode():
        expected = model(FrontEnd(model.frontend)(clips).unsqueeze(1))
    assert runner.input_name == "waveform"
    assert runner.input_shape == (8000,)
    for batch in (1, 2, 5):
        torch.testing.assert_close(
            runner.logits(clips[:batch]), expected[:batch], atol=1e-4, rtol=0
        )
    assert torch.equal(runner.logits(clips.unsqueeze(1)), runner.logits(clips))
    assert report.max_abs_diff < 1e-4


def test_metadata_names_it(listening: Listening) -> None:
    proto = onnx.load(listening[1].path)
    props = {entry.key: entry.value for entry in proto.metadata_props}
    assert props["input"] == "waveform"
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in dims] == ["batch", 8000]
    assert json.loads(props["frontend"])["n_fft"] == 256
    names = [node.name for node in proto.graph.node]
    assert len(set(names)) == len(names)
    assert any(name.startswith("/frontend/") for name in names)


def test_the_models_figures_leave_the_front_end_out_and_say_so(
    listening: Listening, exported: Callable[[str], Any]
) -> None:
    path = listening[1].path
    alone = analyse_onnx(exported("ssd").report.path, get_limits("dcase2025"))
    whole = analyse_onnx(path, get_limits("dcase2025"))
    assert whole.counts.macs == alone.counts.macs
    assert whole.counts.special_functions == alone.counts.special_functions
    assert whole.sizes["param_bytes"] == alone.sizes["param_bytes"]
    assert whole.sizes["buffer_bytes"] > 1000
    inside = count_onnx(path, front_end=True).macs - alone.counts.macs
    assert inside > 100_000
    assert f"{inside:,} MACs" in whole.warnings[-1]
    assert not whole.counts.unsupported


def test_files_are_labelled_as_the_model_labels_them(listening: Listening, tmp_path: Path) -> None:
    model, report = listening
    save(model, tmp_path / "model")
    sound = 0.2 * np.random.default_rng(2).standard_normal((20_500, 1))
    write_wav(tmp_path / "a.wav", sound, 8000)
    answers = [
        open_predictor(path).label_file(tmp_path / "a.wav")
        for path in (tmp_path / "model", report.path)
    ]
    assert answers[0]["label"] == answers[1]["label"]
    for name, share in answers[0]["probabilities"].items():
        assert answers[1]["probabilities"][name] == pytest.approx(share, abs=1e-4)


def test_waveforms_that_are_refused(listening: Listening) -> None:
    runner = OnnxClassifier(listening[1].path)
    for shape in ((1, 7999), (8000,), (0, 8000), (1, 2, 8000)):
        with pytest.raises(ExportError, match=r"takes waveforms \(batch, 8000\)"):
            runner.logits(np.zeros(shape, dtype=np.float32))
    bad = np.zeros((2, 8000), dtype=np.float32)
    bad[1, 5] = np.nan
    with pytest.raises(ExportError, match="NaN"):
        runner.logits(bad)


def test_another_front_end_than_the_models_is_found(
    classifier: Callable[[str], AudioClassifier],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "aum_edge.export.onnx.frontend.mel_filters", lambda config: 0.5 * mel_filters(config)
    )
    with pytest.raises(ParityError):
        export_onnx(classifier("ssd"), tmp_path / "m.onnx", ExportConfig(with_frontend=True))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "values",
    [
        {"with_frontend": True, "dynamic_length": True},
        {"scan": "unrolled", "dynamic_length": True},
    ],
)
def test_settings_that_exclude_each_other(values: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="dynamic_length"):
        ExportConfig(**values)
