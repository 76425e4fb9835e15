"""A counting rule for an operator of one's own is one function."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from aum_edge.complexity.report import analyse_module
from aum_edge.complexity.torch_counter import count
from aum_edge.complexity.torch_rules import RULES, OperatorCost, mac_rule, rule_for


@torch.library.custom_op("aum_edge_tests::scaled_exp", mutates_args=())
def scaled_exp(x: Tensor, gain: Tensor) -> Tensor:
    return (gain * x).exp()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return scaled_exp(x, self.gain)


@pytest.fixture
def registered() -> Iterator[None]:
    @mac_rule("aum_edge_tests.scaled_exp")
    def _scaled_exp(args, out) -> OperatorCost:
        return OperatorCost(out.numel(), {"exp": out.numel()})

    yield
    del RULES["aum_edge_tests.scaled_exp"]


def test_an_operator_without_a_rule_is_named_and_leaves_no_verdict() -> None:
    result = analyse_module(Net(), (2, 3))
    assert result.counts.unsupported == {"aum_edge_tests.scaled_exp": 1}
    assert result.verdict.state_by("exact") == "unknown"
    assert "at least 0 of 30,000,000 MACs" in str(result)


@pytest.mark.usefixtures("registered")
def test_an_operator_is_counted_once_it_has_a_rule() -> None:
    counts = count(Net(), torch.zeros(2, 3))
    assert counts.macs_by_op == {"scaled_exp": 6}
    assert counts.special_functions == {"exp": 6}
    assert not counts.unsupported
    assert analyse_module(Net(), (2, 3)).verdict.state_by("exact") == "inside"


def test_an_operator_has_one_rule() -> None:
    with pytest.raises(ValueError, match=r"aten\.mul has a counting rule already"):
        mac_rule("aten.mul")(lambda args, out: OperatorCost())


def test_in_place_forms_share_the_rule() -> None:
    assert rule_for("aten.mul_") is rule_for("aten.mul") is RULES["aten.mul"]
    assert rule_for("aten.unheard_of") is None
