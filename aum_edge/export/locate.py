"""Where two runtimes part: the outputs of every layer, in order, in torch and in the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from aum_edge.export.capture import INPUT
from aum_edge.export.naming import node_scope, scope
from aum_edge.export.runner import open_session


def first_difference(model: nn.Module, path: Path, features: Tensor, atol: float) -> str | None:
    """The first layer whose output differs by more than ``atol``, relative to its largest value.

    Layers are the innermost modules that run once; a layer's output in the graph is that of the
    last node that carries its name. ``None`` if no such layer differs.
    """
    expected = _torch_outputs(model, features)
    graph = onnx.load(path)
    last = {node_scope(node.name): node.output[0] for node in graph.graph.node}
    shared = {name: last[scope(name)] for name in expected if last.get(scope(name))}
    known = {value.name for value in graph.graph.output}
    for value in dict.fromkeys(shared.values()):
        if value not in known:
            graph.graph.output.append(onnx.ValueInfoProto(name=value))
    got = open_session(graph.SerializeToString()).run(
        list(shared.values()), {INPUT: features.numpy()}
    )
    for (name, want), have in zip(((name, expected[name]) for name in shared), got, strict=True):
        have = _tokens_second(have, want)
        if want.shape == have.shape:
            gap = float(np.max(np.abs(want - have)))
            if not gap <= atol * max(1.0, float(np.max(np.abs(want)))):
                return f"the layer {name} (by {gap:.2e})"
    return None


def _tokens_second(have: np.ndarray, want: np.ndarray) -> np.ndarray:
    """An S6 student's graph has (L, batch, 1, channels) where torch has (batch, L, channels)."""
    if have.ndim == 4 and want.ndim == 3 and have.shape[2] == 1:
        return have[:, :, 0].swapaxes(0, 1)
    return have


def _torch_outputs(model: nn.Module, features: Tensor) -> dict[str, np.ndarray]:
    """Outputs of the innermost modules, in the order they ran."""
    outputs: dict[str, np.ndarray] = {}
    again: set[str] = set()

    def keep(name: str, output: Any) -> None:
        if name in outputs:
            again.add(name)
        elif isinstance(output, Tensor):
            outputs[name] = output.numpy()

    hooks = [
        module.register_forward_hook(lambda _m, _i, output, name=name: keep(name, output))
        for name, module in model.named_modules()
        if not any(module.children())
    ]
    try:
        with torch.inference_mode():
            model(features)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: output for name, output in outputs.items() if name not in again}
