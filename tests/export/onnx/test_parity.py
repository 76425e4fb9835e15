from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from aum_edge.errors import ExportError, ParityError
from aum_edge.export.onnx.parity import check_parity, random_clips
from aum_edge.models.classifier import AudioClassifier
from aum_edge.runtimes.onnx import OnnxClassifier

Make = Callable[[str], AudioClassifier]


@pytest.fixture
def runner(exported: Callable[[str], Any]) -> OnnxClassifier:
    return OnnxClassifier(exported("s6").report.path)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_equal_models_agree_on_any_number_of_clips(
    runner: OnnxClassifier, classifier: Make, clips: Tensor, count: int
) -> None:
    parity = check_parity(classifier("s6"), runner, clips[:count], 1e-5)
    assert parity.agreement == 1
    assert parity.max_abs_diff <= 1e-5


@pytest.mark.parametrize("layer", ["stem.fold", "blocks.0.mixer.in_proj", "blocks.0.mixer.x_proj"])
def test_the_first_layer_that_differs_is_named(
    runner: OnnxClassifier, classifier: Make, clips: Tensor, layer: str
) -> None:
    model = classifier("s6")
    with torch.no_grad():
        model.backbone.get_parameter(f"{layer}.weight").mul_(1.5)
    with pytest.raises(ParityError, match=rf"{layer} \(by"):
        check_parity(model, runner, clips, 1e-4)


def test_not_a_number_is_no_parity(runner: OnnxClassifier, classifier: Make, clips: Tensor) -> None:
    broken = clips.clone()
    broken[2] = float("nan")
    with pytest.raises(ParityError, match="NaN"):
        check_parity(classifier("s6"), runner, broken, 1e-4)


def test_other_features_are_refused(runner: OnnxClassifier, classifier: Make) -> None:
    with pytest.raises((ExportError, RuntimeError)):
        check_parity(classifier("s6"), runner, torch.zeros(1, 1, 16, 17), 1e-4)


def test_random_clips_are_the_same_and_leave_the_seed_alone(classifier: Make) -> None:
    model = classifier("s6")
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    first, second = random_clips(model), random_clips(model)
    assert torch.equal(first, second)
    assert torch.equal(torch.rand(3), expected)
    assert first.mean() == pytest.approx(-4, abs=0.2)
    assert first.std() == pytest.approx(2.5, abs=0.2)
