"""Cutting channels really out gives what zeroing them in the whole network gives."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from aum_edge.compression import slicing
from aum_edge.compression.groups import Group, Member, groups_of
from aum_edge.compression.slicing import Removal, blocks_of, shrink
from aum_edge.errors import CompressionError
from aum_edge.models.audio_mamba import AudioMamba
from aum_edge.models.build import build
from aum_edge.models.config import (
    AudioMambaConfig,
    CPMobileConfig,
    MambaStudentConfig,
)
from aum_edge.ssm.mixer import MambaMixer
from aum_edge.ssm.student_mixer import SSDMixer

STUDENT = MambaStudentConfig(
    n_classes=3, n_mels=16, n_frames=24, d_model=12, depth=2, d_state=5, head_dim=4, d_conv=3
)
TEACHER = AudioMambaConfig(
    n_classes=3, n_mels=16, n_frames=32, patch_size=(8, 8), d_model=12, depth=2, d_state=5,
    dt_ranks=(3, 3),
)  # fmt: skip
CONFIGS = {
    "ssd": STUDENT,
    "ssd-causal": replace(STUDENT, bidirectional=False),
    "s6": replace(STUDENT, mixer="s6", dt_ranks=(3, 3)),
    "s6-causal": replace(STUDENT, mixer="s6", bidirectional=False, dt_ranks=(3, 3)),
    "fo-fo": replace(TEACHER, direction="fo-fo"),
    "fo-bi": replace(TEACHER, direction="fo-bi"),
    "bi-bi": replace(TEACHER, direction="bi-bi", layer_scale=0.5),
    "bi-bi-sum": replace(TEACHER, direction="bi-bi", halve_directions=False, norm="layer"),
}
CASES = [
    (name, dimension)
    for name in CONFIGS
    for dimension in ("inner", "state", "dt_rank")
    if dimension != "dt_rank" or not name.startswith("ssd")
]


def network(name: str) -> slicing.Backbone:
    """Random everywhere, in double precision: no tie may hide behind an initial value."""
    torch.manual_seed(sum(map(ord, name)))
    net = build(CONFIGS[name]).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return slicing.mamba_of(net)


def clips(net: nn.Module, scale: float = 1.0) -> Tensor:
    torch.manual_seed(5)
    return scale * torch.randn(2, 1, net.config.n_mels, net.config.n_frames, dtype=torch.float64)


@torch.no_grad()
def silence(mixer: nn.Module, dimension: str, unit: int) -> None:
    """Zero one unit by hand, through as few weights as do it: knows nothing of the groups."""
    paths = [""] + (["_b"] if isinstance(mixer, MambaMixer) and hasattr(mixer, "conv1d_b") else [])
    for path in paths:
        convolution = getattr(mixer, f"conv1d{path}")
        if dimension == "dt_rank":
            getattr(mixer, f"dt_proj{path}").weight[:, unit] = 0
        elif dimension == "inner":
            size = getattr(mixer, "head_dim", 1)
            rows = slice(unit * size, (unit + 1) * size)
            convolution.weight[rows] = 0
            convolution.bias[rows] = 0
        elif isinstance(mixer, SSDMixer):
            row = mixer.d_inner + mixer.d_state + unit
            convolution.weight[row] = 0
            convolution.bias[row] = 0
        else:
            row = mixer.dt_rank + mixer.d_state + unit
            getattr(mixer, f"x_proj{path}").weight[row] = 0


def silenced(net: slicing.Backbone, removal: Removal) -> slicing.Backbone:
    masked = copy.deepcopy(net)
    for (block, dimension), units in removal.units.items():
        for unit in units:
            silence(blocks_of(masked)[block].mixer, dimension, unit)
    for block in removal.blocks:
        blocks_of(masked)[block].mixer.out_proj.weight.data.zero_()
    return masked


def gap(one: nn.Module, other: nn.Module, x: Tensor) -> float:
    with torch.no_grad():
        return float((one(x) - other(x)).abs().max())


@pytest.mark.parametrize(("name", "dimension"), CASES)
def test_cutting_equals_zeroing(name: str, dimension: str) -> None:
    net = network(name)
    removal = Removal(units={(0, dimension): frozenset({1}), (1, dimension): frozenset({0, 2})})
    small = shrink(net, removal)
    x = clips(net)
    assert gap(small, silenced(net, removal), x) < 1e-10
    assert gap(small, net, x) > 1e-5, "the removed units did nothing: the test proves nothing"
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("name", CONFIGS)
def test_cutting_everything_at_once_equals_zeroing(name: str) -> None:
    net = network(name)
    dimensions = groups_of(blocks_of(net)[0].mixer)
    removal = Removal(
        frozenset({0}), {(1, dimension): frozenset({0, 2}) for dimension in dimensions}
    )
    small = shrink(net, removal)
    assert len(blocks_of(small)) == small.config.depth == 1
    assert gap(small, silenced(net, removal), clips(net)) < 1e-10


@pytest.mark.parametrize("name", ["ssd", "s6"])
def test_the_norm_over_fewer_channels_is_exact_for_nearly_silent_input_too(name: str) -> None:
    net = network(name)
    with torch.no_grad():
        for block in blocks_of(net):
            block.norm.weight *= 1e-2
    removal = Removal(units={(0, "inner"): frozenset({0, 1, 3})})
    assert gap(shrink(net, removal), silenced(net, removal), clips(net)) < 1e-10


def shifted(member: Member, span: int) -> Member:
    spans = [(start + (index == span), width) for index, (start, width) in enumerate(member.spans)]
    return replace(member, spans=tuple(spans))


@pytest.mark.parametrize(("name", "dimension"), CASES)
def test_a_group_with_any_tie_off_by_one_is_caught(
    name: str, dimension: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(name)
    removal = Removal(units={(0, dimension): frozenset({1})})
    reference, x = silenced(net, removal), clips(net)
    right = groups_of(blocks_of(net)[0].mixer)
    for place, member in enumerate(right[dimension].members):
        for span in range(len(member.spans)):
            members = list(right[dimension].members)
            members[place] = shifted(member, span)
            wrong = {**right, dimension: replace(right[dimension], members=tuple(members))}
            with monkeypatch.context() as patch:
                patch.setattr(slicing, "groups_of", lambda mixer, wrong=wrong: wrong)
                small = shrink(net, removal)
            assert gap(small, reference, x) > 1e-6, f"{member.name} span {span} off by one"


@pytest.mark.parametrize("name", CONFIGS)
def test_groups_cover_every_tensor_of_the_mixer(name: str) -> None:
    mixer = blocks_of(network(name))[0].mixer
    named = {
        tensor
        for group in groups_of(mixer).values()
        for member in group.members
        for tensor, _ in member.tensors(mixer)
    }
    assert {key for key, _ in mixer.named_parameters()} - named <= {"gamma"}


def test_the_argument_is_left_alone() -> None:
    net = network("s6")
    before = copy.deepcopy(net.state_dict())
    shrink(net, Removal(frozenset({1}), {(0, "inner"): frozenset({0})}))
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_config_tells_the_new_sizes() -> None:
    small = shrink(network("bi-bi"), Removal(units={(0, "inner"): frozenset({1, 2})}))
    assert isinstance(small, AudioMamba)
    assert small.config.inner == (22, 24)
    assert small.config.states == (5, 5)
    assert small.config.dt_ranks == (3, 3)


def test_too_much_is_refused() -> None:
    net = network("s6")
    with pytest.raises(CompressionError, match="smallest allowed is 2"):
        shrink(net, Removal(units={(0, "state"): frozenset(range(4))}))
    with pytest.raises(CompressionError, match="at least one block"):
        shrink(net, Removal(frozenset({0, 1})))


def test_networks_without_mamba_blocks_are_refused() -> None:
    with pytest.raises(CompressionError, match="CPMobile"):
        slicing.mamba_of(build(CPMobileConfig(n_classes=3, n_mels=32, n_frames=32)))
    with pytest.raises(CompressionError, match="Linear"):
        groups_of(nn.Linear(2, 2))


def test_heads_are_counted_as_units() -> None:
    group: Group = groups_of(blocks_of(network("ssd"))[0].mixer)["inner"]
    assert (group.units, group.width, group.minimum) == (6, 4, 1)
