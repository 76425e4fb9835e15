"""Models that are made once a session, as the tests of the exports have them."""

from tests.export.conftest import classifier, clips, exported

__all__ = ["classifier", "clips", "exported"]
