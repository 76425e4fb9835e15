"""What turns a pooled embedding (…, d_model) into logits (…, n_classes)."""

from __future__ import annotations

from typing import Literal

from torch import nn

HEAD_EPS = 1e-5
HIDDEN = 512
DROPOUT = 0.1


def make_head(
    kind: Literal["linear", "norm-linear", "mlp"], size: int, n_classes: int
) -> nn.Module:
    """AuM's linear head, SSAMBA's norm and linear, or audio-mamba-asc's hidden layer of 512."""
    if kind == "linear":
        return nn.Linear(size, n_classes)
    norm = nn.LayerNorm(size, HEAD_EPS)
    if kind == "norm-linear":
        return nn.Sequential(norm, nn.Linear(size, n_classes))
    return nn.Sequential(
        norm,
        nn.Dropout(DROPOUT),
        nn.Linear(size, HIDDEN),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(HIDDEN, n_classes),
    )
