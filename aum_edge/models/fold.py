"""Batch norm folding into convolutions: the deployed form, equal in eval mode."""

from __future__ import annotations

import copy

import torch

from aum_edge.errors import CompressionError
from aum_edge.models.architectures.conv import ConvNorm, folded_weights
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.registry import build


@torch.no_grad()
def fold_batch_norm(model: AudioClassifier) -> AudioClassifier:
    """A copy in eval mode whose convolutions carry their batch norms; the argument is left alone.

    Folding costs no accuracy, saves the norms' weights and statistics, and makes the int8 scales
    those of the weights that really run. A model without batch norms is copied as it is.

    Raises:
        CompressionError: If weights are int8 already: their codes cannot take up a norm.
    """
    config = model.backbone.config
    deployed = config.deployed()
    if deployed == config:
        return copy.deepcopy(model).eval()
    if model.quantization:
        raise CompressionError(
            "Batch norms must be folded before quantization; give the float model."
        )
    example = next(model.backbone.parameters())
    with torch.random.fork_rng(devices=[]):
        folded = build(deployed).to(example)
    values = dict(model.backbone.state_dict())
    for name, block in model.backbone.named_modules():
        if isinstance(block, ConvNorm):
            values[f"{name}.0.weight"], values[f"{name}.0.bias"] = folded_weights(block)
    folded.load_state_dict({key: values[key] for key in folded.state_dict()})
    return model.with_backbone(folded, {"step": "fold batch norm"}).eval()
