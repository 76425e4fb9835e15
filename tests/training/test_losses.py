from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from aum_edge.errors import RecipeError
from aum_edge.training.config import DistillConfig, TrainConfig
from aum_edge.training.losses import distillation_loss, mix_rows, one_hot, smooth


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


def test_mix_rows_mixes_with_the_partner() -> None:
    rows = torch.eye(2)
    mixed = mix_rows(rows, torch.tensor([1, 0]), torch.tensor([0.25, 1.0]))
    torch.testing.assert_close(mixed, torch.tensor([[0.25, 0.75], [0.0, 1.0]]))


def test_smooth_keeps_the_sum_of_targets() -> None:
    targets = smooth(one_hot(torch.tensor([2, 0]), 5), 0.1)
    torch.testing.assert_close(targets.sum(1), torch.ones(2))
    assert float(targets.min()) > 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", 0), ("lr", 0.0), ("warmup", 1.5), ("batch_size", 1), ("ema_decay", 1.0)],
)
def test_train_config_names_the_value_when_it_is_out_of_range(field: str, value: float) -> None:
    with pytest.raises(RecipeError, match=f"`{field}`.*{value}"):
        TrainConfig(**{field: value})
