"""The networks that a package can hold.

A package's own copy of this module is written for it and knows only the networks it has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from aum_edge.models.registry import architectures, build
from aum_edge.submission.runtime.onnx_network import OnnxNetwork


def backbone(architecture: str, values: dict[str, Any]) -> nn.Module:
    """A network with fresh weights."""
    return build(architectures()[architecture].config(**values))


def onnx_network(path: Path) -> nn.Module:
    """A network that onnxruntime runs."""
    return OnnxNetwork(path)
