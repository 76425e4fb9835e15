"""Exact MACs and special functions of a torch model, by operator and by layer, from one run."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from aum_edge.complexity.torch_rules import OperatorCost, rule_for


@dataclass
class OperatorCounts:
    """Totals of one forward pass; ``unsupported`` names operators without a rule."""

    macs_by_op: Counter[str] = field(default_factory=Counter)
    special_functions: Counter[str] = field(default_factory=Counter)
    layers: dict[str, Counter[str]] = field(default_factory=dict)
    """MACs by operator of each module that runs operators itself, in order of first use."""
    unsupported: Counter[str] = field(default_factory=Counter)
    state_elements: int = 0
    """Elements that the scans carry from one token to the next, all scans together."""
    peak_activation_bytes: int = 0
    """Largest sum of live tensors, input included, weights not."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates in all."""
        return sum(self.macs_by_op.values())


def count(model: nn.Module, example: Tensor) -> OperatorCounts:
    """Count one eval-mode forward pass of ``model`` on ``example``.

    Operators are counted where they execute, so functional weights, shared and repeatedly called
    modules and control flow are all seen. Works on the meta device, where nothing is computed.
    Cost: one forward pass.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    mode = _CountingMode(model)
    try:
        with _module_names(model, mode.stack), _operators_one_by_one(model), torch.no_grad(), mode:
            mode.watch(example)
            model(example)
    finally:
        for module, training in modes.items():
            module.training = training
    return mode.counts


@contextmanager
def _operators_one_by_one(model: nn.Module) -> Iterator[None]:
    """Keep torch from calling whole attention layers and recurrent networks as one operator."""
    fast = torch.backends.mha.get_fastpath_enabled()
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.backends.mkldnn.flags(enabled=False) if recurrent else nullcontext():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class _CountingMode(TorchDispatchMode):
    """Sees every operator below autograd, with the module it runs in."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.counts = OperatorCounts()
        self.stack: list[str] = [""]
        self._known = {_storage_key(t) for t in (*model.parameters(), *model.buffers())}
        self._live: dict[int, int] = {}
        self._inside = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name = f"{func.namespace}.{func._opname}"
        rule = rule_for(name)
        if rule is None and func._can_decompose():
            # In inference mode composite operators arrive whole; their parts are to be seen.
            with self:
                out = func.decompose(*args, **(kwargs or {}))
            if out is not NotImplemented:
                return out
        out = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        if rule is not None:
            cost = rule(args, out)
            scaled = _scalings(kwargs or {}) * sum(t.numel() for t in tensors[:1])
            factor = 4 if any(t.is_complex() for t in tensors) else 1
            self._add(func._opname, cost, factor * (cost.macs + scaled))
        elif tensors:
            self.counts.unsupported[name] += 1
        for tensor in tensors:
            self.watch(tensor)
        return out

    def _add(self, name: str, cost: OperatorCost, macs: int) -> None:
        self.counts.special_functions.update(cost.special)
        self.counts.state_elements += cost.state_elements
        if macs:
            self.counts.macs_by_op[name] += macs
            layer = self.counts.layers.setdefault(self.stack[-1], Counter())
            layer[name] += macs

    def watch(self, tensor: Tensor) -> None:
        """Follow a tensor's storage from now until nothing holds it any more."""
        key = _storage_key(tensor)
        if key in self._known or key in self._live:
            return
        storage = tensor.untyped_storage()
        self._live[key] = storage.nbytes()
        weakref.finalize(storage, self._live.pop, key, None)
        total = sum(self._live.values())
        self.counts.peak_activation_bytes = max(self.counts.peak_activation_bytes, total)


def _scalings(kwargs: dict[str, Any]) -> int:
    """How many of an operator's own factors really multiply."""
    values = [kwargs.get(name) for name in ("alpha", "beta", "value")]
    return sum(isinstance(v, int | float) and abs(v) not in (0, 1) for v in values)


def _storage_key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


@contextmanager
def _module_names(model: nn.Module, stack: list[str]) -> Iterator[None]:
    """Keep the name of the module that runs on top of ``stack``."""
    handles = []
    for name, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(_entering(stack, name)))
        handles.append(module.register_forward_hook(_leaving(stack), always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _entering(stack: list[str], name: str) -> Any:
    return lambda module, args: stack.append(name)


def _leaving(stack: list[str]) -> Any:
    def leave(module: nn.Module, args: Any, out: Any) -> None:
        stack.pop()

    return leave
