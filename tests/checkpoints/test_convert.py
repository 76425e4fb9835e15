"""Damaged tensors and odd flags are one line; a mistake of ours stays what it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from aum_edge.checkpoints import aum, from_upstream
from aum_edge.errors import AumEdgeError
from tests.checkpoints.test_ast_ssl import HEADS, ssast
from tests.checkpoints.test_aum import FLAGS, vim_weights, weights

MADE: dict[str, tuple[Callable[[], dict[str, Tensor]], dict[str, Any]]] = {
    "aum": (weights, FLAGS),
    "vim": (vim_weights, FLAGS),
    "ast-ssl": (lambda: ssast(12), {"num_heads": HEADS}),
}
CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "scalar": lambda tensor: torch.zeros(()),
    "whole numbers": lambda tensor: tensor.long(),
    "one axis": lambda tensor: tensor.reshape(-1),
    "empty": lambda tensor: tensor[:0] if tensor.ndim else tensor,
}
ODD = (0, -1, -5.5, float("inf"), "x", [], [1, -1], {"a": 1}, True)
NAMES = ("strides", "fstride", "melbins", "n_class", "norm_epsilon", "labels", "task", "input_tdim")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("kind", MADE)
def test_a_damaged_tensor_is_one_line(kind: Any, change: Callable[[Tensor], Tensor]) -> None:
    make, flags = MADE[kind]
    whole = make()
    for name in whole:
        _converted(whole | {name: change(whole[name])}, kind, flags)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", MADE)
def test_an_odd_flag_is_one_line(kind: Any, name: str) -> None:
    make, flags = MADE[kind]
    whole = make()
    for value in ODD:
        _converted(whole, kind, flags | {name: value})


def _converted(tensors: dict[str, Tensor], kind: Any, flags: dict[str, Any]) -> None:
    """Convert, or be told why not."""
    with contextlib.suppress(AumEdgeError):
        from_upstream(tensors, kind, flags)


@pytest.mark.parametrize("mistake", [KeyError, TypeError, ValueError, AttributeError, IndexError])
def test_a_mistake_of_ours_is_not_the_users(
    monkeypatch: pytest.MonkeyPatch, mistake: type[Exception]
) -> None:
    def broken(*_: object) -> None:
        raise mistake("of ours")

    monkeypatch.setattr(aum, "convert_aum", broken)
    with pytest.raises(mistake, match="of ours"):
        from_upstream(weights(), "aum", FLAGS)
