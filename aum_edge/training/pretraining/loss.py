"""Masked-patch pretraining loss: InfoNCE and reconstruction.

Source: SSAMBA (arXiv 2405.11831) after SSAST (arXiv 2110.09784), without their loops over clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from aum_edge.models.architectures.masked_patch import MaskedPatchModel

Objective = Literal["joint", "contrastive", "generative"]


@dataclass(frozen=True)
class MaskedPatchLoss:
    """Scalars of one batch. An objective that was not asked for has NaN."""

    total: Tensor
    """What is minimised."""
    nce: Tensor
    accuracy: Tensor
    """Share of predictions whose best patch, among those hidden in the clip, is their own."""
    mse: Tensor


def info_nce(predicted: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """InfoNCE of predictions over the masked patches of their clip: loss and accuracy.

    Scores are plain products of patches and predictions; the softmax runs over the predictions of
    each patch, the accuracy's choice over the patches of each prediction, as published. Computed
    in float32 at least: a product over a patch leaves float16's range.

    Shape:
        predicted, targets: (B, M, patch area). Returns two scalars.
    """
    with torch.autocast(predicted.device.type, enabled=False):
        predicted, targets = _wide(predicted), _wide(targets)
        log_share = (targets @ predicted.transpose(1, 2)).log_softmax(dim=2)
    loss = -log_share.diagonal(dim1=1, dim2=2).mean()
    own = torch.arange(targets.shape[1], device=targets.device)
    accuracy = (log_share.detach().argmax(dim=1) == own).to(loss.dtype).mean()
    return loss, accuracy


def masked_patch_loss(
    model: MaskedPatchModel,
    x: Tensor,
    masks: tuple[Tensor, ...],
    objective: Objective = "joint",
    mse_weight: float = 10.0,
) -> MaskedPatchLoss:
    """Loss of normalised clips with masked patches.

    Args:
        model: Encoder and predictors.
        x: (B, 1, n_mels, n_frames), normalised.
        masks: One (B, M), and all objectives share one pass; or two, the contrastive and the
            generative objective's, which then each have a complete pass, as published.
        objective: ``joint`` minimises nce + ``mse_weight`` * mse.
        mse_weight: Weight of the generative part of ``joint``.
    """
    nothing = x.new_full((), float("nan"), dtype=torch.float32)
    nce, accuracy, mse, tokens = nothing, nothing, nothing, None
    if objective != "generative":
        tokens = model.masked_tokens(x, masks[0])
        nce, accuracy = info_nce(model.cpredlayer(tokens), model.masked_patches(x, masks[0]))
    if objective != "contrastive":
        if tokens is None or len(masks) > 1:
            tokens = model.masked_tokens(x, masks[-1])
        drawn = model.gpredlayer(tokens)
        mse = F.mse_loss(_wide(drawn), _wide(model.masked_patches(x, masks[-1])))
    totals = {"joint": nce + mse_weight * mse, "contrastive": nce, "generative": mse}
    return MaskedPatchLoss(totals[objective], nce, accuracy, mse)


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
