from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from aum_edge.data.datamodule import AudioData
from aum_edge.errors import DataError, RecipeError
from aum_edge.training import task
from aum_edge.training.batch import BatchTransform
from aum_edge.training.config import BatchConfig, FreezeConfig, OptimizerConfig, ScheduleConfig
from aum_edge.training.distillation.config import DistillConfig
from aum_edge.training.distillation.setup import Distillation
from aum_edge.training.fit import fit
from aum_edge.training.losses import distillation_loss
from aum_edge.training.metrics.classification import evaluate
from aum_edge.training.task import ClassificationTask
from tests.small_run import student, teacher
from tests.training.fine_tuning import PLAIN, settings, weights


@pytest.fixture
def several(data) -> AudioData:
    """The tones with two labels on some: every low tone is a mid tone as well."""
    made = data.derive(batch_size=12)
    for split, arrays in made.arrays.items():
        targets = np.eye(3, dtype=np.float32)[arrays.labels]
        targets[arrays.labels == 1, 2] = 1
        made.arrays[split] = replace(arrays, targets=targets)
    return made


@pytest.fixture
def seen(monkeypatch) -> list[tuple[int, torch.Tensor]]:
    """Epoch and rows of every training step."""
    steps: list[tuple[int, torch.Tensor]] = []
    step = ClassificationTask.training_step

    def watched(self, batch, batch_idx):
        steps.append((self.current_epoch, batch["index"]))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ClassificationTask, "training_step", watched)
    return steps


def test_several_labels_are_learnt_and_scored_by_rank(several, tmp_path) -> None:
    config = settings(epochs=10, lr=1e-2, loss="bce", monitor="map")
    result = fit(student(), several, config, tmp_path)
    columns = {"epoch", "train_loss", "val_loss", "val_map", "val_mean_auc", "val_d_prime", "lr"}
    assert set(result.history[0]) == columns
    scores = evaluate(result.model, several.arrays["test"], several.labels)
    assert scores.map is not None
    assert scores.map > 0.9
    assert scores.accuracy is None


def test_several_labels_refuse_what_needs_one(several, tmp_path) -> None:
    with pytest.raises(RecipeError, match="give `loss: bce`"):
        fit(student(), several, settings(monitor="map"), tmp_path)
    with pytest.raises(RecipeError, match=r"`monitor: accuracy`.*map, mean_auc, d_prime, loss"):
        fit(student(), several, settings(loss="bce"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_bce_learns_one_label_a_clip(data, tmp_path) -> None:
    config = settings(epochs=12, lr=1e-2, loss="bce")
    result = fit(student(), data, config, tmp_path)
    scores = evaluate(result.model, data.arrays["test"], data.labels)
    assert scores.accuracy is not None
    assert scores.accuracy > 0.8
    # Three independent yes and no start at about log 2, one of three classes at log 3.
    assert result.history[0]["train_loss"] < 0.75


def test_bce_follows_a_teacher_of_several_labels(several, tmp_path) -> None:
    targets = torch.from_numpy(several.arrays["train"].targets)
    logits = 12 * (1 - targets) - 6
    setup = Distillation(config=DistillConfig(kd_lambda=1.0), logits=logits)
    config = settings(epochs=8, lr=1e-2, loss="bce", monitor="loss")
    result = fit(student(), several, config, tmp_path, distillation=setup)
    # The teacher says the opposite of the labels, so the more is learnt the worse the order.
    assert result.history[-1]["val_map"] < 0.5


@pytest.mark.parametrize("monitor", ["macro_accuracy", "precision", "f1", "map", "d_prime", "loss"])
def test_the_best_epoch_is_that_of_the_monitored_number(data, tmp_path, monitor: str) -> None:
    result = fit(student(), data, settings(epochs=3, lr=2e-2, monitor=monitor), tmp_path)
    values = [row[f"val_{monitor}"] for row in result.history]
    best = min(values) if monitor == "loss" else max(values)
    assert values[result.best_epoch - 1] == best


def test_a_number_that_the_validation_split_lacks_is_named(data, tmp_path) -> None:
    one = data.derive(batch_size=12)
    val = one.arrays["val"]
    rows = np.flatnonzero(val.labels == 1)
    one.arrays["val"] = replace(
        val,
        features=val.features[rows],
        labels=val.labels[rows],
        clips=tuple(val.clips[row] for row in rows),
    )
    with pytest.raises(RecipeError, match="`monitor: mean_auc` does not exist") as caught:
        fit(student(), one, settings(monitor="mean_auc"), tmp_path)
    assert "accuracy" in str(caught.value)


def test_the_head_alone_learns_when_the_rest_is_frozen(data, tmp_path, caplog) -> None:
    model, fresh = student(), student()
    with caplog.at_level(logging.INFO):
        fit(model, data, settings(freeze=FreezeConfig(trains="head")), tmp_path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, fresh.state_dict()[name]) != (".head." in name), name
    total = sum(p.numel() for p in model.parameters())
    assert f"51 of {total:,} parameters train" in caplog.text
    assert all(p.requires_grad for p in model.parameters())


def test_frozen_layers_thaw_after_their_epochs_also_in_a_resumed_run(data, tmp_path) -> None:
    freeze = FreezeConfig(trains="head", epochs=1)
    config = settings(epochs=2, monitor="loss", freeze=freeze)
    whole = fit(teacher(), data, config, tmp_path / "whole")
    history = [torch.load(tmp_path / "whole" / "last.ckpt", weights_only=False)["state_dict"]]
    name = "model.backbone.layers.0.mixer.in_proj.weight"
    assert not torch.equal(history[0][name], teacher().backbone.layers[0].mixer.in_proj.weight)

    step = ClassificationTask.training_step

    def killed(self, batch, batch_idx):
        if self.current_epoch == 1:
            raise RuntimeError("killed")
        return step(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClassificationTask, "training_step", killed)
        with pytest.raises(RuntimeError, match="killed"):
            fit(teacher(), data, config, tmp_path / "parts")
    frozen = torch.load(tmp_path / "parts" / "last.ckpt", weights_only=False)["state_dict"]
    assert torch.equal(frozen[name], teacher().backbone.layers[0].mixer.in_proj.weight)
    resumed = fit(teacher(), data, config, tmp_path / "parts")
    torch.testing.assert_close(weights(resumed.model), weights(whole.model), rtol=0, atol=0)


def test_accumulated_batches_equal_one_large_batch(data, tmp_path) -> None:
    large = fit(teacher(), data, settings(monitor="loss"), tmp_path / "large")
    for name, batches in (
        ("always", BatchConfig(accumulate=2)),
        ("table", BatchConfig(accumulate_by_epoch={0: 2})),
    ):
        config = settings(batch_size=6, monitor="loss", batches=batches)
        small = fit(teacher(), data, config, tmp_path / name)
        torch.testing.assert_close(weights(small.model), weights(large.model), rtol=1e-4, atol=1e-5)
        assert [row["lr"] for row in small.history] == [row["lr"] for row in large.history]


def test_batches_and_learning_rates_follow_their_tables(data, tmp_path, seen) -> None:
    config = settings(
        epochs=3,
        lr=1.0e-3,
        warmup=0.0,
        schedule=ScheduleConfig(kind="table", table={1: 0.5, 2: 0.1}),
        batches=BatchConfig(size_by_epoch={1: 18, 2: 9}),
    )
    result = fit(student(), data, config, tmp_path)
    sizes = [[len(rows) for epoch, rows in seen if epoch == wanted] for wanted in range(3)]
    assert sizes == [[12] * 3, [18] * 2, [9] * 4]
    # A row holds the rate that the next step would have: that of the next epoch.
    assert [row["lr"] for row in result.history] == pytest.approx([5e-4, 1e-4, 1e-4])


def test_balanced_batches_hold_rare_labels_as_often(data, tmp_path, seen) -> None:
    rare = data.derive(batch_size=12)
    train = rare.arrays["train"]
    kept = np.flatnonzero((train.labels != 0) | (np.arange(36) < 2))
    rare.arrays["train"] = replace(
        train,
        features=train.features[kept],
        labels=train.labels[kept],
        clips=tuple(train.clips[row] for row in kept),
    )
    config = settings(epochs=8, batches=BatchConfig(sampling="balanced"))
    fit(student(), rare, config, tmp_path)
    drawn = train.labels[kept][torch.cat([rows for _, rows in seen]).numpy()]
    shares = np.bincount(drawn, minlength=3) / len(drawn)
    assert (train.labels[kept] == 0).mean() == pytest.approx(2 / 26)
    assert shares[0] == pytest.approx(1 / 3, abs=0.1)


def test_a_weight_file_says_which_rows_are_drawn(data, tmp_path, seen) -> None:
    path = tmp_path / "weights.csv"
    path.write_text("\n".join("1" if row % 2 else "0" for row in range(36)))
    config = settings(epochs=1, batches=BatchConfig(weight_file=str(path)))
    fit(student(), data, config, tmp_path / "fit")
    rows = torch.cat([rows for _, rows in seen])
    assert len(rows) == 36
    assert (rows % 2 == 1).all()
    path.write_text("1\n2\n")
    with pytest.raises(DataError, match="2 numbers"):
        fit(student(), data, config, tmp_path / "again")


def test_waveforms_are_mixed_with_their_labels(data, tmp_path, monkeypatch) -> None:
    made = []
    inputs = BatchTransform.__call__

    def watched(self, *args):
        made.append(inputs(self, *args))
        return made[-1]

    monkeypatch.setattr(BatchTransform, "__call__", watched)
    augment = replace(PLAIN, waveform_mixup_p=1.0)
    fit(student(), data, settings(epochs=1, augment=augment, loss="bce"), tmp_path)
    targets = torch.cat([heard.targets for heard in made])
    torch.testing.assert_close(targets.sum(1), torch.ones(36))
    assert ((targets > 0) & (targets < 1)).any()
    assert all(len(heard.mixes) == 2 for heard in made)


def test_a_teachers_answers_are_mixed_as_the_labels_are(data, tmp_path, monkeypatch) -> None:
    pairs = []

    def watched(logits, targets, soft, *rest):
        pairs.append((targets, soft))
        return distillation_loss(logits, targets, soft, *rest)

    monkeypatch.setattr(task, "distillation_loss", watched)
    truth = torch.eye(3)[torch.from_numpy(data.arrays["train"].labels)]
    sure = Distillation(config=DistillConfig(temperature=1.0), logits=50 * truth)
    for name in ("mixup_p", "waveform_mixup_p"):
        config = settings(epochs=1, augment=replace(PLAIN, **{name: 1.0}))
        fit(student(), data, config, tmp_path / name, distillation=sure)
        targets, soft = (torch.cat(rows) for rows in zip(*pairs, strict=True))
        assert ((targets > 0.01) & (targets < 0.99)).any()
        torch.testing.assert_close(soft, targets)
        pairs.clear()


def test_optimizer_settings_change_what_is_learnt(data, tmp_path) -> None:
    choices = {
        "plain": OptimizerConfig(),
        "adam": OptimizerConfig(name="adam"),
        "betas": OptimizerConfig(betas=(0.5, 0.9)),
        "head": OptimizerConfig(head_lr_factor=3.0),
        "decay": OptimizerConfig(layer_decay=0.5),
    }
    ends = {}
    for name, optimizer in choices.items():
        config = settings(epochs=1, weight_decay=0.1, optimizer=optimizer)
        ends[name] = weights(fit(student(), data, config, tmp_path / name).model)
    for name in set(choices) - {"plain"}:
        assert not torch.equal(ends[name], ends["plain"]), name


def test_a_resumed_run_repeats_tables_and_balanced_draws(data, tmp_path) -> None:
    batches = BatchConfig(
        size_by_epoch={1: 6}, accumulate_by_epoch={1: 2}, sampling="balanced", accumulate=1
    )
    schedule = ScheduleConfig(kind="step", start=1, factor=0.3, warmup_steps=2)
    config = settings(epochs=3, batches=batches, schedule=schedule)
    whole = fit(student(), data, config, tmp_path / "whole", seed=3)

    step = ClassificationTask.training_step

    def killed(self, batch, batch_idx):
        if self.current_epoch == 2 and batch_idx == 3:
            raise RuntimeError("killed")
        return step(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClassificationTask, "training_step", killed)
        with pytest.raises(RuntimeError, match="killed"):
            fit(student(), data, config, tmp_path / "parts", seed=3)
    resumed = fit(student(), data, config, tmp_path / "parts", seed=3)
    torch.testing.assert_close(weights(resumed.model), weights(whole.model), rtol=0, atol=0)
    assert resumed.history == whole.history


@pytest.mark.parametrize("loss", ["bce", "cross-entropy"])
def test_label_smoothing_changes_what_is_learnt(data, tmp_path, loss: str) -> None:
    ends = [
        weights(
            fit(
                student(),
                data,
                settings(epochs=1, loss=loss, label_smoothing=amount),
                tmp_path / f"{amount}",
            ).model
        )
        for amount in (0.0, 0.2)
    ]
    assert not torch.equal(*ends)
