"""Gates on the units of a running network, with which importances are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from aum_edge.compression.pruning.slicing import Removal, shrink
from aum_edge.models.architectures.prunable import PrunableBackbone
from aum_edge.ssm.mixers.groups import Gate, Group, Key, spanned

Hook = Callable[..., Any]
Without = Mapping[tuple[Key, int], PrunableBackbone]
"""The network without each direction that can go."""


@contextmanager
def gated(
    backbone: PrunableBackbone,
    groups: Mapping[Key, Group],
    gates: Mapping[Key, Tensor],
    without: Without | None = None,
) -> Iterator[None]:
    """Multiply what each unit contributes by its gate while the context lasts.

    A gate of 1 changes nothing; 0 is the network without the unit, but for a norm that averages
    over as many channels as before. ``gates`` are (units,) or (B, units), by group.
    ``without`` are :func:`without_directions`, for those who open many contexts.
    """
    handles = []
    if without is None:
        without = without_directions(backbone, {key: groups[key] for key in gates})
    for key, values in gates.items():
        group = groups[key]
        if key[1] == "direction":
            handles += _direction_hooks(backbone, key, values, without)
        for gate in group.gates:
            module = backbone.get_submodule(gate.module)
            handles.append(_attach(module, gate, _scaler(gate, group.units, values)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _attach(module: nn.Module, gate: Gate, scale: Callable[[Tensor], Tensor]) -> Any:
    if gate.side == "in":
        return module.register_forward_pre_hook(lambda _, inputs: (scale(inputs[0]), *inputs[1:]))
    return module.register_forward_hook(lambda _, inputs, out: scale(out))


def _scaler(gate: Gate, units: int, values: Tensor) -> Callable[[Tensor], Tensor]:
    def scale(x: Tensor) -> Tensor:
        owners = torch.full((x.shape[gate.axis],), units, device=x.device)
        for unit in range(units):
            owners[spanned(gate.spans, [unit])] = unit
        rows = values.reshape(-1, units).to(x)
        factors = torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)[:, owners]
        shape = [len(rows), *([1] * (x.ndim - 1))]
        shape[gate.axis] = x.shape[gate.axis]
        return x * factors.reshape(shape)

    return scale


def without_directions(backbone: PrunableBackbone, groups: Mapping[Key, Group]) -> Without:
    """The network cut once for every direction of the groups that can go."""
    return {
        (key, unit): shrink(backbone, Removal(units={key: frozenset({unit})}))
        for key, group in groups.items()
        if key[1] == "direction"
        for unit in range(group.units)
        if unit not in group.fixed
    }


def _direction_hooks(
    backbone: PrunableBackbone, key: Key, values: Tensor, without: Without
) -> list[Any]:
    """Interpolate a block's output to its output without the direction.

    A direction has no channels of its own; the line is exact at both ends.
    """
    handles = []
    blocks = backbone.mixer_blocks
    places = range(len(blocks)) if "direction" in backbone.shared_dimensions else [key[0]]
    rows = values.reshape(-1, values.shape[-1])
    for (other, unit), small in without.items():
        if other == key:
            for place in places:
                mixer = small.mixer_blocks[place].get_submodule("mixer")
                hook = _towards(mixer, rows[:, unit])
                handles.append(blocks[place].get_submodule("mixer").register_forward_hook(hook))
    return handles


def _towards(without: nn.Module, value: Tensor) -> Hook:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
        with torch.no_grad():
            step = out.detach() - without(inputs[0])
        return out + (value.reshape(-1, 1, 1).to(out) - 1) * step

    return hook
