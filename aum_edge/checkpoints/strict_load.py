"""Strict loading of tensors into a network: every name has to match."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from aum_edge.core.text import few
from aum_edge.errors import CheckpointError


def strip_prefixes(tensors: Mapping[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    """Names without the prefixes that wrappers such as DataParallel put before all of them."""
    names = dict(tensors)
    found = True
    while found and names:
        found = False
        for prefix in prefixes:
            if all(name.startswith(prefix) for name in names):
                names = {name.removeprefix(prefix): tensor for name, tensor in names.items()}
                found = True
    return names


def rename(tensors: Mapping[str, Tensor], table: Mapping[str, str]) -> dict[str, Tensor]:
    """Names whose beginning is in ``table`` get the new beginning; the longest match wins."""
    starts = sorted(table, key=len, reverse=True)
    named = {}
    for name, tensor in tensors.items():
        start = next((start for start in starts if name.startswith(start)), None)
        new = name if start is None else table[start] + name.removeprefix(start)
        if new in named:
            raise CheckpointError(f"Two tensors of the checkpoint become `{new}`.")
        named[new] = tensor
    return named


def drop(tensors: dict[str, Tensor], prefix: str, reason: str, notes: list[str]) -> None:
    """Take out what starts with ``prefix`` and note why."""
    names = [name for name in tensors if name.startswith(prefix)]
    for name in names:
        del tensors[name]
    if names:
        notes.append(f"Left out {few(names)}: {reason}.")


def load_strict(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy every tensor into the network, which has exactly these.

    Floats of any width become the network's. On an error the network is as it was.

    Raises:
        CheckpointError: Naming the tensors that are missing, unexpected or of another shape.
    """
    wanted = network.state_dict()
    missing = sorted(wanted.keys() - tensors.keys())
    foreign = sorted(tensors.keys() - wanted.keys())
    different = [
        f"{name} is {_form(tensors[name])} instead of {_form(target)}"
        for name, target in wanted.items()
        if name in tensors and _form(tensors[name]) != _form(target)
    ]
    problems = [
        f"{what} {few(names)}"
        for what, names in (
            ("lacks", missing),
            ("has unexpected", foreign),
            ("differs:", different),
        )
        if names
    ]
    if problems:
        raise CheckpointError(
            f"{source} {'; '.join(problems)}. It is of another model, or its flags are wrong."
        )
    with torch.no_grad():
        for name, target in wanted.items():
            target.copy_(tensors[name])


def _form(tensor: Tensor) -> str:
    """Shape, and the type of what is no float: floats of any width stand for each other."""
    kind = "" if tensor.is_floating_point() else f"{str(tensor.dtype).removeprefix('torch.')} "
    return f"{kind}{tuple(tensor.shape)}"
