"""Scores of units: what they measure, and that decays, skips and useless units are seen."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from aum_edge.audio.config import Normalization
from aum_edge.compression.pruning.config import ALL
from aum_edge.compression.pruning.gates import gated
from aum_edge.compression.pruning.importance import clip_losses, unit_scores
from aum_edge.compression.pruning.sensitivity import (
    calibrated,
    cuttable,
    least,
    loss_and_accuracy,
    sensitivity,
)
from aum_edge.compression.pruning.slicing import Removal, shrink
from aum_edge.errors import CompressionError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import AudioMambaConfig
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.ssm.mixers.groups import Key
from tests.compression.pruning.prune_models import CONFIGS, clips, gap, network, silenced
from tests.small_run import FRONTEND, LABELS

SIZES = {"n_mels": FRONTEND.n_mels, "n_frames": FRONTEND.n_frames}
KINDS = ("taylor", "activation", "magnitude")


def classifier(config: MambaStudentConfig | AudioMambaConfig) -> AudioClassifier:
    return AudioClassifier(
        network(replace(config, **SIZES)),
        frontend=FRONTEND,
        normalization=Normalization(mean=0.0, std=1.0),
        labels=LABELS,
    ).eval()


MODELS = {name: classifier(config) for name, config in CONFIGS.items()}


def batches(count: int = 1, clips: int = 6) -> list[tuple[Tensor, Tensor]]:
    torch.manual_seed(1)
    shape = (clips, 1, FRONTEND.n_mels, FRONTEND.n_frames)
    return [
        (torch.randn(shape, dtype=torch.float64), torch.arange(clips) % 3) for _ in range(count)
    ]


def scores(model: AudioClassifier, kind: str, count: int = 1) -> dict[Key, Tensor]:
    return unit_scores(model, cuttable(model, ALL), kind, batches(count))


@pytest.mark.parametrize("name", CONFIGS)
def test_closed_gates_are_the_masked_network(name: str) -> None:
    """Where nothing is averaged over the units; a norm inside counts closed channels as zeros."""
    net = network(CONFIGS[name])
    x = clips(net)
    for key, group in net.pruning_groups().items():
        if key[0] and key[1] != "stem":
            continue
        gates = torch.ones(group.units, dtype=torch.float64)
        gates[1] = 0
        removal = Removal(units={key: frozenset({1})})
        with gated(net, {key: group}, {key: gates}), torch.no_grad():
            got = net(x)
        with torch.no_grad():
            wanted = silenced(net, removal)(x)
        assert (got - wanted).abs().max() < 1e-9, key
        with gated(net, {key: group}, {key: gates.fill_(1)}), torch.no_grad():
            assert (net(x) - got).abs().max() > 1e-6, key


@pytest.mark.parametrize("name", ["ssd-separate", "s6", "bi-bi"])
def test_taylor_is_half_the_squared_slope_of_every_clip(name: str) -> None:
    model = MODELS[name]
    got = scores(model, "taylor")
    [(x, y)] = batches()
    groups = cuttable(model, ALL)
    step = 1e-5
    for key, group in groups.items():
        gates = torch.ones(group.units, dtype=torch.float64)
        losses = []
        for sign in (-1, 1):
            gates[-1] = 1 + sign * step
            with gated(model.backbone, {key: group}, {key: gates}), torch.no_grad():
                losses.append(clip_losses(model(x), y))
        slope = (losses[1] - losses[0]) / (2 * step)
        assert float(got[key][-1]) == pytest.approx(
            float(0.5 * slope.square().mean()), rel=1e-3, abs=1e-12
        ), key


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["ssd", "ssd-separate", "s6-separate", "none", "fo-bi"])
def test_a_unit_that_does_nothing_scores_least(name: str, kind: str) -> None:
    model = copy.deepcopy(MODELS[name])
    key = (1, "inner")
    group = model.backbone.pruning_groups()[key]
    mixer = model.backbone.mixer_blocks[1].mixer
    rows = slice(2 * group.width, 3 * group.width)
    with torch.no_grad():
        for path in ("", "_b") if hasattr(mixer, "conv1d_b") else ("",):
            getattr(mixer, f"conv1d{path}").weight[rows] = 0
            getattr(mixer, f"conv1d{path}").bias[rows] = 0
    found = scores(model, kind)[key]
    assert found.argmin() == 2
    assert found[2] < 1e-20


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["s6", "s6-separate", "bi-bi"])
def test_a_state_that_forgets_at_once_is_worth_less_than_one_that_holds(
    name: str, kind: str
) -> None:
    """Same B, same C: only A_log differs."""
    model = copy.deepcopy(MODELS[name])
    mixer = model.backbone.mixer_blocks[0].mixer
    rank, states = mixer.dt_rank, mixer.d_state
    with torch.no_grad():
        for path in ("", "_b") if hasattr(mixer, "x_proj_b") else ("",):
            rows = getattr(mixer, f"x_proj{path}").weight
            rows[rank + 1], rows[rank + states + 1] = rows[rank + 3], rows[rank + states + 3]
            decay = getattr(mixer, f"A{path}_log")
            decay[:, 1], decay[:, 3] = 4.0, -3.0
    found = scores(model, kind, 2)[0, "state"]
    assert found[1] < 0.7 * found[3]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["ssd", "s6"])
def test_a_channel_without_its_skip_is_worth_less(name: str, kind: str) -> None:
    model = copy.deepcopy(MODELS[name])
    before = scores(model, kind, 2)[0, "inner"]
    with torch.no_grad():
        model.backbone.blocks[0].mixer.D[1] *= 100
    after = scores(model, kind, 2)[0, "inner"]
    assert after[1] / after.sum() > before[1] / before.sum()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["ssd", "ssd-separate", "s6-separate"])
def test_the_direction_that_says_little_goes_first(name: str, kind: str) -> None:
    model = copy.deepcopy(MODELS[name])
    mixer = model.backbone.blocks[0].mixer
    with torch.no_grad():
        if name.startswith("ssd"):
            mixer.dt_bias[0] = -30.0
        else:
            mixer.dt_proj.bias.fill_(-30.0)
            mixer.D.zero_()
    assert scores(model, kind)[0, "direction"].argmin() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_go_scores_infinity(kind: str) -> None:
    found = scores(MODELS["fo-bi"], kind)[0, "direction"]
    assert found[0] == torch.inf
    assert torch.isfinite(found[1])


def test_calibrated_scores_say_what_the_trial_cut_cost() -> None:
    model, clips = MODELS["s6-separate"], batches(2)
    groups = cuttable(model, ALL)
    raw = unit_scores(model, groups, "taylor", clips)
    nats = calibrated(model, groups, raw, clips)
    base = loss_and_accuracy(model, clips)[0]
    for dimension in ("inner", "d_model", "stem"):
        removal = least(groups, raw, dimension, 0.25)
        small = model.with_backbone(shrink(model.backbone, removal), {})
        rise = loss_and_accuracy(small, clips)[0] - base
        told = sum(float(nats[key][unit]) for key, units in removal.units.items() for unit in units)
        assert told == pytest.approx(max(rise, 1e-4), rel=1e-6)
    louder = {key: values * (1000 if key[1] == "inner" else 1) for key, values in raw.items()}
    again = calibrated(model, groups, louder, clips)
    assert all(torch.allclose(again[key], nats[key]) for key in nats)


def test_sensitivity_has_a_row_for_every_kind_and_share() -> None:
    model = MODELS["ssd-separate"]
    seen: list[str] = []
    rows = sensitivity(
        model, batches(), shares=(0.2, 0.9), progress=lambda done, total, what: seen.append(what)
    )
    kinds = {"none", "inner", "state", "direction", "block", "d_model", "stem", "head_dim"}
    assert {row["dimension"] for row in rows} == kinds
    assert len(rows) == 1 + 2 * (len(kinds) - 1) == 1 + 2 * len(seen)
    assert rows[0]["loss"] == loss_and_accuracy(model, batches())[0]
    for kind in kinds - {"none"}:
        few, many = (row for row in rows if row["dimension"] == kind)
        assert rows[0]["macs"] > few["macs"] >= many["macs"]
        assert 0 < few["removed"] <= many["removed"] < many["units"]


def test_the_model_keeps_its_state() -> None:
    model = copy.deepcopy(MODELS["s6"]).train()
    before = copy.deepcopy(model.state_dict())
    model.backbone.head.weight.requires_grad_(False)
    for kind in KINDS:
        scores(model, kind)
    sensitivity(model, batches(), shares=(0.1,), dimensions=("state",))
    assert model.training
    assert not model.backbone.head.weight.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert gap(model.eval(), MODELS["s6"], batches()[0][0]) == 0


def test_clips_have_to_be_usable() -> None:
    model = MODELS["s6"]
    for kind in ("taylor", "activation"):
        with pytest.raises(CompressionError, match="at least one batch"):
            unit_scores(model, cuttable(model, ALL), kind, [])
    x, y = batches()[0]
    with pytest.raises(CompressionError, match="nan"):
        unit_scores(model, cuttable(model, ALL), "taylor", [(x * torch.nan, y)])


def test_clips_with_several_labels_have_a_loss_of_their_own() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.0]])
    targets = torch.tensor([[1.0, 0.0, 1.0]])
    expected = -(
        torch.sigmoid(logits[0, 0]).log()
        + torch.sigmoid(-logits[0, 1]).log()
        + torch.sigmoid(logits[0, 2]).log()
    )
    assert float(clip_losses(logits, targets)) == pytest.approx(float(expected / 3), rel=1e-6)
