"""Options and settings that every test shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
# As the command line does: threads that wait do not spin on a busy machine.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
# Tests import onnxruntime before the package that switches its reports off.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    # `pytest tests/parity --fixtures DIR` is a stable interface of this project, but pytest has a
    # flag of that name (it lists fixtures, as --funcargs still does): ours takes its place.
    group = parser.getgroup("parity", "numeric oracles")
    group._arggroup.conflict_handler = "resolve"
    group.addoption(
        "--fixtures",
        type=Path,
        default=Path(__file__).parent / "parity" / "data",
        help="folder of numeric oracles with an index.json; default: the committed selection",
    )
