"""Cutting units really out gives what silencing them in the whole network gives."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from aum_edge.compression.pruning.slicing import Removal, prunable, shrink
from aum_edge.errors import CompressionError
from aum_edge.models.config import CPMobileConfig
from aum_edge.models.registry import build
from aum_edge.ssm.mixers.groups import Group, GroupMember, Key
from tests.compression.pruning.prune_models import (
    CONFIGS,
    LAYER_NORMS,
    clips,
    gap,
    network,
    silenced,
)

SHARED = ("d_model", "stem", "head_dim")
NETS = {name: network(config) for name, config in CONFIGS.items()}


def keys(name: str) -> list[Key]:
    """Every group once, those of the blocks in the first block that has them."""
    found: dict[tuple[str, int], Key] = {}
    for index, dimension in NETS[name].pruning_groups():
        found.setdefault((dimension, index if dimension == "stem" else 0), (index, dimension))
    return list(found.values())


CASES = [(name, key) for name in CONFIGS for key in keys(name)]
PLAIN = ("ssd-causal", "ssd-one-way", "s6-causal", "fo-fo", "bi-bi-sum")
"""Their ties are some of the others'."""
TEETH = [(name, key) for name, key in CASES if name not in PLAIN]


def named(case: object) -> str:
    return "-".join(str(part) for part in case) if isinstance(case, tuple) else str(case)


def last_units(group: Group, count: int) -> frozenset[int]:
    """Units from the end, as many as may go, up to ``count``."""
    return frozenset(range(group.units)[-min(count, group.units - group.minimum) :])


@pytest.mark.parametrize(("name", "key"), CASES, ids=named)
def test_cutting_equals_silencing(name: str, key: Key) -> None:
    net = NETS[name]
    groups = net.pruning_groups()
    units = {key: frozenset({1})}
    if key[1] not in SHARED and (1, key[1]) in groups:
        group = groups[1, key[1]]
        units[1, key[1]] = last_units(group, 2) | ({0} if group.units > 3 else set())
        if key[1] == "direction":
            units[1, "direction"] = frozenset({0})
    removal, x = Removal(units=units), clips(net)
    small = shrink(net, removal)
    assert gap(small, silenced(net, removal), x) < 1e-10
    assert gap(small, net, x) > 1e-5, "the removed units did nothing: the test proves nothing"
    fewer = sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in net.parameters())
    # Two scans that share all their tensors cost MACs alone.
    assert fewer or (name == "s6" and key[1] == "direction")


@pytest.mark.parametrize("name", CONFIGS)
def test_cutting_everything_at_once_equals_silencing(name: str) -> None:
    net = NETS[name]
    units = {
        key: last_units(group, 2) - group.fixed
        for key, group in net.pruning_groups().items()
        if key[0] == 1 or key[1] in net.shared_dimensions
    }
    removal = Removal(frozenset({0}), units)
    small = shrink(net, removal)
    assert len(small.mixer_blocks) == small.config.depth == 1
    assert gap(small, silenced(net, removal), clips(net)) < 1e-10


@pytest.mark.parametrize("name", CONFIGS)
def test_norms_over_fewer_channels_are_exact_for_nearly_silent_input_too(name: str) -> None:
    """There eps is as large as what is normalised."""
    net = copy.deepcopy(NETS[name])
    with torch.no_grad():
        for parameter_name, parameter in net.named_parameters():
            if "fold" in parameter_name or "embed" in parameter_name or "token" in parameter_name:
                parameter *= 1e-2
            elif parameter_name.endswith(("out_proj.weight", "band", ".norm.weight")):
                parameter *= 1e-2
    groups = net.pruning_groups()
    wanted = [key for key in ((0, "inner"), (0, "d_model"), (0, "head_dim")) if key in groups]
    removal = Removal(units={key: last_units(groups[key], 2) for key in wanted})
    reference = silenced(net, removal)
    assert gap(shrink(net, removal), reference, clips(net)) < 1e-10
    assert gap(reference, net, clips(net)) > 1e-6


def shifted(member: GroupMember, span: int) -> GroupMember:
    spans = [(start + (index == span), width) for index, (start, width) in enumerate(member.spans)]
    return replace(member, spans=tuple(spans))


def wrong_groups(group: Group) -> list[tuple[str, Group]]:
    """The group with each of its ties off by one, and with each of them forgotten."""
    found = []
    for place, member in enumerate(group.members):
        for span in sorted({0, len(member.spans) - 1}):
            members = list(group.members)
            members[place] = shifted(member, span)
            found.append((f"{member.name} span {span} off by one", members))
        if len(member.spans) > 1:
            for span in (0, len(member.spans) - 1):
                left = member.spans[:span] + member.spans[span + 1 :]
                members = list(group.members)
                members[place] = replace(member, spans=left)
                found.append((f"{member.name} span {span} forgotten", members))
        forgotten = [other for other in group.members if other is not member]
        found.append((f"{member.name} forgotten", forgotten))
        if member.kind == "parameter":
            members = list(group.members)
            members[place] = replace(member, dim=1 - member.dim if member.dim < 2 else 1)
            found.append((f"{member.name} along the wrong axis", members))
    if group.norms:
        found.append(("no gain of the norm", None))
    return [
        (
            what,
            replace(group, norms=()) if members is None else replace(group, members=tuple(members)),
        )
        for what, members in found
    ]


@pytest.mark.parametrize(("name", "key"), TEETH, ids=named)
def test_a_group_with_any_tie_wrong_is_caught(
    name: str, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = NETS[name]
    removal = Removal(units={key: frozenset({1})})
    reference, x = silenced(net, removal), clips(net)
    right = net.pruning_groups()
    for what, group in wrong_groups(right[key]):
        with monkeypatch.context() as patch:
            patch.setattr(type(net), "pruning_groups", lambda _, g=group: {**right, key: g})
            assert not survives(net, removal, reference, x), what


def survives(net: nn.Module, removal: Removal, reference: nn.Module, x: Tensor) -> bool:
    """Whether the cut goes through, loads, and answers nearly what it should."""
    try:
        return gap(shrink(net, removal), reference, x) < 1e-6
    except (RuntimeError, IndexError, KeyError, AssertionError):
        return False


@pytest.mark.parametrize("name", CONFIGS)
def test_groups_cover_every_tensor_of_the_network(name: str) -> None:
    net = NETS[name]
    tied = {
        tensor
        for group in net.pruning_groups().values()
        for member in group.members
        for tensor, _ in member.tensors(net)
    }
    assert {key for key, _ in net.named_parameters()} - tied <= {"head.bias"}


@pytest.mark.parametrize("name", LAYER_NORMS)
def test_of_a_layer_norm_width_cuts_are_exact_while_the_kept_channels_sum_to_zero(
    name: str,
) -> None:
    net = network(LAYER_NORMS[name])
    removal = Removal(units={(0, "d_model"): frozenset({1, 4, 7})})
    assert gap(shrink(net, removal), no_bias(silenced(net, removal)), clips(net)) > 1e-4
    keep = [channel for channel in range(12) if channel not in (1, 4, 7)]
    with torch.no_grad():
        for key, parameter in net.named_parameters():
            if key.endswith(("out_proj.weight", "fold.weight", "fold.bias", "proj.weight",
                             "embed.proj.bias")) and "dt_proj" not in key and "in_proj" not in key \
                    and "x_proj" not in key:  # fmt: skip
                parameter[keep] -= parameter[keep].mean(dim=0, keepdim=True)
            elif key.endswith(("cls_token", "pos_embed")):
                parameter[..., keep] -= parameter[..., keep].mean(dim=-1, keepdim=True)
            elif key.startswith("head.0"):
                parameter.fill_(1.0 if key.endswith("weight") else 0.0)
    # eps belongs to the width before; torch's layer norm has it from the config of the new one.
    assert gap(shrink(net, removal), no_bias(silenced(net, removal)), clips(net)) < 1e-4


@torch.no_grad()
def no_bias(net: nn.Module) -> nn.Module:
    """Layer norms that say nothing where nothing comes in."""
    for module in net.modules():
        if isinstance(module, nn.LayerNorm):
            module.weight[[1, 4, 7]] = 0
            module.bias[[1, 4, 7]] = 0
    return net


def test_the_argument_and_the_random_numbers_are_left_alone() -> None:
    net = NETS["s6"]
    before = copy.deepcopy(net.state_dict())
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    shrink(net, Removal(frozenset({1}), {(0, "inner"): frozenset({0})}))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_config_tells_the_new_sizes() -> None:
    units = {(0, "inner"): frozenset({1, 2}), (0, "d_model"): frozenset({0, 1, 2, 3})}
    small = shrink(NETS["bi-bi"], Removal(units={**units, (0, "direction"): frozenset({1})}))
    assert small.config.inner == (22, 24)
    assert small.config.states == (5, 5)
    assert small.config.dt_ranks == (3, 3)
    assert small.config.d_model == 8
    assert small.config.direction == "fo-fo"
    assert small.config.norm_eps == pytest.approx(NETS["bi-bi"].config.norm_eps * 12 / 8)
    units = {(0, "stem"): frozenset({0}), (0, "d_model"): frozenset({5})}
    units |= {(0, "head_dim"): frozenset({0}), (1, "direction"): frozenset({0})}
    small = shrink(NETS["ssd"], Removal(units=units))
    assert small.config.stem_channels == (4, 6)
    assert (small.config.d_model, small.config.width) == (11, 12)
    assert (small.config.head_dim, small.config.inner) == (3, (18, 18))
    assert small.config.directions == ("both", "backward")


def test_cutting_twice_equals_cutting_once() -> None:
    net = NETS["ssd-separate"]
    once = shrink(net, Removal(units={(0, "d_model"): frozenset({2, 3, 9})}))
    first = shrink(net, Removal(units={(0, "d_model"): frozenset({3})}))
    twice = shrink(first, Removal(units={(0, "d_model"): frozenset({2, 8})}))
    assert gap(once, twice, clips(net)) < 1e-12


def test_too_much_is_refused() -> None:
    net = NETS["s6"]
    with pytest.raises(CompressionError, match="smallest allowed is 2"):
        shrink(net, Removal(units={(0, "state"): frozenset(range(4))}))
    with pytest.raises(CompressionError, match="at least one block"):
        shrink(net, Removal(frozenset({0, 1})))
    with pytest.raises(CompressionError, match="cannot be removed"):
        shrink(NETS["fo-bi"], Removal(units={(0, "direction"): frozenset({0})}))


def test_networks_without_mamba_blocks_are_refused() -> None:
    with pytest.raises(CompressionError, match="CPMobile"):
        prunable(build(CPMobileConfig(n_classes=3, n_mels=32, n_frames=32)))
    with pytest.raises(CompressionError, match="Linear"):
        prunable(nn.Linear(2, 2))


def test_heads_are_counted_as_units() -> None:
    group = NETS["ssd"].pruning_groups()[0, "inner"]
    assert (group.units, group.width, group.minimum) == (6, 4, 1)
