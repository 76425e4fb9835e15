"""Wrong values are refused in one line that names the field."""

from __future__ import annotations

from typing import Any

import pytest

from aum_edge.errors import RecipeError
from aum_edge.models.config import AstConfig, AudioMambaConfig, CPMobileConfig
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.student_config import MambaStudentConfig

REFUSED: list[tuple[type[BackboneConfig], dict[str, Any]]] = [
    (AudioMambaConfig, {"n_classes": -1}),
    (AudioMambaConfig, {"patch_size": (0, 16)}),
    (AudioMambaConfig, {"patch_size": (129, 16)}),
    (AudioMambaConfig, {"stride": (16, 0)}),
    (AudioMambaConfig, {"d_model": 0}),
    (AudioMambaConfig, {"depth": 0}),
    (AudioMambaConfig, {"d_state": 0}),
    (AudioMambaConfig, {"d_conv": 0}),
    (AudioMambaConfig, {"direction": "bi-fo"}),
    (AudioMambaConfig, {"class_token": "centre"}),
    (AudioMambaConfig, {"pooling": "sum"}),
    (AudioMambaConfig, {"token_order": "both"}),
    (AudioMambaConfig, {"norm": "batch"}),
    (AudioMambaConfig, {"norm_eps": 0.0}),
    (AudioMambaConfig, {"layer_scale": 0.0}),
    (AudioMambaConfig, {"drop_path": 1.0}),
    (AudioMambaConfig, {"depth": 3, "layer_pairs": True}),
    (AudioMambaConfig, {"inner": (16,)}),
    (AudioMambaConfig, {"depth": 2, "states": (4, 0)}),
    (MambaStudentConfig, {"n_mels": 7}),
    (MambaStudentConfig, {"n_frames": 0}),
    (MambaStudentConfig, {"mixer": "lstm"}),
    (MambaStudentConfig, {"d_conv": 4}),
    (MambaStudentConfig, {"head_dim": 0}),
    (MambaStudentConfig, {"head_dim": 7}),
    (MambaStudentConfig, {"stem_channels": (8, 0)}),
    (MambaStudentConfig, {"dropout": -0.1}),
    (MambaStudentConfig, {"sharing": "half"}),
    (MambaStudentConfig, {"sharing": "separate", "bidirectional": False}),
    (MambaStudentConfig, {"time_stride": 3}),
    (MambaStudentConfig, {"frequency_groups": 3}),
    (MambaStudentConfig, {"frequency_groups": 0}),
    (MambaStudentConfig, {"stem": "mlp"}),
    (MambaStudentConfig, {"norm": "batch"}),
    (MambaStudentConfig, {"pooling": "sum"}),
    (MambaStudentConfig, {"width": 40}),
    (MambaStudentConfig, {"directions": ("both",)}),
    (MambaStudentConfig, {"directions": ("both", "up", "both", "both")}),
    (MambaStudentConfig, {"directions": ("both",) * 4, "bidirectional": False}),
    (MambaStudentConfig, {"directions": ("both",) * 4, "mixer": "none"}),
    (MambaStudentConfig, {"dt_ranks": (1, 2)}),
    (MambaStudentConfig, {"mixer": "none", "sharing": "separate"}),
    (MambaStudentConfig, {"mixer": "none", "states": (4,) * 4}),
    (CPMobileConfig, {"base_channels": 4}),
    (CPMobileConfig, {"n_frames": 0}),
    (CPMobileConfig, {"expansion_rate": 0.0}),
]


@pytest.mark.parametrize(("kind", "values"), REFUSED, ids=str)
def test_wrong_values_are_refused(kind: type[BackboneConfig], values: dict[str, Any]) -> None:
    with pytest.raises(RecipeError) as caught:
        kind(**({"n_classes": 10} | values))
    message = str(caught.value)
    assert "\n" not in message
    assert any(name.removeprefix("n_") in message for name in values)


FOREIGN: list[tuple[type[BackboneConfig], str, Any, str]] = [
    (MambaStudentConfig, "stem_channels", 8, "a tuple (whole number, whole number)"),
    (MambaStudentConfig, "stem_channels", (8,), "a tuple (whole number, whole number)"),
    (MambaStudentConfig, "stem_channels", [8, 16], "a tuple (whole number, whole number)"),
    (MambaStudentConfig, "inner", (96, 96, 96, 9.5), "a tuple (whole number, ...) or null"),
    (MambaStudentConfig, "bidirectional", "yes", "true or false"),
    (MambaStudentConfig, "depth", True, "a whole number"),
    (MambaStudentConfig, "d_model", "48", "a whole number"),
    (MambaStudentConfig, "d_model", 2.5, "a whole number"),
    (MambaStudentConfig, "dropout", "0.1", "a number"),
    (MambaStudentConfig, "width", "64", "a whole number or null"),
    (MambaStudentConfig, "mixer", None, "one of s6, ssd, none"),
    (AudioMambaConfig, "patch_size", 16, "a tuple (whole number, whole number)"),
    (AudioMambaConfig, "layer_scale", "1", "a number or null"),
    (AstConfig, "n_heads", 12.0, "a whole number"),
    (CPMobileConfig, "base_channels", None, "a whole number"),
]


@pytest.mark.parametrize(("kind", "name", "value", "allowed"), FOREIGN, ids=str)
def test_a_value_of_another_type_is_refused(
    kind: type[BackboneConfig], name: str, value: Any, allowed: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        kind(**({"n_classes": 10} | {name: value}))
    assert str(caught.value) == f"`{name}` must be {allowed}, got {value!r}."


def test_a_whole_number_is_a_number_as_well() -> None:
    assert AudioMambaConfig(n_classes=10, layer_scale=1).layer_scale == 1


def test_a_causal_student_may_have_an_even_convolution() -> None:
    assert MambaStudentConfig(n_classes=10, bidirectional=False, d_conv=4).d_conv == 4


def test_blocks_take_the_default_or_their_own_sizes() -> None:
    default = MambaStudentConfig(n_classes=10)
    assert default.block_inner == (96,) * 4
    assert default.block_d_state == (16,) * 4
    assert default.block_dt_ranks == (3,) * 4
    pruned = MambaStudentConfig(n_classes=10, mixer="s6", depth=2, inner=(90, 50), dt_ranks=(2, 1))
    assert pruned.block_inner == (90, 50)
    assert pruned.block_d_state == (16, 16)
    assert pruned.block_dt_ranks == (2, 1)
