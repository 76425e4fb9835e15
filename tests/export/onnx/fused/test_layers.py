"""The short softplus is softplus over all of float32's useful range."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from aum_edge.export.onnx.fused.layers import compact_softplus


def test_it_is_softplus() -> None:
    x = torch.linspace(-120, 120, 100_001)
    exact = F.softplus(x.double(), threshold=200)
    error = (compact_softplus(x).double() - exact).abs()
    assert float((error / exact.clamp(min=1)).max()) < 3e-7
    assert torch.equal(compact_softplus(torch.tensor([1e30, -1e30])), torch.tensor([1e30, 0]))
    assert compact_softplus(torch.tensor(float("nan"))).isnan()
