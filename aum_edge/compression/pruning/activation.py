"""Activation importance: the share of energy that is lost when a unit is gated off.

Units inside a block are held against the residual stream that enters it, so that a unit of a
block that adds little counts little. A state, a rank or a direction is really turned off and the
block run again: its decay, its step sizes and the skip beside it all have their say. That a
weight matters by what flows through it is Sun et al.'s idea, arXiv 2306.11695.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.compression.pruning.gates import gated
from aum_edge.compression.pruning.slicing import prunable
from aum_edge.models.architectures.prunable import PrunableBackbone
from aum_edge.models.classifier import AudioClassifier
from aum_edge.ssm.mixers.groups import Group, Key, Spans, spanned

Seen = dict[str, tuple[Tensor, Tensor]]
"""Input and output of every module of interest, by name."""


@torch.no_grad()
def activation_scores(
    model: AudioClassifier,
    groups: Mapping[Key, Group],
    batches: Sequence[tuple[Tensor, Tensor]],
) -> dict[Key, Tensor]:
    """Shares (units,) of every group, the mean over the batches.

    Cost: for each batch one pass, and one pass of a block for each of its states, ranks and
    directions.
    """
    backbone = prunable(model.backbone)
    example = next(backbone.parameters())
    totals = {key: example.new_zeros(group.units) for key, group in groups.items()}
    for inputs, _ in batches:
        with _recorded(backbone) as seen:
            model(inputs.to(example))
        for key, group in groups.items():
            totals[key] += _shares(backbone, key, group, seen)
    return {key: total / len(batches) for key, total in totals.items()}


@contextmanager
def _recorded(backbone: PrunableBackbone) -> Iterator[Seen]:
    """Keep what goes into and comes out of norms, mixers, output projections and the stem."""
    seen: Seen = {}
    wanted = (".norm", ".mixer", ".out_proj", "norm_f", "stem.convs.1.0", "stem.fold")
    handles = []
    for name, module in backbone.named_modules():
        if name.endswith(wanted):
            handles.append(module.register_forward_hook(_keeper(seen, name)))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _keeper(seen: Seen, name: str) -> Any:
    def keep(module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        seen[name] = (inputs[0], out)

    return keep


def _shares(backbone: PrunableBackbone, key: Key, group: Group, seen: Seen) -> Tensor:
    index, dimension = key
    if dimension == "d_model":
        rows = [seen[gate.module][0].flatten(0, -2) for gate in group.gates if gate.side == "in"]
        energies = [row.square().sum(dim=0) for row in rows]
        return torch.stack([energy / energy.sum() for energy in energies]).mean(dim=0)
    if dimension == "stem":
        reader = ("stem.convs.1.0", "stem.fold")[index]
        return _through(backbone, reader, group.gates[0].spans, group.units, seen)
    everywhere = dimension in backbone.shared_dimensions
    places = range(len(backbone.mixer_blocks)) if everywhere else [index]
    return torch.stack([_in_block(backbone, key, group, p, seen) for p in places]).sum(dim=0)


def _in_block(backbone: PrunableBackbone, key: Key, group: Group, place: int, seen: Seen) -> Tensor:
    """Energy that each unit adds to the residual stream in one block, by the stream's own."""
    block = f"{backbone.blocks_name}.{place}"
    residual = seen[f"{block}.norm"][0].square().sum()
    x, out = seen[f"{block}.mixer"]
    if key[1] == "block":
        return out.square().sum().reshape(1) / residual
    if key[1] in ("inner", "head_dim"):
        last = (f"{block}.mixer.norm", f"{block}.mixer.out_proj")
        gate = next(gate for gate in group.gates if gate.module in last)
        name = f"{block}.mixer.out_proj"
        shares = _through(backbone, name, gate.spans, group.units, seen)
        return shares * seen[name][1].square().sum() / residual
    mixer = backbone.get_submodule(f"{block}.mixer")
    energies = []
    for unit in range(group.units):
        gates = out.new_ones(group.units)
        gates[unit] = 0
        with gated(backbone, {key: group}, {key: gates}):
            energies.append((out - mixer(x)).square().sum())
    return torch.stack(energies) / residual


def _through(backbone: PrunableBackbone, name: str, spans: Spans, units: int, seen: Seen) -> Tensor:
    """Energy of each unit's part in a linear layer's output, by the whole output's."""
    layer = backbone.get_submodule(name)
    x, out = seen[name]
    energies = []
    for unit in range(units):
        rows = spanned(spans, [unit])
        if isinstance(layer, nn.Conv2d):
            part = F.conv2d(x[:, rows], layer.weight[:, rows], None, layer.stride, layer.padding)
        else:
            part = F.linear(x[..., rows], layer.get_parameter("weight")[:, rows])
        energies.append(part.square().sum())
    return torch.stack(energies) / out.square().sum()
