"""From an Audio Mamba teacher to a small Mamba student inside an edge budget.

==================  ============================================================
``load``            model directory to :class:`AudioClassifier`
``from_pretrained`` the same from a folder or, by OWNER/NAME, from a model hub
``save``            :class:`AudioClassifier` to model directory
``analyse``         MACs, bytes and the verdict of a model
``prune``           a smaller model by explicit Mamba groups
``quantize``        int8 weights per channel, the scan in float
``export_onnx``     a verified ONNX file
==================  ============================================================
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# onnxruntime since 1.29 reports sessions and models to its maker, also on Linux, unless this is
# set before it is imported; later switches leave a device id behind and send a first event.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_HOME = {
    "load": "aum_edge.models.classifier",
    "save": "aum_edge.models.storage.directory",
    "from_pretrained": "aum_edge.models.classifier",
    "AudioClassifier": "aum_edge.models.classifier",
    "analyse": "aum_edge.complexity.report",
    "prune": "aum_edge.compression.pruning.prune",
    "quantize": "aum_edge.compression.quantization.quantize",
    "export_onnx": "aum_edge.export.onnx.export",
}
__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import aum_edge` costs nothing."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'aum_edge' has no attribute '{name}'")
