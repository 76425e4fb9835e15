"""`aum-edge submit`: its options, lines and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aum_edge.cli import submit as command
from aum_edge.cli.main import main
from aum_edge.models.storage.directory import save
from aum_edge.submission.check.findings import Finding
from tests.submission.scene_models import LABEL, student


def submit(*words: object) -> int:
    return main(["submit", *map(str, words)])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("m") / "model"
    save(student(), folder)
    return folder


def test_a_package_from_one_model(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert submit(model, "--device", f"a={model}", "--label", LABEL, "--out", out) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == f"{LABEL} in {out}"
    assert "MACs in truth" in printed.out
    assert "--check" in printed.out.splitlines()[-1]
    assert "No output table yet: give --eval." in printed.err
    assert submit(model, "--label", LABEL, "--out", out, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["label"] == LABEL
    assert list(document["complexity"]["per_model"]) == ["general"]


def test_the_questions_are_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "info.yaml"
    assert submit("--new-info", path) == 0
    assert "FILL IN" in path.read_text()
    assert submit("--new-info", path) == 2
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "needs MODEL, --label, --out"),
        (["MODEL", "--label", LABEL], "needs --out"),
        (["MODEL", "--label", "Muster_AUM_task1", "--out", "o"], "3 parts"),
        (["MODEL", "--label", LABEL, "--out", "o", "--device", "a"], "ID=MODEL, got 'a'"),
        (["MODEL", "--label", LABEL, "--out", "o", "--device", "s5=m"], "no training device `s5`"),
        (["MODEL", "--label", LABEL, "--out", "o", "--split", "x=m"], "5=MODEL"),
        (["MODEL", "--label", LABEL, "--out", "o", "--batch-size", "0"], "at least 1"),
        (["--predict", "o"], "`--eval DIR`"),
        (["--check", "o", "--label", LABEL], "without MODEL, --label"),
    ],
)
def test_wrong_usage_is_one_line(
    words: list[str], why: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit(*[model if word == "MODEL" else word for word in words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert why in line


def test_over_a_limit_is_code_3_and_names_the_device(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = tmp_path / "large"
    save(student(d_model=256, depth=2), large)
    out = tmp_path / "out"
    words = (model, "--device", f"s2={large}", "--label", LABEL, "--out", out)
    assert submit(*words) == 3
    error = capsys.readouterr().err
    assert "`s2` is over the dcase2025 limits" in error
    assert "Inside: general." in error
    assert not out.exists()


@pytest.mark.parametrize(
    ("levels", "code", "last"),
    [
        ([], 0, "passed"),
        (["note"], 0, "passed"),
        (["note", "error"], 1, "1 findings"),
        (["error", "over"], 3, "2 findings"),
    ],
)
def test_a_checks_exit_code(
    levels: list,
    code: int,
    last: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    findings = [Finding(level, "what it is") for level in levels]
    monkeypatch.setattr("aum_edge.submission.check.check.check_submission", lambda *_: findings)
    assert submit("--check", tmp_path) == code
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(findings) + 1
    assert lines[-1].endswith(last)
    assert submit("--check", tmp_path, "--json") == code
    assert json.loads(capsys.readouterr().out)["exit_code"] == code


def test_help_needs_no_torch() -> None:
    assert "submission" not in vars(command)
