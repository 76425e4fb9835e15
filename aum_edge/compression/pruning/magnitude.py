"""Importance by weights alone: the energy that each path through a block would carry.

The input is taken as white noise of variance 1 in every channel. A state that decays as
exp(-k Δ|A|) after one step's push of Δ B then holds Δ² / (1 - exp(-2 Δ|A|)) times B's energy:
slow states hold more. Beside the states runs the skip, D². The step Δ is that of the bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.compression.pruning.groups import Group, Key
from aum_edge.compression.pruning.network_groups import Backbone, blocks_of
from aum_edge.ssm.mixers.gated_conv import GatedConvMixer
from aum_edge.ssm.mixers.mamba import MambaMixer
from aum_edge.ssm.mixers.ssd import SSDMixer


@dataclass(frozen=True)
class Paths:
    """Energies of one mixer's paths, as shares of their sum.

    Shape:
        skip: (directions or 1, E); states: (directions, E, N); weight: a number, what the block
        writes to the residual stream by the mean of all blocks.
    """

    skip: Tensor
    states: Tensor
    weight: float = 1.0


@torch.no_grad()
def magnitude_scores(backbone: Backbone, groups: Mapping[Key, Group]) -> dict[Key, Tensor]:
    """Shares (units,) of every group: 1 is all that a block, or the whole network, carries."""
    mixers = [block.get_submodule("mixer") for block in blocks_of(backbone)]
    written = torch.stack([_writer(mixer).square().sum() for mixer in mixers])
    weights = (written / written.mean()).tolist()
    paths = [_paths(mixer, weight) for mixer, weight in zip(mixers, weights, strict=True)]
    return {key: _score(backbone, key, group, paths) for key, group in groups.items()}


def _score(backbone: Backbone, key: Key, group: Group, paths: list[Paths]) -> Tensor:
    index, dimension = key
    if dimension in ("d_model", "stem"):
        return _tensor_shares(backbone, group) * len(paths)
    if dimension == "head_dim":
        rows = [p.weight * _channels(p).reshape(-1, group.units).sum(dim=0) for p in paths]
        return torch.stack(rows).sum(dim=0)
    if dimension == "direction" and group.fixed:
        return torch.stack([p.weight * _direction(p) for p in paths]).sum(dim=0)
    here = paths[index]
    if dimension == "block":
        score = torch.ones(1)
    elif dimension == "inner":
        score = _channels(here).reshape(group.units, group.width).sum(dim=1)
    elif dimension == "state":
        score = here.states.sum(dim=(0, 1))
    elif dimension == "direction":
        score = _direction(here)
    else:
        score = _tensor_shares(backbone, group) * here.states.sum()
    return here.weight * score


def _channels(paths: Paths) -> Tensor:
    return paths.skip.sum(dim=0) + paths.states.sum(dim=(0, 2))


def _direction(paths: Paths) -> Tensor:
    own = paths.skip.sum(dim=1) if len(paths.skip) == 2 else paths.skip.new_zeros(2)
    states = paths.states.sum(dim=(1, 2))
    return own + (states if len(states) == 2 else states.expand(2) / 2)


def _tensor_shares(backbone: Backbone, group: Group) -> Tensor:
    """Each unit's share of the squared weights, the mean over the group's matrices and kernels."""
    shares = []
    for member in group.members:
        for name, axis in member.tensors(backbone):
            table = backbone.get_parameter(name)
            if table.ndim < 2:
                continue
            rows = table.square().movedim(axis, 0).reshape(table.shape[axis], -1).sum(dim=1)
            units = [rows[member.indices([unit])].sum() for unit in range(group.units)]
            part = torch.stack(units)
            shares.append(part / part.sum().clamp_min(1e-30))
    return torch.stack(shares).mean(dim=0)


def _writer(mixer: nn.Module) -> Tensor:
    """What multiplies the gated channels: out_proj with the gain of the norm before it."""
    weight = mixer.get_parameter("out_proj.weight")
    return weight if isinstance(mixer, MambaMixer) else weight * mixer.get_parameter("norm.weight")


def _paths(mixer: nn.Module, weight: float) -> Paths:
    inner = mixer.get_parameter("out_proj.weight").shape[1]
    rows = mixer.get_parameter("in_proj.weight").square().sum(dim=1)
    first, second = rows[:inner], rows[inner : 2 * inner]
    gate, entering = (first, second) if isinstance(mixer, SSDMixer) else (second, first)
    around = gate * entering * _writer(mixer).square().sum(dim=0)
    if isinstance(mixer, GatedConvMixer):
        skip, states = _kernel(mixer, "")[:inner].reshape(1, -1), rows.new_zeros(1, inner, 1)
    elif isinstance(mixer, SSDMixer):
        skip, states = _ssd_energies(mixer, rows)
    else:
        skip, states = _s6_energies(mixer)
    skip, states = skip * around, states * around[:, None]
    total = (skip.sum() + states.sum()).clamp_min(1e-30)
    return Paths(skip / total, states / total, weight)


def _kernel(mixer: nn.Module, path: str) -> Tensor:
    """Energy of each channel's convolution kernel."""
    return mixer.get_parameter(f"conv1d{path}.weight").square().sum(dim=(1, 2))


def _held(step: Tensor, rate: Tensor) -> Tensor:
    """Energy of a state after a push of one step: the sum of its decaying squares."""
    return step.square() / -torch.expm1(-2 * step * rate)


def _s6_energies(mixer: nn.Module) -> tuple[Tensor, Tensor]:
    """Skip (paths, E) and states (paths or directions, E, N)."""
    rank, count = int(mixer.dt_rank), int(mixer.d_state)  # type: ignore[arg-type]
    skips, states = [], []
    for path in ("", "_b"):
        if not hasattr(mixer, f"x_proj{path}"):
            continue
        kernel = _kernel(mixer, path)
        step = F.softplus(mixer.get_parameter(f"dt_proj{path}.bias")).unsqueeze(1)
        rows = mixer.get_parameter(f"x_proj{path}.weight").square().sum(dim=1)
        B, C = rows[rank : rank + count], rows[rank + count :]
        skips.append(mixer.get_parameter(f"D{path}").square() * kernel)
        twin = not path and hasattr(mixer, "A_b_log") and not hasattr(mixer, "x_proj_b")
        for name in (f"A{path}_log", *(("A_b_log",) if twin else ())):
            rate = torch.exp(mixer.get_parameter(name))
            states.append(_held(step, rate) * B * C * kernel[:, None])
    return torch.stack(skips), torch.stack(states)


def _ssd_energies(mixer: SSDMixer, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Skip (1, E) and states (directions, E, N)."""
    inner, count, kernel = mixer.d_inner, mixer.d_state, _kernel(mixer, "")
    mixed = rows[inner : inner + mixer.mixed] * kernel
    parts = mixed[inner:].reshape(mixer.sets, 2, count).prod(dim=1)
    held = _held(F.softplus(mixer.dt_bias), torch.exp(mixer.A_log))
    own = kernel[:inner]
    channels = held.repeat_interleave(mixer.head_dim, dim=1) * own
    states = channels[:, :, None] * parts[:, None, :].expand(len(held), 1, count)
    skip = mixer.D.square().repeat_interleave(mixer.head_dim) * own
    return skip.reshape(1, -1), states
