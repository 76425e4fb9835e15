from __future__ import annotations

from itertools import pairwise

import pytest

from aum_edge.training.config import TrainConfig
from aum_edge.training.optimizer import make_optimizer
from aum_edge.training.schedule import make_schedule
from tests.small_run import student


def test_decay_spares_vectors_and_the_recurrence() -> None:
    model = student(mixer="s6")
    optimizer = make_optimizer(model, TrainConfig(weight_decay=0.1))
    decayed = {id(p) for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in decayed}
    assert any(name.endswith("in_proj.weight") for name in names)
    assert not any(name.endswith(("A_log", ".D", "bias", "norm.weight")) for name in names)
    everything = sum(len(group["params"]) for group in optimizer.param_groups)
    assert everything == len(list(model.parameters()))


def test_schedule_climbs_then_falls() -> None:
    config = TrainConfig(lr=1.0, warmup=0.1, final_lr=0.05)
    optimizer = make_optimizer(student(), config)
    schedule = make_schedule(optimizer, config, [20] * 5)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[-1] == pytest.approx(0.05, abs=2e-3)
    assert all(later <= earlier for earlier, later in pairwise(rates[10:]))
