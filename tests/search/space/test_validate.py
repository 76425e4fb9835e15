"""Values that no model can have are refused, those that fit somewhere are not."""

from __future__ import annotations

from typing import Any

import pytest

from aum_edge.audio.config import FrontEndConfig
from aum_edge.errors import RecipeError
from aum_edge.pipeline.recipe import StudentConfig
from aum_edge.search.space.dimensions import read_space
from aum_edge.search.space.validate import validate_space


def _check(space: dict[str, Any]) -> None:
    validate_space(StudentConfig(), FrontEndConfig(n_mels=128), read_space(space))


@pytest.mark.parametrize(
    ("space", "value"),
    [
        ({"train.lr": {"low": -1, "high": 0.1}}, "-1"),
        ({"train.lr": {"low": 0.0, "high": 0.1}}, "0.0"),
        ({"d_model": {"low": -4, "high": 16}}, "-4"),
        ({"d_model": {"low": 0, "high": 16}}, "0"),
        ({"dropout": {"low": 0, "high": 2}}, "2"),
        ({"train.augment.mixup_p": {"low": 0, "high": 5}}, "5"),
        ({"train.weight_decay": {"low": -0.1, "high": 0.1}}, "-0.1"),
        ({"train.augment.freq_mask": {"low": 0, "high": 128}}, "128"),
        ({"time_stride": {"choices": [4, 3]}}, "3"),
        ({"frequency_groups": {"choices": [1, 3]}}, "3"),
        ({"distill.kd_lambda": {"low": 0.5, "high": 1.5}}, "1.5"),
        ({"train.schedule.kind": {"choices": ["cosine", "table"]}}, "'table'"),
    ],
)
def test_a_value_that_no_model_can_have_is_one_line(space: dict[str, Any], value: str) -> None:
    (name,) = space
    with pytest.raises(RecipeError) as caught:
        _check(space)
    assert f"`space.{name}` holds {value}, which cannot be: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "space",
    [
        {"d_conv": {"choices": [3, 4]}, "bidirectional": {"choices": [True, False]}},
        {"d_model": {"low": 9, "high": 23}},
        {"stem": {"choices": ["conv", "patch"]}, "frequency_groups": {"choices": [1, 128]}},
        {"train.keep": {"choices": ["soup"]}, "train.ema_decay": {"choices": [0.9, 0.0]}},
        {"distill.teaching": {"choices": ["views"]}, "distill.views": {"choices": [2]}},
        {
            "sharing": {"choices": ["separate"], "when": {"bidirectional": True}},
            "bidirectional": {"choices": [True, False]},
        },
    ],
)
def test_values_that_fit_others_of_the_space_are_kept(space: dict[str, Any]) -> None:
    _check(space)
