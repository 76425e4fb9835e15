"""The student: tokens, causality, directions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from aum_edge.models.architectures.mamba_student import MambaStudent
from aum_edge.models.student_config import MambaStudentConfig

SMALL = MambaStudentConfig(
    n_classes=3,
    n_mels=16,
    n_frames=24,
    d_model=8,
    depth=2,
    d_state=4,
    head_dim=4,
    stem_channels=(2, 4),
)


def student(**values: Any) -> MambaStudent:
    torch.manual_seed(2)
    return MambaStudent(replace(SMALL, **values)).eval()


def tokens_of(network: MambaStudent, x: Tensor) -> Tensor:
    tokens = network.stem(x)
    for block in network.blocks:
        tokens = block(tokens)
    return tokens


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(
    ("n_mels", "n_frames", "length"), [(16, 24, 6), (256, 65, 17), (23, 51, 13), (8, 1, 1)]
)
def test_a_quarter_of_the_frames_become_tokens(
    n_mels: int, n_frames: int, length: int, bidirectional: bool
) -> None:
    network = student(n_mels=n_mels, n_frames=n_frames, bidirectional=bidirectional)
    x = torch.randn(2, 1, n_mels, n_frames)
    assert network.stem(x).shape == (2, length, 8)
    assert network(x).shape == (2, 3)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("stem", ["conv", "patch"])
@pytest.mark.parametrize(("stride", "steps"), [(1, 21), (2, 11), (4, 6)])
def test_tokens_follow_stride_and_groups(
    stride: int, steps: int, stem: Any, bidirectional: bool
) -> None:
    fields = {"time_stride": stride, "stem": stem, "bidirectional": bidirectional}
    x = torch.randn(2, 1, 16, 21)
    assert student(**fields).stem(x).shape == (2, steps, 8)
    grouped = student(**fields, frequency_groups=2)
    assert grouped.stem(x).shape == (2, 2 * steps, 8)
    higher = x.clone()
    higher[:, :, 12:] += 1
    moved = (grouped.stem(x) - grouped.stem(higher)).abs().amax(dim=(0, 2)) > 0
    assert moved[1::2].all()
    if stem == "patch":
        assert not moved[::2].any()


def test_pooling_is_what_its_name_says() -> None:
    tokens = torch.randn(2, 5, 8)
    mean, top = tokens.mean(dim=1), tokens.amax(dim=1)
    expected = {"mean": mean, "max": top, "mean-max": mean + top, "last": tokens[:, -1]}
    for name, value in expected.items():
        torch.testing.assert_close(student(pooling=name).pool(tokens), value)


@pytest.mark.parametrize(
    "fields", [{}, {"stem": "patch"}, {"time_stride": 1}, {"frequency_groups": 2}], ids=str
)
@pytest.mark.parametrize("mixer", ["none", "ssd"])
def test_every_causal_stem_is_causal(mixer: Any, fields: dict[str, Any]) -> None:
    network = student(mixer=mixer, bidirectional=False, **fields)
    stride, groups = network.config.time_stride, network.config.frequency_groups
    x = torch.randn(1, 1, 16, 24)
    changed = x.clone()
    changed[..., 13:] += torch.randn(1, 1, 16, 11)
    before, after = tokens_of(network, x), tokens_of(network, changed)
    same = (12 // stride + 1) * groups
    assert torch.equal(before[:, :same], after[:, :same])
    assert not torch.allclose(before[:, same:], after[:, same:])


@pytest.mark.parametrize("mixer", ["s6", "ssd"])
def test_one_direction_is_causal_from_end_to_end(mixer: Any) -> None:
    network = student(mixer=mixer, bidirectional=False)
    x = torch.randn(1, 1, 16, 24)
    changed = x.clone()
    changed[..., 13:] = torch.randn(1, 1, 16, 11)
    before, after = tokens_of(network, x), tokens_of(network, changed)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


@pytest.mark.parametrize("mixer", ["s6", "ssd"])
def test_two_directions_see_the_whole_clip(mixer: Any) -> None:
    network = student(mixer=mixer, d_conv=1)
    x = torch.randn(1, 1, 16, 24)
    for where in (slice(0, 2), slice(22, 24)):
        changed = x.clone()
        changed[..., where] += 3.0
        difference = (tokens_of(network, x) - tokens_of(network, changed)).abs().amax(dim=2)
        assert (difference > 0).all()


def test_the_last_stem_convolution_spans_all_frequencies() -> None:
    network = student(n_mels=128)
    assert network.stem.fold.weight.shape == (8, 4, 16, 1)


@pytest.mark.parametrize("mixer", ["s6", "ssd"])
def test_every_parameter_gets_a_gradient(mixer: Any) -> None:
    network = student(mixer=mixer).train()
    network(torch.randn(4, 1, 16, 24)).square().sum().backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


@pytest.mark.parametrize("mixer", ["s6", "ssd"])
def test_clips_do_not_mix_in_eval_mode(mixer: Any) -> None:
    network = student(mixer=mixer)
    x = torch.randn(3, 1, 16, 24)
    torch.testing.assert_close(network(x)[1:2], network(x[1:2]))


def test_dropout_acts_in_training_only() -> None:
    x = torch.randn(4, 1, 16, 24)
    network = student(dropout=0.5)
    torch.testing.assert_close(network(x), student()(x))
    assert network.dropout.p == 0.5


def test_a_pruned_block_keeps_the_eps_of_its_nominal_width() -> None:
    whole, pruned = student(), student(inner=(16, 8))
    assert pruned.blocks[1].mixer.norm.eps == pytest.approx(2 * whole.blocks[1].mixer.norm.eps)
    assert pruned.blocks[0].mixer.norm.eps == whole.blocks[0].mixer.norm.eps
