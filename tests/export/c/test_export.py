"""A C file is handed over only when it was compiled and gives torch's logits."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from aum_edge.audio.frontend import FrontEnd
from aum_edge.audio.wav import write_wav
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.errors import AudioError, ExportError, ParityError, UnsupportedOperatorError
from aum_edge.export.c import export
from aum_edge.export.c.config import CExportConfig
from aum_edge.export.c.export import CExportReport, export_c
from aum_edge.export.c.golden import FEATURES, SOUNDS, features, golden, noise, sound
from aum_edge.models.classifier import AudioClassifier
from aum_edge.runtimes.c import CClassifier
from aum_edge.runtimes.c_compiler import find_compiler
from aum_edge.runtimes.c_metadata import comment, marked, read_c_metadata
from aum_edge.runtimes.c_stream import CStream
from aum_edge.runtimes.predictor import open_stream
from tests.export.c.frontend.frontend_program import need_compiler
from tests.export.c.test_targets import causal

Make = Callable[[str], AudioClassifier]


@pytest.fixture(scope="module")
def made(
    classifier: Make, tmp_path_factory: pytest.TempPathFactory
) -> tuple[AudioClassifier, CExportReport]:
    need_compiler()
    model = classifier("ssd")
    return model, export_c(model, tmp_path_factory.mktemp("c") / "tiny-student.c")


def test_the_report(made: tuple[AudioClassifier, CExportReport]) -> None:
    _, report = made
    values = json.loads(json.dumps(report.to_dict()))
    assert values["verified"] is True
    assert values["name"] == "tiny_student"
    assert values["files"] == ["tiny-student.c", "tiny_student.h", "tiny_student_test.c"]
    assert all((report.path.parent / name).is_file() for name in report.files)
    assert values["proof"]["from_features"] <= 1e-5
    assert values["proof"]["from_samples"] <= 1e-5
    assert values["arena_bytes"] > 0
    assert sorted(path.name for path in report.path.parent.iterdir()) == sorted(report.files)


def test_the_file_in_python(
    made: tuple[AudioClassifier, CExportReport], clips: torch.Tensor
) -> None:
    model, report = made
    runner = CClassifier(report.path)
    assert runner.verified
    assert tuple(runner.labels) == model.labels
    assert runner.frontend == model.frontend
    assert runner.normalization == model.normalization
    with torch.inference_mode():
        torch.testing.assert_close(runner.logits(clips), model(clips), atol=1e-5, rtol=0)
        sounds = 0.1 * torch.randn(3, model.frontend.clip_samples)
        heard = model(FrontEnd(model.frontend)(sounds).unsqueeze(1))
        torch.testing.assert_close(runner.waveform_logits(sounds), heard, atol=1e-4, rtol=0)
        torch.testing.assert_close(
            runner.waveform_logits(sounds[:, None]), heard, atol=1e-4, rtol=0
        )
    assert runner.describe()["sha256"] == report.sha256
    assert runner.arena_bytes == report.arena_bytes


def test_shapes_are_checked(made: tuple[AudioClassifier, CExportReport]) -> None:
    runner = CClassifier(made[1].path, "portable")
    with pytest.raises(
        ExportError, match=r"takes features \(batch, 1, 32, 17\), got \(1, 32, 17\)"
    ):
        runner.logits(torch.zeros(1, 32, 17))
    with pytest.raises(ExportError, match=r"takes clips \(batch, 8000\) at 8000 Hz, got \(2, 7\)"):
        runner.waveform_logits(torch.zeros(2, 7))


def test_int8_is_the_int8_model(classifier: Make, tmp_path: Path) -> None:
    need_compiler()
    model = quantize(classifier("s6"), QuantizeConfig())
    report = export_c(model, tmp_path / "s6.c")
    assert report.proof is not None
    assert max(report.proof.from_features, report.proof.from_samples) <= 1e-5
    assert report.weight_bytes < sum(p.numel() * 4 for p in model.parameters())


def test_separate_weights(classifier: Make, tmp_path: Path, clips: torch.Tensor) -> None:
    need_compiler()
    model = classifier("ssd")
    report = export_c(model, tmp_path / "a.c", CExportConfig(name="other", separate_weights=True))
    assert "a_weights.c" in report.files
    with torch.inference_mode():
        torch.testing.assert_close(
            CClassifier(report.path).logits(clips), model(clips), atol=1e-5, rtol=0
        )
    (tmp_path / "a_weights.c").unlink()
    with pytest.raises(ExportError, match="keep the files of one export together"):
        CClassifier(report.path)


def test_a_wrong_program_is_not_kept(
    classifier: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_compiler()
    right = classifier("ssd")
    wrong = classifier("ssd")
    with torch.no_grad():
        next(m for m in wrong.modules() if isinstance(m, nn.Linear)).weight[0, 0] += 0.1
    monkeypatch.setattr(export, "golden", lambda _: golden(wrong))
    with pytest.raises(ParityError, match="differs from the model by") as caught:
        export_c(right, tmp_path / "x.c")
    assert caught.value.exit_code == 4
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_no_numbers(classifier: Make, tmp_path: Path) -> None:
    model = classifier("ssd")
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(ExportError):
        export_c(model, tmp_path / "x.c")
    assert list(tmp_path.iterdir()) == []


def test_without_a_compiler_the_file_says_so(
    classifier: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_compiler()
    path = tmp_path / "x.c"
    with monkeypatch.context() as patch:
        patch.setenv("CC", "no-such-compiler")
        report = export_c(classifier("ssd"), path)
    assert not report.verified
    assert report.to_dict()["proof"] is None
    assert '"proof": "unverified"' in path.read_text()
    assert not CClassifier(path).verified


def test_a_compiler_that_fails_leaves_files_that_say_so(
    classifier: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin" / "fake"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\n[ $1 = --version ] && exit 0\necho 'error: no space' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("CC", str(fake))
    report = export_c(classifier("ssd"), tmp_path / "x.c")
    assert report.proof is None
    assert "could not compile" in report.unproven
    assert "error: no space" in report.unproven
    assert '"proof": "unverified"' in (tmp_path / "x.c").read_text()


def test_output_is_deterministic(
    made: tuple[AudioClassifier, CExportReport],
    classifier: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    again = export_c(classifier("ssd"), tmp_path / "tiny-student.c")
    for name in again.files:
        first, second = (made[1].path.parent / name).read_text(), (tmp_path / name).read_text()
        assert first.replace('"proof": "verified"', '"proof": "unverified"', 1) == second


def test_models_and_names_that_will_not_do(
    classifier: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(UnsupportedOperatorError):
        export_c(classifier("cp"), tmp_path / "x.c")
    for name, message in ((tmp_path, "is a folder: give"), (tmp_path / "x.onnx", r"NAME\.c")):
        with pytest.raises(ExportError, match=message):
            export_c(classifier("ssd"), name)
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="Cannot write"):
        export_c(classifier("ssd"), tmp_path / "file" / "x.c")


def test_inputs_are_those_of_the_c_program(classifier: Make, tmp_path: Path) -> None:
    need_compiler()
    state = 5
    for value in noise(5, 1000):
        state = (1664525 * state + 1013904223) % 2**32
        assert value == (state >> 16) - 32768
    model = classifier("ssd")
    wanted = golden(model)
    assert wanted.features.shape == (FEATURES, 3)
    assert wanted.sounds.shape == (SOUNDS, 3)
    # Answers must depend on the input, or the comparison would say little.
    assert np.ptp(wanted.features, axis=0).min() > 1e-3
    assert np.ptp(wanted.sounds, axis=0).min() > 1e-3
    assert abs(sound(3, 8000)).max() > 0.99
    assert not sound(2, 100).any()
    assert np.ptp(features(model, 1, 100)) == 0


def test_damaged_files(made: tuple[AudioClassifier, CExportReport], tmp_path: Path) -> None:
    text = made[1].path.read_text()
    broken = {
        "does not begin": text[3:],
        "damaged comment": text[:100],
        "damaged metadata": text.replace('"labels"', '"lables"', 1),
        "is no text": text.replace('"activation": "softmax"', '"activation": 3', 1),
        "does not name its functions": text.replace('"c.name": "tiny_student"', '"c.name": "a b"'),
        "is missing beside": text,
    }
    for message, content in broken.items():
        path = tmp_path / "x.c"
        path.write_text(content)
        with pytest.raises(ExportError, match=message):
            CClassifier(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ExportError, match="is no text"):
        CClassifier(path)
    with pytest.raises(ExportError, match="Cannot read"):
        read_c_metadata(tmp_path / "none.c")


def test_labels_cannot_end_the_comment(tmp_path: Path) -> None:
    need_compiler()
    label = '*/ int main; /* */*/** "\\ ??/ \u00e4'
    text = comment({"aum_edge.version": "1", "x": label})
    path = tmp_path / "x.c"
    path.write_text(marked(text + "int x;\n", "verified"), encoding="utf-8")
    command = [*find_compiler().command, "-std=c99", "-Wall", "-Werror", "-fsyntax-only"]
    subprocess.run([*command, str(path)], check=True)
    with pytest.raises(ExportError, match="damaged metadata"):
        read_c_metadata(path)
    assert json.loads(text[len("/* aum-edge model\n") : -4])["x"] == label
    assert "*/" not in text[:-4]


def test_streams_in_python(tmp_path: Path) -> None:
    need_compiler()
    model = causal()
    report = export_c(model, tmp_path / "causal.c")
    assert report.stream_bytes
    stream = CStream(report.path)
    sound_heard = 0.1 * torch.randn(model.frontend.clip_samples)
    with torch.inference_mode():
        whole = model(FrontEnd(model.frontend)(sound_heard[None]).unsqueeze(1))[0]
    for _ in range(2):
        answers = [stream.push(piece) for piece in sound_heard.split(100)]
        assert answers[0] is None
        last = stream.finish()
        assert last is not None
        torch.testing.assert_close(last, whole, atol=1e-4, rtol=0)
        stream.reset()
    with pytest.raises(AudioError, match="after 0 samples"):
        stream.finish()
    with pytest.raises(ExportError, match="answers NaN"):
        stream.push(torch.full((8000,), float("nan")))
    with pytest.raises(ExportError, match="takes samples"):
        stream.push(torch.zeros(2, 2))
    wav = tmp_path / "x.wav"
    write_wav(wav, sound_heard.numpy(), 8000)
    told = open_stream(report.path).label_file(wav)
    assert told["label"] == model.labels[int(whole.argmax())]


def test_whole_clips_are_no_streams(made: tuple[AudioClassifier, CExportReport]) -> None:
    assert made[1].stream_bytes is None
    with pytest.raises(ExportError, match="takes whole clips: streams need a causal student"):
        CStream(made[1].path)
