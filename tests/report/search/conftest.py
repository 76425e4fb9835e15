"""Small searches, as the tests of the search make them."""

from tests.search.conftest import corpus, drawn, plain_pages

__all__ = ["corpus", "drawn", "plain_pages"]
