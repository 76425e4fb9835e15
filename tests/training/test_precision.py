"""What needs a device that is not there, and half precision on a CPU."""

from __future__ import annotations

import pytest
import torch

from aum_edge.errors import RecipeError
from aum_edge.training.config import FreezeConfig, TrainerConfig
from aum_edge.training.fit import fit
from tests.small_run import student, teacher
from tests.training.fine_tuning import settings, weights


def test_bf16_runs_on_a_cpu_and_fp16_is_refused_in_one_line(data, tmp_path) -> None:
    half = fit(teacher(), data, settings(epochs=4, lr=1e-2, precision="bf16-mixed"), tmp_path / "b")
    whole = fit(teacher(), data, settings(epochs=4, lr=1e-2), tmp_path / "w")
    assert half.history[-1]["val_loss"] == pytest.approx(whole.history[-1]["val_loss"], rel=0.2)
    assert not torch.equal(weights(half.model), weights(whole.model))
    assert weights(half.model).dtype == torch.float32
    if torch.cuda.is_available():
        pytest.skip("16-mixed works where there is a GPU")
    with pytest.raises(RecipeError, match="bf16-mixed or 32-true") as caught:
        fit(teacher(), data, settings(precision="16-mixed"), tmp_path / "h")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("trainer", "message"),
    [({"accelerator": "gpu"}, "give cpu"), ({"strategy": "fsdp"}, "needs GPUs")],
)
def test_what_needs_a_gpu_says_so(data, tmp_path, trainer, message: str) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    config = settings(trainer=TrainerConfig(**trainer))
    with pytest.raises(RecipeError, match=message):
        fit(student(), data, config, tmp_path)


def test_thawing_is_refused_on_several_devices(data, tmp_path) -> None:
    freeze = FreezeConfig(trains="head", epochs=1)
    config = settings(freeze=freeze, trainer=TrainerConfig(accelerator="cpu", devices=2))
    with pytest.raises(RecipeError, match="one device alone"):
        fit(student(), data, config, tmp_path)
