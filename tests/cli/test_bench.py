"""`aum-edge bench` as it is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.cli.main import main
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import CPMobileConfig
from aum_edge.models.registry import build


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "control.onnx"
    frontend = FrontEndConfig(
        sample_rate=8000, n_fft=256, win_length=256, hop_length=500, n_mels=32, clip_seconds=2
    )
    model = AudioClassifier(
        build(CPMobileConfig(n_classes=2, n_mels=32, n_frames=33, base_channels=8)),
        frontend=frontend,
        normalization=Normalization(),
        labels=("a", "b"),
    )
    export_onnx(model.eval(), path)
    return path


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, list[str]]:
    code = main(["bench", *map(str, words)])
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("aum-edge: ")]
    return code, captured.out, [line for line in lines if "is busy" not in line]


def test_saves_draws_and_compares(capsys, file, tmp_path) -> None:
    old, drawn = tmp_path / "new" / "old.json", tmp_path / "bars.svg"
    code, out, _ = call(capsys, file, "--runs", 3, "--save", old, "--plot", drawn)
    assert code == 0
    assert "control.onnx" in out
    assert "fresh process" in out
    picture = drawn.read_text()
    assert "<svg" in picture
    assert "#0b000" not in picture
    code, out, _ = call(capsys, file, "--runs", 3, "--compare", old)
    assert code == 0
    assert "times" in out.split("beside")[1]
    assert list(old.parent.iterdir()) == [old]
    values = json.loads(old.read_text())
    values["host"]["cpu"] = "Another 9000"
    old.write_text(json.dumps(values))
    code, out, said = call(capsys, file, "--runs", 3, "--compare", old)
    assert (code, out, len(said)) == (1, "", 1)
    assert "Another 9000" in said[0]


def test_a_bad_model_among_good_ones(capsys, file, tmp_path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"x")
    code, out, said = call(capsys, tmp_path / "bad.onnx", file, "--runs", 2, "--json")
    assert code == 1
    assert [row["model"] for row in json.loads(out)["rows"]] == [str(file)]
    assert len(said) == 1
    assert "bad.onnx" in said[0]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--threads", "0"], 2, "threads"),
        (["--threads", "one"], 2, "'one'"),
        (["--runs", "0"], 2, "runs"),
        (["--batch", "0"], 2, "batch"),
        (["--runtime", "tflite"], 2, "tflite"),
        (["--plot", "bars.pdf"], 2, ".svg or .png"),
        (["--save", "."], 2, "is a folder"),
        (["--plot", "folder.svg"], 2, "is a folder"),
        (["--compare", "none.json"], 1, "none.json"),
        (["--control", "other"], 2, "other"),
        (["--runtime", "torch"], 1, "give its directory"),
    ],
)
def test_bad_options_are_one_line(
    capsys, file, words, code, message, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.svg").mkdir()
    got, out, said = call(capsys, file, *words)
    assert (got, out, len(said)) == (code, "", 1)
    assert message in said[0]
