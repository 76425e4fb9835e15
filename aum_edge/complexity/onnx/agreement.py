"""Differences between the torch counter and the ONNX counter, module by module.

The two share no code: one sees torch's operators as they run, the other the nodes of the exported
graph. Where they differ the graph computes something else, and the modules are named.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from aum_edge.complexity.torch_counter import OperatorCounts

DEPTH = 3
"""Parts of a module's path that are compared: ``blocks.0.mixer`` with all that is in it."""
SCAN = (
    "torch's rule counts every direction and token in full; the graph makes delta A, delta u and "
    "(delta u) B once where both directions share them, and an unrolled one does not multiply the "
    "zero state before the first token"
)
ATTENTION = (
    "the graph scales queries and keys before their product, torch's rule counts one "
    "multiplication a score"
)
OTHER = "the graph computes this in another form than torch"


@dataclass(frozen=True, kw_only=True)
class CountDifference:
    """One module on which the counters disagree."""

    module: str
    torch: int
    onnx: int
    why: str

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def differences(torch: OperatorCounts, onnx: OperatorCounts) -> list[CountDifference]:
    """Modules whose MACs differ between a model and its exported graph; empty if none does."""
    first, second = _by_module(torch), _by_module(onnx)
    scans = _running(torch, "scan")
    attentions = _running(torch, "attention")
    return [
        CountDifference(
            module=name or "(top)",
            torch=first[name],
            onnx=second[name],
            why=SCAN if name in scans else ATTENTION if name in attentions else OTHER,
        )
        for name in sorted(first.keys() | second.keys())
        if first[name] != second[name]
    ]


def _running(counts: OperatorCounts, operator: str) -> set[str]:
    """Modules that run an operator of this name or with it in its name."""
    return {_module(n) for n, ops in counts.layers.items() if any(operator in op for op in ops)}


def _by_module(counts: OperatorCounts) -> Counter[str]:
    totals: Counter[str] = Counter()
    for name, ops in counts.layers.items():
        totals[_module(name)] += sum(ops.values())
    return totals


def _module(name: str) -> str:
    """``backbone.blocks.0.mixer.in_proj`` and ``/blocks.0/mixer/in_proj/MatMul`` are one module.

    A node's last part is its operator, after the first ``/token/`` it is inside of a Scan.
    """
    if name.startswith("/"):
        name = name.split("//")[0].split("/Scan")[0]
        parts = name.strip("/").split("/")
        name = ".".join(parts[:-1] if re.match(r"[A-Z]", parts[-1]) else parts)
    parts = name.removeprefix("backbone").strip(".").split(".")
    # A folded convolution runs under the name of the batch norm that it took in.
    parts = parts[:-1] if len(parts) > 1 and parts[-1].isdigit() else parts
    return ".".join(parts[:DEPTH]) if parts != [""] else ""
