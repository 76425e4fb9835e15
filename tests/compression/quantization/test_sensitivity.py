"""The sweep finds the tensor that hurts, and the choice keeps to its limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aum_edge.compression.quantization.calibration import Calibration, draw
from aum_edge.compression.quantization.config import QuantizeConfig, SensitivityConfig
from aum_edge.compression.quantization.layout import layout_bytes, layout_of
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.compression.quantization.sensitivity import Sweep, choose
from aum_edge.compression.quantization.simulate import clip_logits, compare, simulated
from aum_edge.errors import CompressionError, RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.fold import fold_batch_norm
from aum_edge.models.storage.directory import payload_bytes
from tests.small_run import FRONTEND, student

BAD = "blocks.1.mixer.in_proj"


def clips(count: int = 12) -> Calibration:
    rng = np.random.default_rng(2)
    features = rng.normal(-2, 3, (count, FRONTEND.n_mels, FRONTEND.n_frames))
    return draw(features.astype(np.float32), np.arange(count) % 3, count, 0)


def spoilt() -> AudioClassifier:
    """A student one of whose weights has an outlier in every row: 8 bits say little of the rest."""
    model = student().eval()
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        weight = model.backbone.get_submodule(BAD).weight
        weight[:, 0] = 30.0
        model.backbone.blocks[1].norm.weight[0] = 1e-3
    return model


def sweep(**settings) -> tuple[QuantizeConfig, Sweep]:
    config = QuantizeConfig(keep_float="auto", method="max", **settings)
    return choose(spoilt(), config, clips())


def test_the_spoilt_weight_is_found_and_kept_in_16_bit() -> None:
    config, found = sweep(sensitivity=SensitivityConfig(max_loss=1e-6))
    worst = max(found.rows, key=lambda row: row.alone.loss)
    best = min(found.rows, key=lambda row: row.without.loss)
    assert worst.layer == best.layer == BAD
    assert ("weight", BAD) in found.kept
    assert BAD in config.half
    assert found.end.loss < 0.2 * found.start.loss


def test_a_lax_goal_keeps_only_what_costs_no_bytes() -> None:
    config, found = sweep(sensitivity=SensitivityConfig(max_loss=10.0))
    free = {row.layer for row in found.rows if row.extra_bytes <= 0}
    assert set(config.half) == free
    backbone = fold_batch_norm(spoilt()).backbone
    assert found.bytes == layout_bytes(backbone, layout_of(backbone, config), config)


def test_bytes_are_exact_and_within_the_limit() -> None:
    _, free = sweep(sensitivity=SensitivityConfig(max_loss=0))
    limit = free.bytes - 200
    config, found = sweep(sensitivity=SensitivityConfig(max_loss=0, max_bytes=limit))
    assert found.bytes <= limit
    small = quantize(spoilt(), config, clips())
    assert payload_bytes(small)[0] == found.bytes


def test_without_a_limit_bytes_have_to_be_worth_it() -> None:
    _, thrifty = sweep(sensitivity=SensitivityConfig(max_loss=0))
    _, rich = sweep(sensitivity=SensitivityConfig(max_loss=0, max_bytes=10**9))
    assert thrifty.bytes < rich.bytes
    assert rich.end.loss < thrifty.end.loss < 0.2 * thrifty.start.loss


def test_a_limit_that_cannot_be_met_names_the_smallest() -> None:
    with pytest.raises(CompressionError, match=r"smallest layout takes [\d,]+ bytes"):
        sweep(sensitivity=SensitivityConfig(max_bytes=1000))


def test_the_loss_promised_is_the_loss_of_the_stored_model() -> None:
    model = spoilt()
    config = QuantizeConfig(keep_float="auto", activations="uint8")
    chosen, found = choose(model, config, clips())
    small = quantize(model, chosen, clips())
    reading = compare(
        clip_logits(model, clips().features), clip_logits(small, clips().features), "softmax"
    )
    assert reading.loss == pytest.approx(found.end.loss, rel=1e-3)
    assert {row.kind for row in found.rows} == {"weight", "input"}
    auto = quantize(model, config, clips())
    assert auto.quantization == small.quantization


def test_simulation_leaves_no_trace() -> None:
    model = spoilt()
    features = clips().features
    before = clip_logits(model, features)
    layer = model.backbone.get_submodule(BAD)
    grids = {BAD: torch.tensor([0.5, 8.0])}
    with simulated(model.backbone, {BAD: torch.zeros_like(layer.weight)}, grids):
        assert not torch.equal(clip_logits(model, features), before)
    assert torch.equal(clip_logits(model, features), before)
    assert not layer._forward_pre_hooks


def test_progress_tells_every_tensor() -> None:
    told: list[int] = []
    config = QuantizeConfig(keep_float="auto")
    choose(spoilt(), config, clips(4), lambda done, total, what: told.append(total - done))
    assert told[-1] == 0
    assert len(told) == 11


def test_wrong_settings_are_named() -> None:
    with pytest.raises(RecipeError, match="max_bytes"):
        SensitivityConfig(max_bytes=0)
    with pytest.raises(RecipeError, match="max_loss"):
        SensitivityConfig(max_loss=-1)
    with pytest.raises(CompressionError, match="calibration set"):
        quantize(spoilt(), QuantizeConfig(keep_float="auto"))
