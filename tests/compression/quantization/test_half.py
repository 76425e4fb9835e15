from __future__ import annotations

import pytest
import torch

from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import halve, quantize
from aum_edge.errors import CompressionError
from aum_edge.models.classifier import load
from aum_edge.models.storage.directory import payload_bytes, save
from tests.small_run import student


def test_halve_stores_two_bytes_a_weight_and_reloads_the_same(tmp_path) -> None:
    model = student().eval()
    small = halve(model)
    weights = sum(p.numel() for p in model.backbone.parameters())
    assert payload_bytes(small)[0] == 2 * weights
    save(small, tmp_path / "m")
    x = torch.randn(2, 1, 16, 33)
    torch.testing.assert_close(load(tmp_path / "m")(x), small(x), rtol=0, atol=0)
    torch.testing.assert_close(small(x), model(x), rtol=0, atol=0.05)
    assert not torch.equal(small(x), model(x))


def test_halve_refuses_what_float16_cannot_hold() -> None:
    model = student()
    with torch.no_grad():
        model.backbone.head.weight[0, 0] = 1e6
    with pytest.raises(CompressionError, match=r"head\.weight"):
        halve(model)


def test_halve_refuses_a_quantized_model() -> None:
    with pytest.raises(CompressionError, match="already"):
        halve(quantize(student().eval(), QuantizeConfig()))
