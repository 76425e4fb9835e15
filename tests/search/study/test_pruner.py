"""The rule that ends dominated trials of a search with several objectives."""

from __future__ import annotations

from aum_edge.search.config import PruningRule
from aum_edge.search.study.pruner import TrialCurve, should_prune

RULE = PruningRule(first_epoch=2, peers=3, keep=0.5, slack=0.1)
AHEAD = [TrialCurve((100.0, 10.0), (0.2, value)) for value in (0.6, 0.7, 0.8)]


def trial(*curve: float, costs: tuple[float, ...] = (100.0, 10.0)) -> TrialCurve:
    return TrialCurve(costs, curve)


def test_behind_most_models_that_cost_no_more_is_dominated() -> None:
    reason = should_prune(trial(0.2, 0.3), AHEAD, RULE)
    assert "epoch 2: 30.0 %" in reason
    assert "3 of 3" in reason


def test_the_middle_goes_on() -> None:
    assert not should_prune(trial(0.2, 0.7), AHEAD, RULE)
    assert should_prune(trial(0.2, 0.69), AHEAD, RULE)


def test_a_small_model_is_not_measured_against_large_ones() -> None:
    small = trial(0.2, 0.3, costs=(50.0, 10.0))
    assert not should_prune(small, AHEAD, RULE)
    # One dearer objective is enough to be no peer.
    assert not should_prune(trial(0.2, 0.3, costs=(100.0, 8.0)), AHEAD, RULE)


def test_a_little_dearer_still_counts_as_similar() -> None:
    assert should_prune(trial(0.2, 0.3, costs=(92.0, 10.0)), AHEAD, RULE)
    assert not should_prune(trial(0.2, 0.3, costs=(90.0, 10.0)), AHEAD, RULE)


def test_cheaper_models_count_against_dearer_ones() -> None:
    assert should_prune(trial(0.2, 0.3, costs=(900.0, 90.0)), AHEAD, RULE)


def test_the_same_epoch_is_compared() -> None:
    short = [TrialCurve((100.0, 10.0), (0.9,)) for _ in range(5)]
    assert not should_prune(trial(0.2, 0.3), short, RULE)
    late = [TrialCurve((100.0, 10.0), (0.1, 0.1, 0.9)) for _ in range(5)]
    assert not should_prune(trial(0.2, 0.3), late, RULE)


def test_too_few_peers_and_early_epochs_end_nothing() -> None:
    assert not should_prune(trial(0.2, 0.3), AHEAD[:2], RULE)
    assert not should_prune(trial(0.1), AHEAD, RULE)


def test_looks_are_every_so_many_epochs() -> None:
    rule = PruningRule(first_epoch=2, every=2, peers=3)
    peers = [TrialCurve((1.0,), (0.9,) * 6) for _ in range(3)]
    judged = [bool(should_prune(TrialCurve((1.0,), (0.1,) * n), peers, rule)) for n in range(1, 7)]
    assert judged == [False, True, False, True, False, True]


def test_keep_is_the_share_that_goes_on() -> None:
    peers = [TrialCurve((1.0,), (value / 10,)) for value in range(1, 10)]
    ends = {}
    for keep in (0.25, 0.5, 0.75):
        rule = PruningRule(first_epoch=1, peers=3, keep=keep)
        ends[keep] = sum(
            bool(should_prune(TrialCurve((1.0,), (place / 10 + 0.05,)), peers, rule))
            for place in range(10)
        )
    assert ends == {0.25: 7, 0.5: 5, 0.75: 2}
