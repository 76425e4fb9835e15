"""A recipe of a search small enough that a trial takes half a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from aum_edge.cli.main import main
from aum_edge.pipeline.read_recipe import load_recipe_as
from aum_edge.search.config import SearchRecipe
from aum_edge.search.records import Record

OVERRIDES = {"d_model": 8, "depth": 1, "d_state": 4, "head_dim": 4, "stem_channels": [4, 4]}
SPACE: dict[str, dict[str, Any]] = {
    "mixer": {"choices": ["ssd", "s6", "none"]},
    "d_model": {"low": 8, "high": 24, "step": 8},
    "head_dim": {"choices": [4, 8], "when": {"mixer": "ssd"}},
    "train.lr": {"low": 1e-3, "high": 1e-2, "log": True},
}


def values(root: Path, **changes: Any) -> dict[str, Any]:
    """The recipe as YAML values."""
    made: dict[str, Any] = {
        "name": "small",
        "data": {"corpus": "folder", "root": str(root)},
        "frontend": {
            "sample_rate": 8000,
            "n_fft": 256,
            "win_length": 256,
            "hop_length": 250,
            "n_mels": 16,
        },
        "student": {
            "model": {"preset": "student-ssd", "overrides": OVERRIDES},
            "train": {"epochs": 1, "batch_size": 12},
        },
        "space": SPACE,
        "trials": 3,
        "sampler": {"startup": 2},
    }
    return made | changes


def write(folder: Path, root: Path, **changes: Any) -> Path:
    """The recipe as a file."""
    file = folder / "search.yaml"
    file.write_text(yaml.safe_dump(values(root, **changes)))
    return file


def recipe(folder: Path, root: Path, **changes: Any) -> SearchRecipe:
    """The recipe as loaded."""
    return load_recipe_as(SearchRecipe, write(folder, root, **changes))


def search(file: Path, out: Path, cache: Path, *more: str) -> int:
    """The command as a user calls it; its exit code."""
    return main(["search", str(file), "--out", str(out), "--cache", str(cache), *more])


def errors(capsys) -> list[str]:
    """The one line that the command line says of an error."""
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return [line for line in text.splitlines() if line.startswith("aum-edge: ")]


def facts(records: list[Record]) -> list[tuple]:
    """What must be the same however a search came to it."""
    return [(r.number, r.state, r.params, r.objectives, r.curve) for r in records]
