"""The space: every field checked, points as a sampler draws them."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from aum_edge.cli.main import main
from aum_edge.errors import RecipeError
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.pipeline.recipe import StudentConfig
from aum_edge.search.space.dimensions import known_fields, read_space, suggest
from aum_edge.search.space.student_settings import settings_of

WAYS: dict[str, Any] = {"bidirectional": {"choices": [True, False]}}
DEPTHS: dict[str, Any] = {"depth": {"choices": [1, 2]}}


class First:
    """A sampler that takes the first choice or the low end."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return choices[0]

    def suggest_int(self, name: str, low: int, high: int, **_: Any) -> int:
        return low

    def suggest_float(self, name: str, low: float, high: float, **_: Any) -> float:
        return low


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({}, "empty"),
        ({"d_modle": {"choices": [8]}}, "did you mean `d_model`"),
        ({"n_mels": {"choices": [8]}}, "no field that can be searched"),
        ({"train.epochs": {"choices": [8]}}, "no field that can be searched"),
        ({"d_model": [8, 16]}, "must hold `choices`"),
        ({"d_model": {"choises": [8]}}, "no key `choises`"),
        ({"d_model": {"choices": []}}, "list of values"),
        ({"d_model": {"choices": [8, 8]}}, "twice"),
        ({"d_model": {"choices": [8], "low": 4}}, "choices and a range"),
        ({"d_model": {"choices": ["wide"]}}, "no whole number"),
        ({"d_model": {"choices": [True]}}, "no whole number"),
        ({"d_model": {"low": 8.5, "high": 16}}, "whole number"),
        ({"d_model": {"low": 16, "high": 8}}, "below `high`"),
        ({"d_model": {"low": 8}}, "`high`"),
        ({"d_model": {"low": 8, "high": 16, "step": 0}}, "`step`"),
        ({"mixer": {"choices": ["s7"]}}, "one of s6, ssd, none"),
        ({"mixer": {"low": 1, "high": 2}}, "no range"),
        ({"train.lr": {"low": 0, "high": 1, "log": True}}, "above 0"),
        ({"stem_channels": {"choices": [[8]]}}, "list of 2 numbers"),
        ({"d_state": {"choices": [4], "when": {"mixer": "ssd"}}}, "choices of a dimension"),
        ({"train.lr": {"low": 0.1, "high": math.inf}}, "`high` must be finite"),
        ({"train.lr": {"low": ".nan", "high": 0.1}}, "`low` must be a number"),
        ({"train.lr": {"low": math.nan, "high": 0.1}}, "`low` must be finite"),
        ({"train.lr": {"choices": [0.1, math.inf]}}, "choice must be finite"),
        ({"train.optimizer.betas": {"choices": [[0.9, math.nan]]}}, "choice must be finite"),
        ({"d_model": {"low": 8, "high": 10**400}}, "`high` must be finite"),
        ({**WAYS, "sharing": {"choices": ["shared"], "when": {"bidirectional": "True"}}}, "'True'"),
        ({**WAYS, "sharing": {"choices": ["shared"], "when": {"bidirectional": 1}}}, ": 1, which"),
        ({**DEPTHS, "d_model": {"choices": [8], "when": {"depth": "2"}}}, "depth: '2', which is"),
    ],
)
def test_a_wrong_space_is_one_line(space: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        read_space(space)
    assert "\n" not in str(caught.value)


def test_every_field_of_the_student_can_be_searched_or_is_given() -> None:
    given = {"n_classes", "n_mels", "n_frames", "folded", "width", "inner", "states", "dt_ranks"}
    left = {f.name for f in fields(MambaStudentConfig)} - given - {"directions"}
    assert left <= set(known_fields())
    assert not given & set(known_fields())


def test_a_condition_takes_a_field_in_and_out() -> None:
    space = {
        "head_dim": {"choices": [8], "when": {"mixer": ["ssd"]}},
        "mixer": {"choices": ["s6", "ssd"]},
    }
    dimensions = read_space(space)
    assert [d.name for d in dimensions] == ["mixer", "head_dim"]
    assert suggest(dimensions, First()) == {"mixer": "s6"}
    other = read_space({**space, "mixer": {"choices": ["ssd", "s6"]}})
    assert suggest(other, First()) == {"mixer": "ssd", "head_dim": 8}


def test_lists_come_back_from_a_storage() -> None:
    dimension = read_space({"stem_channels": {"choices": [[4, 8], [8, 16]]}})[0]
    assert dimension.stored() == ("[4, 8]", "[8, 16]")
    assert dimension.suggest(First()) == [4, 8]


def test_a_range_in_steps_ends_at_a_step() -> None:
    assert read_space({"d_model": {"low": 8, "high": 30, "step": 8}})[0].high == 24
    assert read_space({"train.lr": {"low": "1e-3", "high": "1e-2"}})[0].low == 1e-3


def test_values_reach_model_training_and_distillation() -> None:
    params = {
        "d_model": 24,
        "train.lr": 0.01,
        "train.augment.mixup_p": 0.25,
        "distill.kd_lambda": 0.5,
    }
    made = settings_of(StudentConfig(), params)
    assert made.model.overrides == {"d_model": 24}
    assert made.train.lr == 0.01
    assert made.train.augment.mixup_p == 0.25
    assert made.distill.kd_lambda == 0.5
    with pytest.raises(RecipeError, match="lr"):
        settings_of(StudentConfig(), {"train.lr": -1.0})


def test_a_report_of_nothing_trains_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = Path(__file__).parents[3] / "recipes" / "search_builtin.yaml"
    out = tmp_path / "out"
    assert main(["search", str(recipe), "--trials", "0", "--out", str(out)]) == 1
    assert "holds no trials to report" in capsys.readouterr().err
    assert not out.exists()
