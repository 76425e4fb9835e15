"""A recipe holds values: whatever it names, reading it imports and runs nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from aum_edge.cli.main import main
from aum_edge.comparison.config import CompareRecipe
from aum_edge.errors import RecipeError
from aum_edge.recipe import load_recipe, load_recipe_as

ROOT = Path(__file__).parents[2]
OVERRIDES = "student.model.overrides"
RUNS = ("run", "train", "distill", "prune", "quantize", "data normalization")
PLACES = {
    **{command: [OVERRIDES, "teacher.also"] for command in RUNS},
    "pretrain": ["model.overrides"],
    "search": [OVERRIDES, "space", "references.cp-mobile"],
    "accuracy.py": ["teacher.model.overrides", "arms.student.model.overrides", "folds.a"],
}
"""Settings without types in each command's recipe."""
CASES = [
    *((command, place, "file") for command, places in PLACES.items() for place in places),
    *((command, places[0], way) for command, places in PLACES.items() for way in ("set", "text")),
]


def placed(place: str, value: Any) -> dict[str, Any]:
    """A recipe with ``depth: value`` at this place."""
    recipe: Any = {"depth": value}
    if place == "teacher.also":
        place, recipe = (
            "teacher",
            {"also": [{"model": {"preset": "ast-mini", "overrides": recipe}}]},
        )
    for key in reversed(place.split(".")):
        recipe = {key: recipe | ({"preset": "student-ssd"} if key == "model" else {})}
    return {"name": "a"} | recipe


def call(command: str, *words: str) -> tuple[int, str]:
    """Exit code of a command, and what it says where that is not captured."""
    if command != "accuracy.py":
        return main([*command.split(), *words]), ""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / command), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    return done.returncode, done.stderr


def ran(marker: Path) -> bool:
    """Whether the program has run; it needs a moment."""
    time.sleep(0.05)
    return marker.exists()


@pytest.mark.parametrize(("command", "place", "way"), CASES)
def test_no_command_runs_what_its_recipe_names(
    command: str, place: str, way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if command == "search":
        pytest.importorskip("optuna")
    path, out, marker = tmp_path / "r.yaml", tmp_path / "out", tmp_path / "marker"
    program = {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", str(marker)]}}
    text = yaml.safe_dump(program, default_flow_style=True, width=1000).strip()
    value = {"file": program, "text": text, "set": 1}[way]
    path.write_text(yaml.safe_dump(placed(place, value)))
    words = [str(path), "--cache" if command == "data normalization" else "--out", str(out)]
    code, said = call(command, *words, *(["--set", f"{place}.depth={text}"] * (way == "set")))
    said += capsys.readouterr().err
    assert code == 2, said
    assert len(said.strip().splitlines()) == 1
    assert f"r.yaml: `{place}" in said
    assert not ran(marker)
    assert not out.exists()


PROGRAM = "{class_path: subprocess.Popen, init_args: {args: 'touch MARKER', shell: true}}"
ESCAPED = PROGRAM.replace("class_path", r"class\x5fpath")
APPLY = "!!python/object/apply:os.system ['touch MARKER']"
WAYS = {
    "in a list": (f"[1, {PROGRAM}]", []),
    "text in a list": (f'[1, "{PROGRAM}"]', []),
    "text with escapes": (f'"{ESCAPED}"', []),
    "text in two lines": ('"class_path: subprocess.Popen\\ninit_args: {args: touch MARKER}"', []),
    "text of a text": (f'"\\"{PROGRAM}\\""', []),
    "text with a tag": ('"!!python/name:os.system"', []),
    "tag": (APPLY, []),
    "key with a dot": ("1, depth.class_path: subprocess.Popen", []),
    "key of the parser's own": ("1, __path__: MARKER.yaml", []),
    "settings": ("{a: 1}", []),
    "date": ("2024-01-01", []),
    "wrong name": ("1, deph: 2", []),
    "set: key by key": (
        "1",
        [
            f"{OVERRIDES}.width.class_path=subprocess.Popen",
            f"{OVERRIDES}.width.init_args={{args: touch MARKER, shell: true}}",
        ],
    ),
    "set: all overrides": ("1", [f"{OVERRIDES}={PROGRAM}"]),
    "set: all overrides as a text": ("1", [f"{OVERRIDES}='{{depth: {PROGRAM}}}'"]),
    "set: a file as overrides": ("1", [f"{OVERRIDES}=MARKER.yaml"]),
    "set: dataclass": ("1", [f"student={PROGRAM}"]),
    "set: dataclass by its class": ("1", ["student=subprocess.Popen"]),
    "set: dataclass from a file": ("1", ["student=MARKER.yaml"]),
    "set: list of dataclasses as a text": ("1", [f"teacher.also='[{{model: {PROGRAM}}}]'"]),
    "set: table": ("1", [f"student.train.schedule.table={{1: {PROGRAM}}}"]),
    "set: tag": ("1", [f"seed={APPLY}"]),
    "set: no YAML": ("1", ["seed={"]),
}


@pytest.mark.parametrize("way", WAYS)
def test_there_is_no_other_way_to_run_a_program(way: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    depth, *changes = (t.replace("MARKER", str(marker)) for t in (WAYS[way][0], *WAYS[way][1]))
    marker.with_suffix(".yaml").write_text(f"model: {PROGRAM}\n".replace("MARKER", str(marker)))
    path = tmp_path / "r.yaml"
    model = f"{{preset: student-ssd, overrides: {{depth: {depth}}}}}"
    path.write_text(f"name: a\nstudent: {{model: {model}}}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, changes)
    assert "\n" not in str(caught.value)
    assert not ran(marker)


def test_the_environment_changes_no_recipe(tmp_path: Path, monkeypatch) -> None:
    path, marker = tmp_path / "r.yaml", tmp_path / "marker"
    path.write_text("name: a\n")
    monkeypatch.setattr(sys, "argv", ["aum"])
    monkeypatch.setenv("JSONARGPARSE_DEFAULT_ENV", "true")
    for key, text in (("SEED", "7"), ("STUDENT__MODEL__OVERRIDES", f"{{depth: {PROGRAM}}}")):
        monkeypatch.setenv(f"AUM_RECIPE__{key}", text.replace("MARKER", str(marker)))
    assert load_recipe(path).seed == 0
    assert not ran(marker)


def test_ordinary_texts_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    model = "{preset: student-ssd, overrides: {norm: layer, dropout: 1e-1, stem_channels: [4, 8]}}"
    folds = "{a: {root: 'C:\\data a', label_separator: ','}}"
    path.write_text(
        f"name: a\ntitle: 'Search: {{what}}'\narms: {{student: {{model: {model}}}}}\n"
        f"compress: false\ndata: {{corpus: manifest, root: x}}\nfolds: {folds}\n"
    )
    recipe = load_recipe_as(CompareRecipe, path)
    assert recipe.title == "Search: {what}"
    assert recipe.arms["student"].model.config(2, recipe.frontend).dropout == 0.1
    assert recipe.data_of("a").root == "C:\\data a"
    assert recipe.data_of("a").label_separator == ","
