"""`aum-edge convert`: the command, its notes and its one-line errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import aum_edge
from aum_edge.cli.main import main
from tests.checkpoints.made import FLAGS, network, saved, weights


def convert(*words: object) -> int:
    return main(["convert", *map(str, words)])


def test_a_checkpoint_becomes_a_model_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = saved(tmp_path / "best.pth", {f"module.{k}": v for k, v in weights().items()})
    flags = tmp_path / "flags.json"
    flags.write_text(json.dumps(FLAGS | {"dataset_mean": -4.0, "dataset_std": 4.0}))
    out = tmp_path / "model"
    assert convert(source, out, "--kind", "aum", "--flags", flags, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["classes"] == 5
    assert facts["notes"] == [
        "No `labels` or `label_csv` given: the classes are named by their numbers."
    ]
    x = torch.randn(1, 1, 128, 64)
    torch.testing.assert_close(aum_edge.load(out)(x), network()((x + 4) / 8))


def test_single_flags_win_over_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = saved(tmp_path / "best.pth", weights())
    flags = tmp_path / "flags.json"
    flags.write_text(json.dumps(FLAGS))
    out = tmp_path / "model"
    code = convert(source, out, "--kind", "aum", "--flags", flags, "--flag", "n_class=3")
    assert code == 0
    assert "another number of classes" in capsys.readouterr().out
    assert aum_edge.load(out).backbone.config.n_classes == 3


@pytest.mark.parametrize(
    ("content", "flags", "code", "words"),
    [
        ("{", "", 2, "is no JSON"),
        ("[1]", "", 2, "must hold a JSON object"),
        ("{}", "n_class", 2, "must read NAME=VALUE"),
        ('{"lenght": 1}', "", 2, "Unknown flag lenght"),
        ('{"aum_type": "Fo-Fo"}', "", 1, "flags say direction"),
        ('{"labels": ["a"]}', "", 2, "needs as many different labels"),
    ],
)
def test_errors_are_one_line_and_write_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    flags: str,
    code: int,
    words: str,
) -> None:
    source = saved(tmp_path / "best.pth", weights())
    (tmp_path / "flags.json").write_text(content)
    more = ["--flag", flags] if flags else []
    out = tmp_path / "model"
    assert convert(source, out, "--kind", "aum", "--flags", tmp_path / "flags.json", *more) == code
    errors = capsys.readouterr().err
    assert words in errors
    assert errors.count("\n") == 1
    assert not out.exists()


def test_missing_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(tmp_path / "no.pth", tmp_path / "m", "--kind", "aum") == 1
    assert "There is no checkpoint" in capsys.readouterr().err
    source = saved(tmp_path / "best.pth", weights())
    assert convert(source, tmp_path / "m", "--kind", "aum", "--flags", tmp_path / "no.json") == 2
    assert "There is no flags file" in capsys.readouterr().err
