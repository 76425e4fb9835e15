"""What is wrong with a recipe is said before torch, lightning and onnxruntime are imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import aum_edge

HEAVY = ("torch", "lightning", "onnxruntime", "onnx", "matplotlib", "optuna")
CODE = f"""
import sys
from aum_edge.cli.main import main
try:
    code = main(sys.argv[1:])
except SystemExit as stop:
    code = stop.code
print("imported", *set({HEAVY!r}) & set(sys.modules))
sys.exit(code)
"""
RECIPE = "name: x\nstudent: {train: {epochs: 2}}\n"


def call(*words: str) -> tuple[int, list[str], str]:
    root = Path(aum_edge.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words], capture_output=True, text=True, check=False, cwd=root
    )
    told = done.stdout.splitlines()[-1]
    assert told.startswith("imported"), done.stderr
    return done.returncode, told.split()[1:], done.stderr


@pytest.mark.parametrize("command", ["run", "train", "distill", "prune", "quantize"])
def test_a_wrong_recipe_imports_nothing_heavy(command: str, tmp_path: Path) -> None:
    assert call(command, "no_such_recipe.yaml")[:2] == (2, [])
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE + "prunning: {}\n")
    code, heavy, error = call(command, str(path))
    assert (code, heavy) == (2, [])
    assert "did you mean `prune`?" in error


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("student.train.epochs=many", "epochs"),
        ("student.train.epochs=0", "at least 1"),
        ("student.train.augment.mixup_p=2", "probability"),
        ("export.opset=3", "opset"),
        ("bench.runs=0", "runs"),
    ],
)
def test_a_wrong_value_imports_nothing_heavy(setting: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE)
    code, heavy, error = call("run", str(path), "--set", setting)
    assert (code, heavy) == (2, [])
    assert message in error


@pytest.mark.parametrize("command", [("pretrain",), ("search",), ("data", "normalization")])
def test_so_it_is_with_other_recipes(command: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("name: x\nfront_end: {}\n")
    code, heavy, error = call(*command, str(path))
    assert (code, heavy) == (2, [])
    assert "did you mean `frontend`?" in error


def test_a_search_without_a_recipe_imports_no_optuna() -> None:
    code, heavy, error = call("search", "no_such.yaml")
    assert code == 2
    assert "optuna" not in heavy
    assert "There is no recipe no_such.yaml" in error


@pytest.mark.parametrize(
    "words", [("--help",), ("run", "--help"), ("export", "--help"), ("bench", "--help")]
)
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    assert call(*words)[:2] == (0, [])


@pytest.mark.parametrize("command", ["train", "distill", "prune", "quantize"])
def test_a_wrong_setting_of_a_model_imports_nothing_heavy(command: str, tmp_path: Path) -> None:
    code, heavy, error = call(command, str(tmp_path), "out", "--set", "epoch=3")
    assert (code, heavy) == (2, [])
    assert "There is no key `epoch`" in error


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({}, "3000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
    ],
)
def test_waiting_threads_sleep_unless_the_user_says_how_they_wait(
    given: dict[str, str], left: str
) -> None:
    code = (
        "import os, sys\n"
        "from aum_edge.cli.main import main\n"
        "try: main(['run', 'no_such_recipe.yaml'])\n"
        "finally: print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)\n"
    )
    plain = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**plain, **given},
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.split() == [left, "False"]
