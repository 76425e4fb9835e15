"""Exported files, as the tests of the exports make them."""

from tests.export.conftest import classifier, clips, exported

__all__ = ["classifier", "clips", "exported"]
