"""One token at a time equals the whole clip."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from aum_edge.complexity.sizes import streaming_state
from aum_edge.compression.quantization.calibration import Calibration
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.errors import ExportError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.fold import fold_batch_norm
from aum_edge.models.streaming import StreamingStudent
from tests.small_run import student


def causal(**fields: Any) -> AudioClassifier:
    model = student(bidirectional=False, d_conv=4, **fields)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def stepped(model: AudioClassifier, features: Tensor) -> list[Tensor]:
    """Logits after each token of (B, 1, n_mels, T)."""
    steps = StreamingStudent(model).eval()
    state = list(steps.initial_state(len(features)).values())
    taken = steps.frames
    padded = torch.nn.functional.pad(features, (taken - 1, 0), value=7.0)
    logits = []
    for start in range(0, padded.shape[3] - taken + 1, taken):
        out, *state = steps(padded[..., start : start + taken], *state)
        logits.append(out)
    return logits


@pytest.mark.parametrize("frames", [1, 4, 5, 33, 34, 36, 200])
@pytest.mark.parametrize("mixer", ["ssd", "s6"])
@torch.no_grad()
def test_steps_equal_the_whole_clip_of_any_length(mixer: str, frames: int) -> None:
    model = causal(mixer=mixer)
    x = torch.randn(2, 1, model.frontend.n_mels, frames) * 3 - 2
    logits = stepped(model, x)
    assert len(logits) == (frames - 1) // 4 + 1
    torch.testing.assert_close(logits[-1], model(x), atol=2e-5, rtol=1e-4)
    early = 4 * (len(logits) // 2) + 1
    if early < frames:
        torch.testing.assert_close(
            logits[len(logits) // 2], model(x[..., :early]), atol=2e-5, rtol=1e-4
        )


@pytest.mark.parametrize(
    "fields",
    [
        {"time_stride": 2},
        {"time_stride": 1},
        {"stem": "patch"},
        {"stem": "patch", "time_stride": 2},
        {"pooling": "max"},
        {"pooling": "mean-max"},
        {"pooling": "last"},
        {"norm": "layer"},
        {"mixer": "none"},
        {"d_model": 12, "width": 16, "inner": (16, 32)},
    ],
    ids=str,
)
@torch.no_grad()
def test_every_causal_student_streams(fields: dict[str, Any]) -> None:
    model = causal(**fields)
    x = torch.randn(2, 1, model.frontend.n_mels, 21) * 3 - 2
    stride = model.backbone.config.time_stride
    logits = stepped(model, x)
    assert len(logits) == 20 // stride + 1
    for index in (0, 1, len(logits) - 1):
        heard = x[..., : index * stride + 1]
        torch.testing.assert_close(logits[index], model(heard), atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_folded_and_int8_students_stream() -> None:
    model = causal()
    x = torch.randn(1, 1, model.frontend.n_mels, 33)
    for deployed in (fold_batch_norm(model), quantize(model, QuantizeConfig())):
        torch.testing.assert_close(stepped(deployed, x)[-1], deployed(x), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("mixer", ["ssd", "s6"])
def test_the_reported_state_is_what_it_keeps(mixer: str) -> None:
    model = causal(mixer=mixer)
    kept = sum(t.numel() for t in StreamingStudent(model).initial_state().values())
    assert streaming_state(model.backbone) == kept


def test_what_needs_the_whole_clip_is_refused() -> None:
    with pytest.raises(ExportError, match="both directions needs the whole clip"):
        StreamingStudent(student())
    with pytest.raises(ExportError, match="several tokens a step"):
        StreamingStudent(student(bidirectional=False, frequency_groups=2))


@torch.no_grad()
def test_rounded_inputs_are_rounded_in_steps_too() -> None:
    model = causal(mixer="s6")
    clips = Calibration(torch.randn(8, 1, model.frontend.n_mels, 33) * 3 - 2)
    small = quantize(model, QuantizeConfig(activations="uint8"), clips)
    x = torch.randn(2, 1, model.frontend.n_mels, 33) * 3 - 2
    torch.testing.assert_close(stepped(small, x)[-1], small(x), atol=2e-3, rtol=1e-3)
    assert (stepped(model, x)[-1] - small(x)).abs().max() > 4e-3
