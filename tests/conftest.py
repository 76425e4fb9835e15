"""Options and settings that every test shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fixtures",
        type=Path,
        default=Path(__file__).parent / "parity" / "data",
        help="folder of numeric oracles with an index.json; default: the committed selection",
    )
