"""Folded batch norms: the same answers from fewer tensors."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from aum_edge.errors import CompressionError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.fold import fold_batch_norm


def features() -> torch.Tensor:
    return torch.randn(4, 1, 16, 12, generator=torch.manual_seed(8)) - 3


def test_folding_changes_no_answer(small: AudioClassifier) -> None:
    norms = [module for module in small.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms[:1]:
        # So little variance that the norm's eps decides the gain.
        norm.running_var[0] = 1e-6
    torch.testing.assert_close(fold_batch_norm(small)(features()), small(features()))


def test_no_batch_norm_is_left(small: AudioClassifier) -> None:
    folded = fold_batch_norm(small)
    assert not [m for m in folded.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert list(folded.buffers()) == []
    had = any(isinstance(m, nn.BatchNorm2d) for m in small.modules())
    assert (folded.lineage == ({"step": "fold batch norm"},)) is had


def test_the_original_is_left_alone(small: AudioClassifier) -> None:
    before = copy.deepcopy(small.state_dict())
    folded = fold_batch_norm(small.train())
    with torch.no_grad():
        for parameter in folded.parameters():
            parameter.zero_()
    assert small.training
    assert not folded.training
    after = small.state_dict()
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())


def test_folding_twice_is_folding_once(small: AudioClassifier) -> None:
    once = fold_batch_norm(small)
    twice = fold_batch_norm(once)
    assert twice is not once
    assert twice.lineage == once.lineage
    assert torch.equal(twice(features()), once(features()))


def test_the_random_state_is_left_alone(small: AudioClassifier) -> None:
    state = torch.get_rng_state()
    fold_batch_norm(small)
    assert torch.equal(torch.get_rng_state(), state)


def test_int8_weights_cannot_take_up_a_norm(small: AudioClassifier) -> None:
    if not list(small.buffers()):
        pytest.skip("has no batch norms")
    small.quantization = {"layers": []}
    with pytest.raises(CompressionError, match="before quantization"):
        fold_batch_norm(small)
