"""The small corpus of the search's own tests."""

from __future__ import annotations

from tests.search.conftest import corpus as corpus  # a fixture
