from __future__ import annotations

import csv
import errno
from pathlib import Path

import pytest
import torch

from aum_edge.audio.augment.config import AugmentConfig
from aum_edge.data.config import DataConfig
from aum_edge.data.datamodule import AudioData
from aum_edge.training.config import TrainConfig
from aum_edge.training.distillation.config import DistillConfig
from aum_edge.training.distillation.setup import Distillation
from aum_edge.training.fit import fit
from aum_edge.training.loop.checkpoint_io import AtomicCheckpointIO
from aum_edge.training.metrics.classification import evaluate
from aum_edge.training.task import ClassificationTask
from tests.small_run import FRONTEND, student, tones

AUGMENT = AugmentConfig(mixup_p=0.5, freq_mask=3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AudioData:
    root = tones(tmp_path_factory.mktemp("tones"))
    config = DataConfig.of("folder", root)
    cache = tmp_path_factory.mktemp("cache")
    data = AudioData(config, FRONTEND, batch_size=12, cache_dir=cache)
    data.setup()
    return data


def weights(model) -> torch.Tensor:
    return torch.cat([tensor.flatten().float() for tensor in model.state_dict().values()])


def test_fit_learns_the_tones(data, tmp_path) -> None:
    config = TrainConfig(epochs=12, batch_size=12, lr=1e-2, augment=AugmentConfig(mixstyle_p=0.0))
    result = fit(student(), data, config, tmp_path)
    assert evaluate(result.model, data.arrays["test"], data.labels).accuracy > 0.8
    assert len(result.history) == 12
    assert 1 <= result.best_epoch <= 12


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_fit_resumed_after_a_kill_equals_an_uninterrupted_run(
    data, tmp_path, ema, monkeypatch
) -> None:
    config = TrainConfig(epochs=4, batch_size=12, ema_decay=ema, augment=AUGMENT)
    whole = fit(student(), data, config, tmp_path / "whole", seed=3)

    step = ClassificationTask.training_step

    def killed(self, batch, batch_idx):
        if self.current_epoch == 2 and batch_idx == 1:
            raise RuntimeError("killed")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ClassificationTask, "training_step", killed)
    with pytest.raises(RuntimeError, match="killed"):
        fit(student(), data, config, tmp_path / "parts", seed=3)
    monkeypatch.undo()
    resumed = fit(student(), data, config, tmp_path / "parts", seed=3)

    torch.testing.assert_close(weights(resumed.model), weights(whole.model), rtol=0, atol=0)
    assert resumed.history == whole.history
    assert resumed.best_epoch == whole.best_epoch


def test_a_damaged_checkpoint_starts_over_with_the_same_result(data, tmp_path) -> None:
    config = TrainConfig(epochs=2, batch_size=12, augment=AUGMENT)
    whole = fit(student(), data, config, tmp_path / "whole", seed=3)
    parts = tmp_path / "parts"
    fit(student(), data, TrainConfig(epochs=1, batch_size=12, augment=AUGMENT), parts, seed=3)
    last = parts / "last.ckpt"
    last.write_bytes(last.read_bytes()[:5000])
    again = fit(student(), data, config, parts, seed=3)
    torch.testing.assert_close(weights(again.model), weights(whole.model), rtol=0, atol=0)


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"state_dict": {"a": torch.ones(3)}}, path)
    before = path.read_bytes()

    def full(self, content):
        self.write_text("half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        AtomicCheckpointIO().save_checkpoint({"state_dict": {"a": torch.zeros(3)}}, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_fit_depends_on_the_seed(data, tmp_path) -> None:
    config = TrainConfig(epochs=1, batch_size=12, augment=AUGMENT)
    first = fit(student(), data, config, tmp_path / "a", seed=0)
    second = fit(student(), data, config, tmp_path / "b", seed=1)
    assert not torch.equal(weights(first.model), weights(second.model))


def test_fit_follows_the_teacher_when_labels_do_not_count(data, tmp_path) -> None:
    # A teacher that calls every clip "low" must win over the labels when kd_lambda is 1.
    n = len(data.arrays["train"].labels)
    logits = torch.zeros(n, 3)
    logits[:, 1] = 8.0
    config = TrainConfig(epochs=6, batch_size=12, lr=1e-2, monitor="loss", augment=AUGMENT)
    distillation = Distillation(config=DistillConfig(kd_lambda=1.0, temperature=1.0), logits=logits)
    model = student()
    fit(model, data, config, tmp_path, distillation=distillation)
    last = torch.load(tmp_path / "last.ckpt", weights_only=False)["state_dict"]
    model.load_state_dict({key.removeprefix("model."): value for key, value in last.items()})
    confusion = evaluate(model.eval(), data.arrays["test"], data.labels).confusion
    assert sum(row[1] for row in confusion) == 12


def test_fit_writes_history_csv(data, tmp_path) -> None:
    result = fit(student(), data, TrainConfig(epochs=2, batch_size=12), tmp_path)
    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    assert [int(row["epoch"]) for row in rows] == [1, 2]
    assert float(rows[1]["val_loss"]) == pytest.approx(float(result.history[1]["val_loss"]))


def test_fit_stops_early_when_validation_stalls(data, tmp_path) -> None:
    config = TrainConfig(epochs=30, batch_size=12, lr=1e-9, patience=2)
    assert len(fit(student(), data, config, tmp_path).history) == 3


def test_last_ckpt_is_the_last_epoch_even_when_none_was_better_than_the_first(
    data, tmp_path, monkeypatch
) -> None:
    config = TrainConfig(epochs=3, batch_size=12, lr=1e-9)
    whole = fit(student(), data, config, tmp_path)
    assert whole.best_epoch == 1
    assert torch.load(tmp_path / "last.ckpt", weights_only=False)["epoch"] == 2

    # A finished run asked for again trains nothing.
    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(ClassificationTask, "training_step", refuse)
    again = fit(student(), data, config, tmp_path)
    assert again.history == whole.history
    torch.testing.assert_close(weights(again.model), weights(whole.model), rtol=0, atol=0)
