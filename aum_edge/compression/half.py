"""16-bit storage: the form in which the challenge's CNN fits its 128,000 bytes."""

from __future__ import annotations

import copy

import torch

from aum_edge.errors import CompressionError
from aum_edge.models.classifier import AudioClassifier


@torch.no_grad()
def halve(model: AudioClassifier) -> AudioClassifier:
    """A copy whose tensors are rounded to float16 and stored so; it still computes in float32.

    Batch norms are left as they are, since the official count charges a folded bias once an
    output position.

    Raises:
        CompressionError: The model is quantized already, or a value does not fit into float16.
    """
    if model.quantization:
        raise CompressionError("This model is quantized already; take the float model.")
    backbone = copy.deepcopy(model.backbone)
    names = []
    for name, tensor in backbone.state_dict().items():
        if tensor.dtype == torch.float32:
            tensor.copy_(tensor.half().float())
            if not torch.isfinite(tensor).all():
                raise CompressionError(f"{name} does not fit into float16; keep float32.")
            names.append(name)
    description = {"bits": 16, "granularity": "none", "layers": [], "float16": names}
    return model.with_backbone(backbone, {"step": "store as float16"}, description)
