"""Early stopping of trials in a search with several objectives (successive halving by peers).

Optuna's pruners compare one number and refuse studies with several. A small model is not bad
because large ones are ahead of it: it may still be the best of its size. So a trial is compared
with its peers alone, which are the trials that reached the same epoch and cost as much or less in
every objective but accuracy. When most of them are ahead, cheaper models dominate it already and
it would have to overtake them to reach the front. The order of peers is halved as by Jamieson and
Talwalkar (successive halving, arXiv 1502.07943) and decided without waiting for the others, as by
Li et al. (ASHA, arXiv 1810.05934).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aum_edge.search.config import PruningRule


@dataclass(frozen=True)
class TrialCurve:
    """A trial for comparison: its costs, and the best accuracy up to each epoch so far."""

    costs: tuple[float, ...]
    curve: Sequence[float]


def should_prune(trial: TrialCurve, others: Sequence[TrialCurve], rule: PruningRule) -> str:
    """Why the trial should end after its last epoch; empty if it goes on.

    ``others`` may run, be finished or pruned; the costs of all are in one order.
    """
    epoch = len(trial.curve)
    if epoch < rule.first_epoch or (epoch - rule.first_epoch) % rule.every:
        return ""
    rivals = [
        other.curve[epoch - 1]
        for other in others
        if len(other.curve) >= epoch and similar_or_lower(other.costs, trial.costs, rule.slack)
    ]
    if len(rivals) < rule.peers:
        return ""
    reached = trial.curve[-1]
    # Enough is a rank within the share `keep` of all that are compared, this trial included.
    ranks = math.ceil(rule.keep * (len(rivals) + 1))
    ahead = sum(rival > reached for rival in rivals)
    if ahead < ranks:
        return ""
    return (
        f"epoch {epoch}: {100 * reached:.1f} % and {ahead} of {len(rivals)} models that cost as "
        "much or less are ahead"
    )


def similar_or_lower(costs: Sequence[float], than: Sequence[float], slack: float) -> bool:
    """Whether no cost is more than ``slack`` above the other's."""
    return all(a <= b * (1 + slack) for a, b in zip(costs, than, strict=True))
