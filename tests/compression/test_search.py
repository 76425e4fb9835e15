"""The greedy search on costs and scores made up for the purpose."""

from __future__ import annotations

import torch
from torch import Tensor

from aum_edge.compression.config import Dimension
from aum_edge.compression.cost import Cost, Sizes
from aum_edge.compression.search import Goal, Search

INF = float("inf")
Scores = dict[tuple[int, Dimension], Tensor]


def price(sizes: Sizes) -> Cost:
    """An inner channel and a state cost MACs together; a rank costs bytes alone."""
    macs = 10 * sizes["inner"] + 2 * sizes["inner"] * sizes["state"]
    return Cost(macs, 3 * sizes["inner"] + sizes["state"] + 5 * sizes["dt_rank"])


SIZES: list[Sizes] = [{"inner": 20, "state": 6, "dt_rank": 4} for _ in range(3)]
MINIMUM: Sizes = {"inner": 8, "state": 2, "dt_rank": 1, "block": 1}
TOTAL = Cost(5000, 3000)


def even_scores() -> Scores:
    scores: Scores = {}
    for block, sizes in enumerate(SIZES):
        for dimension, units in sizes.items():
            scores[block, dimension] = torch.ones(units, dtype=torch.float64)
    return scores


def after(search: Search) -> Cost:
    """What the outcome costs, priced anew."""
    total, removal = TOTAL, search.removal
    for block, sizes in enumerate(SIZES):
        left = {d: n - len(removal.units.get((block, d), ())) for d, n in sizes.items()}
        gone = block in removal.blocks
        total = total - price(sizes) + (Cost(0, 0) if gone else price(left))
    return total


def search_with(scores: Scores) -> Search:
    return Search(SIZES, scores, MINIMUM, price, TOTAL)


def goal(macs: float = INF, size: float = INF) -> Goal:
    return Goal(now=Cost(macs, size), finally_=Cost(macs, size))


def test_useless_units_go_first() -> None:
    scores = even_scores()
    scores[1, "inner"][[3, 7]] = 0.01
    scores[2, "state"][4] = 0.01
    search = search_with(scores)
    assert search.run(goal(macs=4920))
    assert search.removal.units == {(1, "inner"): {3, 7}, (2, "state"): {4}}


def test_both_limits_are_met_and_the_running_total_is_right() -> None:
    torch.manual_seed(0)
    scores = {key: torch.rand_like(value) for key, value in even_scores().items()}
    search = search_with(scores)
    assert search.run(goal(4300, 2900))
    assert after(search).within(Cost(4300, 2900))
    assert abs(after(search).macs - search.total.macs) < 1e-9
    assert abs(after(search).bytes - search.total.bytes) < 1e-9


def test_what_saves_nothing_that_is_needed_stays() -> None:
    search = search_with({**even_scores(), (0, "dt_rank"): torch.zeros(4)})
    assert search.run(goal(macs=4500))
    assert not [key for key in search.removal.units if key[1] == "dt_rank"]


def test_minimum_sizes_are_kept_and_failure_is_told() -> None:
    search = search_with(even_scores())
    assert not search.run(goal(macs=1))
    for (_, dimension), units in search.removal.units.items():
        full = SIZES[0][dimension]
        assert full - len(units) >= MINIMUM[dimension]
    assert after(search).macs == TOTAL.macs - 3 * price(SIZES[0]).macs + 3 * (80 + 32)


def test_a_useless_block_goes_whole_and_one_always_stays() -> None:
    blocks: Scores = {(index, "block"): torch.tensor([9.0]) for index in range(3)}
    blocks[1, "block"] = torch.tensor([0.01])
    search = search_with({**even_scores(), **blocks})
    assert search.run(goal(macs=TOTAL.macs - 400))
    assert search.removal.blocks == {1}
    search = search_with(blocks)
    assert not search.run(goal(macs=1))
    assert len(search.removal.blocks) == 2


def test_scales_of_dimensions_do_not_decide() -> None:
    """Scores of one dimension times a thousand: the same outcome."""
    torch.manual_seed(1)
    scores = {key: torch.rand_like(value) + 0.1 for key, value in even_scores().items()}
    louder = {k: v * 1000 if k[1] == "inner" else v for k, v in scores.items()}
    one, other = search_with(scores), search_with(louder)
    one.run(goal(4300, 2900))
    other.run(goal(4300, 2900))
    assert one.removal == other.removal
