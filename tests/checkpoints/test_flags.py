"""Flags as JSON files and shell scripts have them."""

from __future__ import annotations

import pytest

from aum_edge.checkpoints.flags import Flags
from aum_edge.errors import RecipeError


def test_texts_mean_what_they_look_like() -> None:
    flags = Flags({"n-class": "35", "--noise": "False", "std": "1e-5", "size": "[8, 4]", "p": 3})
    assert flags.take(0, "n_class") == 35
    assert flags.take(True, "noise") is False
    assert flags.take(0.0, "std") == 1e-5
    assert flags.take((1, 1), "size") == (8, 4)
    assert flags.take((1, 1), "p") == (3, 3)
    flags.finish()


def test_nested_configs_are_opened_and_training_flags_ignored() -> None:
    flags = Flags({"vision_mamba_config": {"embed_dim": 8}, "lr": 1e-4, "batch_size": 4})
    assert flags.take(0, "embed_dim") == 8
    flags.finish()


def test_null_is_not_given() -> None:
    flags = Flags({"n_class": None})
    assert not flags.has("n_class")
    assert flags.take(7, "n_class") == 7


def test_unknown_flags_are_named_with_the_nearest_known_one() -> None:
    flags = Flags({"audio_lenght": 64})
    flags.take(0, "audio_length")
    with pytest.raises(RecipeError, match="Unknown flag audio_lenght; did you mean `audio_length`"):
        flags.finish()


def test_two_names_for_one_thing_must_agree() -> None:
    assert Flags({"n_class": 3, "num_classes": "3"}).take(0, "n_class", "num_classes") == 3
    with pytest.raises(RecipeError, match="disagree"):
        Flags({"n_class": 3, "num_classes": 4}).take(0, "n_class", "num_classes")


@pytest.mark.parametrize(
    ("default", "value"), [(0, "many"), (0, 1.5), (True, 1), (0.0, "x"), ((1, 1), (1, 2, 3))]
)
def test_values_of_another_type(default: object, value: object) -> None:
    with pytest.raises(RecipeError, match="flag `x` must be"):
        Flags({"x": value}).take(default, "x")


def test_switches_without_counterpart_are_refused() -> None:
    with pytest.raises(RecipeError, match="`if_rope` = True is not supported"):
        Flags({"if_rope": "true"}).refuse(False, "if_rope")
