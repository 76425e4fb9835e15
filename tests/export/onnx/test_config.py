from __future__ import annotations

from typing import Any

import pytest

from aum_edge.errors import RecipeError
from aum_edge.export.onnx.config import ExportConfig


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"scan": "loop"}, "unrolled"),
        ({"opset": 17}, "18"),
        ({"opset": 99}, "23"),
        ({"atol": 0.0}, "above 0"),
        ({"atol": float("nan")}, "above 0"),
    ],
)
def test_bad_values_name_the_allowed_ones(values: dict[str, Any], word: str) -> None:
    with pytest.raises(RecipeError, match=word):
        ExportConfig(**values)
