"""Batch norms into their convolutions: the deployed form, equal in eval mode."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from aum_edge.models.build import build
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import AudioMambaConfig
from aum_edge.models.conv import ConvNorm, folded_weights


@torch.no_grad()
def fold_batch_norm(model: AudioClassifier) -> AudioClassifier:
    """A copy whose convolutions carry their batch norms; AuM has none and is copied as it is.

    Folding costs no accuracy, saves the norms' weights and statistics, and makes the int8 scales
    those of the weights that really run.
    """
    config = model.backbone.config
    if not isinstance(config, AudioMambaConfig):
        config = replace(config, folded=True)
    folded = build(config)
    values = {k: v for k, v in model.backbone.state_dict().items() if ".1." not in _norm_part(k)}
    blocks = dict(model.backbone.named_modules())
    for name, block in folded.named_modules():
        source = blocks[name]
        if isinstance(block, ConvNorm) and isinstance(source[1], nn.BatchNorm2d):
            values[f"{name}.0.weight"], values[f"{name}.0.bias"] = folded_weights(source)
    wanted = folded.state_dict().keys()
    folded.load_state_dict({key: values[key] for key in wanted})
    return model.with_backbone(folded, {"step": "fold batch norm"}).eval()


def _norm_part(key: str) -> str:
    return key if key.endswith(("running_mean", "running_var", "num_batches_tracked")) else ""
