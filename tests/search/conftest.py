"""One small corpus with its features for all tests of the search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from aum_edge.report.search import build
from tests.small_run import tones


@dataclass(frozen=True)
class Corpus:
    root: Path
    cache: Path


@pytest.fixture
def drawn() -> None:
    """Asks for real pages."""


@pytest.fixture(autouse=True)
def plain_pages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without pictures, whose drawing takes a second, but where a test is about them."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(build, "search_page", lambda report: report["title"])


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("search")
    return Corpus(tones(folder / "tones", per_class=6), folder / "cache")
