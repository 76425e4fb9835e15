"""An ONNX graph as a torch module: onnxruntime computes, the stored tensors are in sight.

The official script sums ``model.parameters()`` and hooks torch layers. The graph's tensors are
registered as parameters, so their bytes are counted; the work inside onnxruntime is not seen, and
the script gives 0 MACs for it. What the package states instead is the count over the graph.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

COUNTED = ("float32", "float16", "int8", "uint8", "int32")
"""Types that the official script has a size for; the shapes of a graph are int64."""
ERRORS_ONLY = 3


class OnnxNetwork(nn.Module):
    """Features (B, 1, n_mels, n_frames) to logits (B, n_classes); normalisation is in the graph."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._session: Any = None
        for number, array in enumerate(_stored(path)):
            tensor = torch.from_numpy(array.copy())
            if str(array.dtype) in COUNTED:
                parameter = nn.Parameter(tensor, requires_grad=False)
                self.register_parameter(f"stored_{number}", parameter)
            else:
                self.register_buffer(f"stored_{number}", tensor)

    def forward(self, features: Tensor) -> Tensor:
        """Classify; the tensors go to the CPU and the logits come back."""
        session = self.session()
        array = np.ascontiguousarray(features.detach().cpu().numpy(), dtype=np.float32)
        (logits,) = session.run(None, {session.get_inputs()[0].name: array})
        return torch.from_numpy(logits).to(features.device)

    def session(self) -> Any:
        """The loaded graph, opened when it is first used."""
        if self._session is None:
            # Without this onnxruntime since 1.29 reports sessions to its maker.
            os.environ["ORT_DISABLE_TELEMETRY"] = "1"
            onnxruntime = import_module("onnxruntime")
            options = onnxruntime.SessionOptions()
            options.log_severity_level = ERRORS_ONLY
            options.intra_op_num_threads = torch.get_num_threads()
            self._session = onnxruntime.InferenceSession(
                str(self.path), options, providers=["CPUExecutionProvider"]
            )
        return self._session

    def __getstate__(self) -> dict[str, Any]:
        """Copies open the file themselves: the script copies the model before it counts."""
        return {**self.__dict__, "_session": None}


def _stored(path: Path) -> list[np.ndarray]:
    """Every stored tensor of the graph and of the bodies inside it."""
    arrays: list[np.ndarray] = []
    graphs = [onnx.load(str(path)).graph]
    while graphs:
        graph = graphs.pop()
        arrays += [numpy_helper.to_array(tensor) for tensor in graph.initializer]
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    graphs.append(attribute.g)
                elif node.op_type == "Constant" and attribute.name == "value":
                    arrays.append(numpy_helper.to_array(attribute.t))
    return arrays
