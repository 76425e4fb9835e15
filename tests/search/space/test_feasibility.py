"""What a space can cost at least, and whether anything in it fits."""

from __future__ import annotations

import pytest

from aum_edge.errors import BudgetError
from aum_edge.search.space.candidate import Cost
from aum_edge.search.space.dimensions import Params, read_space
from aum_edge.search.space.feasibility import require_feasible

SPACE = read_space(
    {
        "mixer": {"choices": ["s6", "ssd"]},
        "d_model": {"low": 8, "high": 64},
        "depth": {"low": 1, "high": 6},
        "train.lr": {"low": 1e-3, "high": 1e-2},
    }
)


def measure(limit: float, seen: list[Params]):
    def cost(params: Params) -> Cost | None:
        seen.append(params)
        if params["mixer"] == "s6" and params["depth"] == 1:
            return None
        factor = 2 if params["mixer"] == "s6" else 1
        macs = factor * params["d_model"] * params["depth"]
        over = {"exact_macs": macs / limit - 1} if macs > limit else {}
        return Cost(
            macs=macs, bytes=2 * macs, n_params=1, official_macs=1, official_bytes=1, over=over
        )

    return cost


def test_a_space_that_fits_costs_few_counts() -> None:
    seen: list[Params] = []
    require_feasible(SPACE, measure(1000, seen), seed=0)
    assert 1 <= len(seen) <= 30
    assert all("train.lr" not in params for params in seen)


def test_a_space_that_cannot_fit_says_the_least_it_costs() -> None:
    with pytest.raises(BudgetError, match="8 MACs, 16 bytes") as caught:
        require_feasible(SPACE, measure(4, []), seed=0)
    line = str(caught.value)
    assert "mixer: ssd, d_model: 8, depth: 1" in line
    assert "exact_macs by 100 %" in line
    assert "\n" not in line


def test_limits_that_no_count_can_judge_are_refused() -> None:
    def cost(params: Params) -> Cost:
        return Cost(
            macs=1, bytes=1, n_params=1, official_macs=None, official_bytes=1, over={},
            unknown=("official_macs",),
        )  # fmt: skip

    with pytest.raises(BudgetError, match="official_macs is limited and its count does not give"):
        require_feasible(SPACE, cost, seed=0)


def test_a_space_without_any_model_says_so() -> None:
    with pytest.raises(BudgetError, match="No point of `space` gives a model"):
        require_feasible(SPACE, lambda params: None, seed=0)
