"""`aum-edge export`: its flags, what they write, and its one-line refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from aum_edge.cli.main import main
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.storage.directory import save
from aum_edge.runtimes.onnx import OnnxClassifier


def export(*words: object) -> int:
    return main(["export", *map(str, words)])


@pytest.fixture(scope="module")
def folder(
    classifier: Callable[[str], AudioClassifier], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("models")
    for kind in ("s6", "aum"):
        save(classifier(kind), path / kind)
    return path


def test_a_file_that_hears(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s6.onnx"
    assert export(folder / "s6", out, "--with-frontend", "--scan", "unrolled", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    runner = OnnxClassifier(out)
    assert facts["scan"] == runner.metadata["scan"] == "unrolled"
    assert runner.input_name == "waveform"
    assert facts["bytes"] == out.stat().st_size
    assert runner.logits(torch.zeros(2, *runner.input_shape)).shape == (2, 3)


def test_a_file_for_any_number_of_frames(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s6.onnx"
    assert export(folder / "s6", out, "--dynamic-length") == 0
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "scan as scan" in said
    assert OnnxClassifier(out).logits(torch.zeros(1, 1, 32, 9)).shape == (1, 3)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("s6 --scan matmul", 2, "`scan` must be one of auto, scan, unrolled"),
        ("s6 --dynamic-length --scan unrolled", 2, "set `scan` to scan or auto"),
        ("s6 --dynamic-length --with-frontend", 2, "choose one"),
        ("s6 --streaming --with-frontend", 2, "leave out --with-frontend"),
        ("s6 --streaming --dynamic-length", 2, "leave out --with-frontend and --dynamic-length"),
        ("s6 --opset 17", 2, "`opset` must be between 18 and"),
        ("s6 --atol 0", 2, "`atol` must be above 0"),
        ("s6 --name net", 2, "`--name` is for .c files"),
        ("aum --dynamic-length", 1, "made for one number of frames"),
        ("nothing", 1, "nothing"),
    ],
)
def test_refusals_are_one_line_and_write_nothing(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: str,
    code: int,
    message: str,
) -> None:
    model, *flags = words.split()
    assert export(folder / model, tmp_path / "m.onnx", *flags) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_ending_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(folder / "s6", tmp_path / "m.txt") == 2
    assert "ends in .c or .onnx" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
