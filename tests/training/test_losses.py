from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from aum_edge.errors import RecipeError
from aum_edge.training.config import TrainConfig
from aum_edge.training.distillation.config import DistillConfig
from aum_edge.training.losses import (
    as_targets,
    distillation_loss,
    hard_loss,
    one_hot,
    smooth,
    soften,
)


def test_distillation_loss_is_cross_entropy_when_lambda_is_zero() -> None:
    logits = torch.randn(4, 3)
    targets = one_hot(torch.tensor([0, 1, 2, 1]), 3)
    config = DistillConfig(kd_lambda=0.0)
    loss = distillation_loss(logits, targets, torch.full((4, 3), 1 / 3), config)
    torch.testing.assert_close(loss, F.cross_entropy(logits, targets))


def test_distillation_loss_is_zero_when_student_equals_teacher() -> None:
    logits = torch.randn(5, 4)
    config = DistillConfig(kd_lambda=1.0, temperature=3.0)
    loss = distillation_loss(
        logits, one_hot(torch.zeros(5).long(), 4), (logits / 3).softmax(1), config
    )
    assert abs(float(loss)) < 1e-6


def test_distillation_gradient_keeps_its_size_when_the_temperature_grows() -> None:
    sizes = []
    for temperature in (4.0, 16.0):
        student = torch.tensor([[1.0, 0.0, -1.0]], requires_grad=True)
        teacher = (torch.tensor([[0.0, 1.0, 0.5]]) / temperature).softmax(1)
        config = DistillConfig(kd_lambda=1.0, temperature=temperature)
        distillation_loss(student, torch.zeros(1, 3), teacher, config).backward()
        sizes.append(float(student.grad.norm()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.25)


def test_smooth_keeps_the_sum_of_targets() -> None:
    targets = smooth(one_hot(torch.tensor([2, 0]), 5), 0.1)
    torch.testing.assert_close(targets.sum(1), torch.ones(2))
    assert float(targets.min()) > 0


def test_bce_is_the_mean_over_clips_and_classes() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
    targets = torch.tensor([[1.0, 1.0], [0.3, 0.0]])
    p = torch.sigmoid(logits)
    expected = -(targets * p.log() + (1 - targets) * (1 - p).log()).mean()
    torch.testing.assert_close(hard_loss(logits, targets, "bce"), expected)


def test_smoothing_of_yes_and_no_goes_to_a_half() -> None:
    made = smooth(torch.tensor([[1.0, 0.0, 1.0]]), 0.2, "bce")
    torch.testing.assert_close(made, torch.tensor([[0.9, 0.1, 0.9]]))


def test_targets_of_several_labels_stay_and_single_ones_become_rows() -> None:
    several = torch.tensor([[1.0, 0.0, 1.0]], dtype=torch.float64)
    assert as_targets(several, 3).dtype == torch.float32
    assert as_targets(several, 3).tolist() == [[1, 0, 1]]
    assert as_targets(torch.tensor([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_bce_distillation_is_bce_without_a_teacher_and_zero_for_a_perfect_student() -> None:
    logits, targets = torch.randn(4, 3), (torch.rand(4, 3) < 0.5).float()
    alone = DistillConfig(kd_lambda=0.0)
    made = distillation_loss(logits, targets, torch.full((4, 3), 0.5), alone, "bce")
    torch.testing.assert_close(made, hard_loss(logits, targets, "bce"))

    config = DistillConfig(kd_lambda=1.0, temperature=2.0)
    teacher = soften(logits, 2.0, "bce")
    assert abs(float(distillation_loss(logits, targets, teacher, config, "bce"))) < 1e-6
    p, q = torch.sigmoid(logits / 2), torch.sigmoid(torch.zeros(4, 3))
    divergence = (q * (q / p).log() + (1 - q) * ((1 - q) / (1 - p)).log()).mean()
    made = distillation_loss(logits, targets, q, config, "bce")
    torch.testing.assert_close(made, 4 * divergence)


def test_soften_follows_the_loss() -> None:
    logits = torch.tensor([[2.0, 0.0]])
    assert float(soften(logits, 2.0, "cross-entropy").sum()) == pytest.approx(1)
    torch.testing.assert_close(soften(logits, 2.0, "bce"), torch.sigmoid(logits / 2))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("loss", "hinge"),
        ("monitor", "luck"),
        ("epochs", 0),
        ("lr", 0.0),
        ("warmup", 1.5),
        ("batch_size", 1),
        ("ema_decay", 1.0),
    ],
)
def test_train_config_names_the_value_when_it_is_out_of_range(field: str, value: float) -> None:
    with pytest.raises(RecipeError, match=f"`{field}`.*{value}"):
        TrainConfig(**{field: value})
