"""One small corpus with its features for all tests of the search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.small_run import tones


@dataclass(frozen=True)
class Corpus:
    root: Path
    cache: Path


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("search")
    return Corpus(tones(folder / "tones", per_class=6), folder / "cache")
