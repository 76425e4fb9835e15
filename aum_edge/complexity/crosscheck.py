"""Counts of other tools (thop, torchinfo, fvcore and more) on the same network, and their reasons.

None of them counts the selective scan. They are tools for other networks, not wrong ones: each
follows a rule of its own, which ``reason`` names. Tools that are not installed are named.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from aum_edge.complexity.official import official_macs
from aum_edge.complexity.torch_counter import OperatorCounts, count
from aum_edge.core.text import one_line

MATRIX = ("convolution", "mm", "bmm", "addmm", "baddbmm")
REASONS = {
    "torchinfo 1.8.0": "takes a linear layer once, however many tokens pass it, adds biases and "
    "batch norms by their parameters, and sees no functional operator: no scan, no gate, no matmul",
    "thop": "hooks on modules it has rules for: no functional operator, and parameters that belong "
    "to no such module (A_log, D) are not even counted as parameters; adds 2 an element for norms",
    "thop with our hooks": "as thop, and every scan by our hooks: what is left are gates and "
    "products that it does not see, and norms that it counts and folding removes",
    "torch FlopCounterMode / 2": "matrix products and convolutions wherever they run, and nothing "
    "else: no scan, no gate, no norm",
    "fvcore": "matrix products, convolutions and norms of the traced graph; elementwise operators "
    "and custom ones are skipped",
    "ptflops": "hooks on modules and patched functions; elementwise products and the scan are not "
    "among them; biases and activations count",
}
Tool = Callable[[nn.Module, Tensor], tuple[int, int | None]]


@dataclass(frozen=True, kw_only=True)
class CrosscheckRow:
    """One tool's count; ``macs`` is None where it is not installed or failed."""

    tool: str
    macs: int | None
    n_params: int | None
    ratio: float | None
    """Its MACs by the exact ones."""
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def crosscheck(network: nn.Module, example: Tensor, exact: OperatorCounts) -> list[CrosscheckRow]:
    """Every tool on one forward pass of a copy of the network.

    Cost: one forward pass a tool.
    """
    network = copy.deepcopy(network).eval()
    rows = [_row("exact, unfolded", exact.macs, _n_params(network), exact, "")]
    for name, tool in TOOLS.items():
        package = name.split()[0]
        if package in ("thop", "fvcore", "ptflops") and find_spec(package) is None:
            rows.append(_row(name, None, None, exact, f"not installed: pip install {package}"))
            continue
        try:
            macs, params = _silently(tool, copy.deepcopy(network), example)
        except Exception as error:
            rows.append(_row(name, None, None, exact, f"failed: {one_line(error)}"))
            continue
        rows.append(_row(name, macs, params, exact, _reason(name, macs, exact)))
    return rows


def _row(
    name: str, macs: int | None, params: int | None, exact: OperatorCounts, why: str
) -> CrosscheckRow:
    ratio = None if macs is None or not exact.macs else macs / exact.macs
    return CrosscheckRow(tool=name, macs=macs, n_params=params, ratio=ratio, reason=why)


def _n_params(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _reason(name: str, macs: int, exact: OperatorCounts) -> str:
    """Why; with the operators that make the difference where the tool's rule is known exactly."""
    if macs == exact.macs:
        return "agrees"
    if macs == 0:
        return "has no rule for any of these layers: int8 layers and custom modules"
    seen = sum(exact.macs_by_op[op] for op in MATRIX)
    if name.startswith("torch Flop") and macs == seen:
        missed = {op: n for op, n in exact.macs_by_op.most_common() if op not in MATRIX}
        listed = ", ".join(f"{op} {n:,}" for op, n in missed.items())
        return f"{REASONS[name]}; left out: {listed}"
    return REASONS[name]


def _silently(tool: Tool, network: nn.Module, example: Tensor) -> tuple[int, int | None]:
    """Run a tool without its prints, warnings and log lines."""
    logging.getLogger("fvcore").setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with contextlib.redirect_stderr(io.StringIO()), torch.no_grad():
            return tool(network, example)


def _torchinfo(network: nn.Module, example: Tensor) -> tuple[int, int | None]:
    return official_macs(network, tuple(example.shape)), _n_params(network)


def _thop(network: nn.Module, example: Tensor) -> tuple[int, int | None]:
    from thop import profile

    macs, params = profile(network, inputs=(example,), verbose=False)
    return int(macs), int(params)


def _thop_with_hooks(network: nn.Module, example: Tensor) -> tuple[int, int | None]:
    """What thop counts and the scans, which the hooks of the modules that call them add."""
    scans = {
        name: ops["scan"] for name, ops in count(network, example).layers.items() if "scan" in ops
    }
    macs, params = _thop(network, example)
    return macs + sum(scans.values()), _n_params(network) if scans else params


def _flop_counter(network: nn.Module, example: Tensor) -> tuple[int, int | None]:
    with FlopCounterMode(display=False) as counter:
        network(example)
    return counter.get_total_flops() // 2, None


def _fvcore(network: nn.Module, example: Tensor) -> tuple[int, int | None]:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(network, example)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return int(analysis.total()), _n_params(network)


def _ptflops(network: nn.Module, example: Tensor) -> tuple[int, int | None]:
    from ptflops import get_model_complexity_info

    macs, params = get_model_complexity_info(
        network,
        tuple(example.shape[1:]),
        as_strings=False,
        print_per_layer_stat=False,
        verbose=False,
        backend="pytorch",
    )
    return int(macs or 0), int(params or 0)


TOOLS: dict[str, Tool] = {
    "torchinfo 1.8.0": _torchinfo,
    "thop": _thop,
    "thop with our hooks": _thop_with_hooks,
    "torch FlopCounterMode / 2": _flop_counter,
    "fvcore": _fvcore,
    "ptflops": _ptflops,
}
