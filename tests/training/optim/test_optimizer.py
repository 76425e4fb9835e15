from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch.optim import Adam, AdamW

from aum_edge.errors import RecipeError
from aum_edge.training.config import FreezeConfig, OptimizerConfig, ScheduleConfig, TrainConfig
from aum_edge.training.optim.freezing import apply_freeze
from aum_edge.training.optim.optimizer import learning_rate, make_optimizer, make_schedule
from tests.small_run import student, teacher


def rates(model, **settings) -> dict[str, float]:
    """Learning rate of every parameter by name; the peak is 1."""
    config = TrainConfig(lr=1.0, optimizer=OptimizerConfig(**settings))
    groups = make_optimizer(model, config).param_groups
    by_id = {id(p): group["lr"] for group in groups for p in group["params"]}
    return {name: by_id[id(p)] for name, p in model.named_parameters()}


def curve(steps: list[int], **fields) -> list[float]:
    factor = learning_rate(TrainConfig(**fields), steps)
    return [factor(step) for step in range(sum(steps))]


def test_decay_spares_vectors_and_the_recurrence() -> None:
    model = student(mixer="s6")
    optimizer = make_optimizer(model, TrainConfig(weight_decay=0.1))
    decayed = {id(p) for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    names = {name for name, p in model.named_parameters() if id(p) in decayed}
    assert any(name.endswith("in_proj.weight") for name in names)
    assert not any(name.endswith(("A_log", ".D", "bias", "norm.weight")) for name in names)
    everything = sum(len(group["params"]) for group in optimizer.param_groups)
    assert everything == len(list(model.parameters()))


def test_kind_betas_and_eps_reach_the_optimizer() -> None:
    assert type(make_optimizer(student(), TrainConfig())) is AdamW
    settings = OptimizerConfig(name="adam", betas=(0.95, 0.99), eps=1e-4)
    made = make_optimizer(student(), TrainConfig(optimizer=settings))
    assert type(made) is Adam
    assert made.defaults["betas"] == (0.95, 0.99)
    assert made.defaults["eps"] == 1e-4


def test_the_head_learns_at_its_own_rate() -> None:
    by_name = rates(teacher(), head_lr_factor=3.0)
    assert by_name["backbone.head.weight"] == by_name["backbone.head.bias"] == 3.0
    others = {rate for name, rate in by_name.items() if ".head." not in name}
    assert others == {1.0}


def test_deeper_blocks_learn_slower() -> None:
    by_name = rates(teacher(), layer_decay=0.5, head_lr_factor=2.0)
    assert by_name["backbone.head.weight"] == 2.0
    assert by_name["backbone.norm_f.weight"] == 1.0
    assert by_name["backbone.layers.1.mixer.in_proj.weight"] == 0.5
    assert by_name["backbone.layers.0.mixer.in_proj.weight"] == 0.25
    assert by_name["backbone.pos_embed.pos_embed"] == 0.125


def test_frozen_weights_have_an_optimizer_only_if_they_thaw() -> None:
    model = teacher()
    counts = []
    for epochs in (0, 2):
        config = TrainConfig(freeze=FreezeConfig(trains="head", epochs=epochs))
        apply_freeze(model.backbone, config.freeze)
        groups = make_optimizer(model, config).param_groups
        counts.append(sum(len(group["params"]) for group in groups))
    assert counts == [2, len(list(model.parameters()))]


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


def test_step_decay_is_that_of_multi_step_lr() -> None:
    schedule = ScheduleConfig(kind="step", start=2, every=3, factor=0.5)
    ours = curve([1] * 12, warmup=0.0, schedule=schedule)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(range(2, 1000, 3)), 0.5)
    for rate in ours:
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()


def test_table_holds_from_its_epochs_on_whatever_their_length() -> None:
    schedule = ScheduleConfig(kind="table", table={1: 0.05, 3: 0.01})
    made = curve([2, 3, 1, 2], warmup=0.0, schedule=schedule)
    assert made == [1, 1, 0.05, 0.05, 0.05, 0.05, 0.01, 0.01]


def test_warmup_in_steps_wins_over_its_share() -> None:
    schedule = ScheduleConfig(kind="constant", warmup_steps=4)
    assert curve([8], schedule=schedule) == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]
    assert curve([8], warmup=0.5, schedule=ScheduleConfig(kind="constant"))[:4] == [
        0.25,
        0.5,
        0.75,
        1,
    ]


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (OptimizerConfig, {"name": "sgd"}, r"optimizer\.name.*adamw or adam.*sgd"),
        (OptimizerConfig, {"betas": (0.9, 1.0)}, r"optimizer\.betas"),
        (OptimizerConfig, {"eps": 0.0}, r"optimizer\.eps"),
        (OptimizerConfig, {"head_lr_factor": 0.0}, r"optimizer\.head_lr_factor"),
        (OptimizerConfig, {"layer_decay": 1.1}, r"optimizer\.layer_decay.*at most 1.*1\.1"),
        (ScheduleConfig, {"kind": "table"}, r"schedule\.table"),
        (ScheduleConfig, {"table": {1: 0.5}}, r"schedule\.table"),
        (ScheduleConfig, {"kind": "table", "table": {-1: 0.5}}, "-1: 0.5"),
        (ScheduleConfig, {"every": 0}, r"schedule\.every.*at least 1, got 0"),
        (ScheduleConfig, {"factor": 0.0}, r"schedule\.factor"),
        (TrainConfig, {"weight_decay": -0.1}, "weight_decay.*between 0 and 10, got -0.1"),
        (TrainConfig, {"gradient_clip": -1.0}, r"gradient_clip.*0 \(no clipping\).*-1"),
        (TrainConfig, {"lr": float("inf")}, "lr.*above 0, got inf"),
    ],
)
def test_wrong_settings_are_named(kind, settings, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        kind(**settings)
