from __future__ import annotations

import csv
import math

import pytest
import torch

from aum_edge.data.config import DataConfig
from aum_edge.data.subset import UnlabelledAudio
from aum_edge.errors import RecipeError
from aum_edge.models.architectures.masked_patch import MaskedPatchConfig, MaskedPatchModel
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.pretraining.config import PretrainConfig
from aum_edge.training.pretraining.fit import pretrain
from aum_edge.training.pretraining.task import MaskedPatchTask, PretrainSchedule
from tests.small_run import FRONTEND, tones

FAST = {"batch_size": 12, "lr": 5e-3, "masked_patches": 8}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> UnlabelledAudio:
    root = tones(tmp_path_factory.mktemp("tones"))
    config = DataConfig.of("folder", root)
    data = UnlabelledAudio(
        config, FRONTEND, batch_size=12, cache_dir=tmp_path_factory.mktemp("cache")
    )
    data.setup()
    return data


def model(data: UnlabelledAudio, **values) -> AudioClassifier:
    torch.manual_seed(0)
    sizes = {"d_model": 16, "depth": 2, "d_state": 4, "direction": "bi-bi", "drop_path": 0.1}
    config = MaskedPatchConfig(
        n_mels=16, n_frames=33, patch_size=(4, 4), pooling="mean", **sizes | values
    )
    return AudioClassifier(
        MaskedPatchModel(config),
        frontend=FRONTEND,
        normalization=data.normalization,
        labels=(),
    )


def weights(model) -> torch.Tensor:
    return torch.cat([tensor.flatten().float() for tensor in model.state_dict().values()])


def test_pretraining_learns_both_objectives(data, tmp_path) -> None:
    result = pretrain(model(data), data, PretrainConfig(epochs=30, **FAST), tmp_path)
    first, last = result.history[0], result.history[-1]
    assert last["val_accuracy"] > 2 / 8
    assert last["val_nce"] < 0.9 * math.log(8)
    assert last["val_mse"] < 0.6 * first["val_mse"]
    assert result.epoch == min(result.history, key=lambda row: row["val_loss"])["epoch"]


@pytest.mark.parametrize(
    "values",
    [
        {"masks": "unbiased", "passes": "one", "roll_seconds": 0.2},
        {"masks": "published", "passes": "two", "schedule": "plateau", "plateau_patience": 1},
    ],
    ids=["ours", "published"],
)
def test_resumed_after_a_kill_equals_an_uninterrupted_run(
    data, tmp_path, values, monkeypatch
) -> None:
    config = PretrainConfig(epochs=4, **FAST | values)
    whole = pretrain(model(data), data, config, tmp_path / "whole", seed=3)

    step = MaskedPatchTask.training_step

    def killed(self, batch, batch_idx):
        if self.current_epoch == 2 and batch_idx == 1:
            raise RuntimeError("killed")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(MaskedPatchTask, "training_step", killed)
    with pytest.raises(RuntimeError, match="killed"):
        pretrain(model(data), data, config, tmp_path / "parts", seed=3)
    monkeypatch.undo()
    resumed = pretrain(model(data), data, config, tmp_path / "parts", seed=3)

    torch.testing.assert_close(weights(resumed.model), weights(whole.model), rtol=0, atol=0)
    assert resumed.history == whole.history
    assert resumed.epoch == whole.epoch


def test_a_damaged_checkpoint_starts_over_with_the_same_result(data, tmp_path) -> None:
    config = PretrainConfig(epochs=2, **FAST)
    whole = pretrain(model(data), data, config, tmp_path)
    last = tmp_path / "last.ckpt"
    last.write_bytes(last.read_bytes()[:3000])
    again = pretrain(model(data), data, config, tmp_path)
    torch.testing.assert_close(weights(again.model), weights(whole.model), rtol=0, atol=0)


def test_history_csv_has_losses_and_accuracy_of_every_epoch(data, tmp_path) -> None:
    pretrain(model(data), data, PretrainConfig(epochs=2, **FAST), tmp_path)
    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row in rows:
        for split in ("train", "val"):
            total = float(row[f"{split}_nce"]) + 10 * float(row[f"{split}_mse"])
            assert float(row[f"{split}_loss"]) == pytest.approx(total, rel=1e-4)
            assert 0 <= float(row[f"{split}_accuracy"]) <= 1


def test_the_last_epoch_is_kept_when_asked_for(data, tmp_path) -> None:
    config = PretrainConfig(epochs=3, keep="last", **FAST)
    result = pretrain(model(data), data, config, tmp_path)
    stored = torch.load(tmp_path / "last.ckpt", weights_only=False)["state_dict"]
    name = "model.backbone.mask_embed"
    assert torch.equal(result.model.backbone.mask_embed, stored[name])
    assert result.epoch == 3


@pytest.mark.parametrize(
    ("objective", "idle"), [("contrastive", "gpredlayer"), ("generative", "cpredlayer")]
)
def test_one_objective_leaves_the_other_predictor_alone(data, tmp_path, objective, idle) -> None:
    before = model(data)
    fresh = [p.clone() for p in getattr(before.backbone, idle).parameters()]
    config = PretrainConfig(epochs=1, objective=objective, **FAST)
    result = pretrain(before, data, config, tmp_path)
    for old, new in zip(fresh, getattr(result.model.backbone, idle).parameters(), strict=True):
        assert torch.equal(old, new)
        assert new.requires_grad
    lacking = "val_mse" if objective == "contrastive" else "val_nce"
    assert math.isnan(result.history[0][lacking])
    assert math.isfinite(result.history[0]["val_loss"])


def test_bf16_trains_and_keeps_float32_weights(data, tmp_path) -> None:
    config = PretrainConfig(epochs=1, precision="bf16-mixed", **FAST)
    result = pretrain(model(data, layer_pairs=True), data, config, tmp_path)
    assert all(p.dtype == torch.float32 for p in result.model.parameters())
    assert math.isfinite(result.history[0]["val_loss"])


def test_too_many_masks_are_refused_before_training(data, tmp_path) -> None:
    config = PretrainConfig(**FAST | {"masked_patches": 40})
    with pytest.raises(RecipeError, match="2 to 31 of the 32 patches"):
        pretrain(model(data), data, config, tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "`pretrain.epochs` must be at least 1, got 0"),
        ({"lr": 0.0}, "`pretrain.lr` must be above 0"),
        ({"betas": (0.9, 1.0)}, "`pretrain.betas`"),
        ({"masks": "random"}, "`pretrain.masks` must be unbiased or published, got random"),
        ({"masked_patches": -1}, "`pretrain.masked_patches` must be at least 0"),
        ({"objective": "generative", "monitor": "accuracy"}, "monitor the loss"),
    ],
)
def test_a_wrong_setting_is_refused(values, message) -> None:
    with pytest.raises(RecipeError, match=message):
        PretrainConfig(**values)


def test_the_cosine_climbs_and_falls() -> None:
    rate = PretrainSchedule(PretrainConfig(final_lr=0.1), 100)
    assert rate(0) == pytest.approx(0.1)
    assert rate(10) == pytest.approx(1.0)
    assert rate(55) == pytest.approx(0.55)
    assert rate(100) == pytest.approx(0.1)


def test_plateaus_halve_as_torch_does() -> None:
    losses = [5.0, 4.0, 4.0, 4.1, 3.99999, 3.0, 3.5, 3.5, 3.5, 3.5, 3.5, 3.5, 3.5]
    ours = PretrainSchedule(PretrainConfig(schedule="plateau", warmup_steps=1), 100)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    for loss in losses:
        ours.epoch_ended(loss)
        theirs.step(loss)
        assert ours(50) == optimizer.param_groups[0]["lr"], loss
    assert ours(50) < 0.5
