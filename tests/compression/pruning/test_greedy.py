"""The greedy search on costs and scores made up for the purpose."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from aum_edge.compression.pruning.cost import Cost
from aum_edge.compression.pruning.greedy import Goal, GreedySearch, Space
from aum_edge.models.architectures.prunable import Sizes
from aum_edge.ssm.mixers.groups import Key

INF = float("inf")
Scores = dict[Key, Tensor]
BLOCKS = 3


def block_price(sizes: Sizes, block: int) -> Cost:
    """An inner channel and a state cost MACs together; a rank costs bytes alone."""
    inner, state = sizes[block, "inner"], sizes[block, "state"]
    width = sizes[0, "d_model"]
    macs = width * inner + 2 * inner * state
    return Cost(macs, 3 * inner + state + 5 * sizes[block, "dt_rank"])


def price(sizes: Sizes, blocks: Iterable[int]) -> Cost:
    return sum((block_price(sizes, block) for block in blocks), Cost(200, 100))


SIZES: Sizes = {(0, "d_model"): 10}
MINIMUM: dict[Key, int] = {(0, "d_model"): 4}
for index in range(BLOCKS):
    SIZES |= {(index, "inner"): 20, (index, "state"): 6, (index, "dt_rank"): 4}
    MINIMUM |= {(index, "inner"): 8, (index, "state"): 2, (index, "dt_rank"): 1}
TOTAL = price(SIZES, range(BLOCKS))


def even_scores() -> Scores:
    return {
        key: torch.ones(units, dtype=torch.float64)
        for key, units in SIZES.items()
        if key[1] != "d_model"
    }


def after(search: GreedySearch) -> Cost:
    """What the outcome costs, priced anew."""
    removal = search.removal
    left = {key: units - len(removal.units.get(key, ())) for key, units in SIZES.items()}
    return price(left, [block for block in range(BLOCKS) if block not in removal.blocks])


def search_with(scores: Scores) -> GreedySearch:
    return GreedySearch(Space(sizes=SIZES, scores=scores, minimum=MINIMUM, blocks=BLOCKS), price)


def goal(macs: float = INF, size: float = INF) -> Goal:
    return Goal(now=Cost(macs, size), finally_=Cost(macs, size))


def test_useless_units_go_first() -> None:
    scores = even_scores()
    scores[1, "inner"][[3, 7]] = 0.01
    scores[2, "state"][4] = 0.01
    search = search_with(scores)
    assert search.run(goal(macs=TOTAL.macs - 80))
    assert search.removal.units == {(1, "inner"): {3, 7}, (2, "state"): {4}}


def test_both_limits_are_met_and_the_running_total_is_right() -> None:
    torch.manual_seed(0)
    scores = {key: torch.rand_like(value) for key, value in even_scores().items()}
    scores[0, "d_model"] = torch.rand(10, dtype=torch.float64)
    scores |= {(block, "block"): torch.tensor([3.0]) for block in range(BLOCKS)}
    limit = Cost(0.4 * TOTAL.macs, 0.7 * TOTAL.bytes)
    search = search_with(scores)
    assert search.run(goal(limit.macs, limit.bytes))
    assert after(search).within(limit)
    assert after(search) == search.total


def test_what_saves_nothing_that_is_needed_stays() -> None:
    search = search_with({**even_scores(), (0, "dt_rank"): torch.zeros(4)})
    assert search.run(goal(macs=TOTAL.macs - 200))
    assert not [key for key in search.removal.units if key[1] == "dt_rank"]


def test_minimum_sizes_are_kept_and_failure_is_told() -> None:
    search = search_with({**even_scores(), (0, "d_model"): torch.ones(10)})
    assert not search.run(goal(macs=1))
    left = {key: units - len(search.removal.units.get(key, ())) for key, units in SIZES.items()}
    assert {key: left[key] for key in left if key[1] in ("inner", "state", "d_model")} == {
        key: MINIMUM[key] for key in left if key[1] in ("inner", "state", "d_model")
    }


def test_a_useless_block_goes_whole_and_one_always_stays() -> None:
    blocks: Scores = {(index, "block"): torch.tensor([9.0]) for index in range(BLOCKS)}
    blocks[1, "block"] = torch.tensor([0.01])
    search = search_with({**even_scores(), **blocks})
    assert search.run(goal(macs=TOTAL.macs - 300))
    assert search.removal.blocks == {1}
    search = search_with(blocks)
    assert not search.run(goal(macs=1))
    assert len(search.removal.blocks) == 2


def test_what_is_saved_beyond_the_goal_has_no_worth() -> None:
    """A block saves eleven times what is asked for at three times the loss of one state."""
    scores: Scores = {(index, "block"): torch.tensor([3.0]) for index in range(BLOCKS)}
    scores |= {(index, "state"): torch.ones(6) for index in range(BLOCKS)}
    search = search_with(scores)
    assert search.run(goal(macs=TOTAL.macs - 40))
    assert search.removal.blocks == set()
    assert [len(units) for units in search.removal.units.values()] == [1]
    assert TOTAL.macs - search.total.macs == 40


def test_units_that_cannot_go_stay() -> None:
    scores = even_scores()
    scores[0, "inner"][:15] = INF
    search = search_with(scores)
    assert not search.run(goal(macs=1))
    assert search.removal.units[0, "inner"] == set(range(15, 20))


def test_the_width_goes_where_it_does_less_harm_for_what_it_saves() -> None:
    """One channel of the residual stream saves 60 MACs, a state 40."""
    cheap = {**even_scores(), (0, "d_model"): torch.full((10,), 1.0)}
    dear = {**even_scores(), (0, "d_model"): torch.full((10,), 2.0)}
    first, second = search_with(cheap), search_with(dear)
    first.run(goal(macs=TOTAL.macs - 300))
    second.run(goal(macs=TOTAL.macs - 300))
    assert set(first.removal.units) == {(0, "d_model")}
    assert (0, "d_model") not in second.removal.units


def test_shared_units_stay_removed_when_their_namesake_block_goes() -> None:
    scores: Scores = {(0, "d_model"): torch.ones(10), (0, "inner"): torch.ones(20)}
    scores |= {(0, "block"): torch.tensor([1e-3]), (1, "block"): torch.tensor([1e9])}
    search = search_with(scores)
    search.run(goal(macs=0.6 * TOTAL.macs))
    assert search.removal.blocks == {0}
    assert set(search.removal.units) == {(0, "d_model")}
