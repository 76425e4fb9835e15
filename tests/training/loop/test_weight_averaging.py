from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from aum_edge.errors import CheckpointError, RecipeError
from aum_edge.training.config import FreezeConfig, TrainConfig, TrainerConfig
from aum_edge.training.fit import fit
from aum_edge.training.loop.trainer import make_trainer
from aum_edge.training.loop.weight_averaging import (
    average_checkpoints,
    batch_norms,
    best_epochs,
    checkpoint_path,
    recompute_batch_norms,
)
from aum_edge.training.metrics.classification import predict_logits
from aum_edge.training.metrics.validation import score_rows
from aum_edge.training.optim.freezing import apply_freeze
from tests.small_run import student
from tests.training.fine_tuning import settings, weights
from tests.training.killing import fit_in_two_parts
from tests.training.kinds import cnn

SOUP = {"keep": "soup", "soup_size": 2, "epochs": 4, "lr": 2e-2}


def epochs_of(folder) -> set[int]:
    return {int(path.stem.removeprefix("soup-")) for path in folder.glob("soup-*.pt")}


def test_best_epochs_are_by_the_monitor_and_of_equals_the_earlier() -> None:
    history = [
        {"epoch": n + 1, "val_accuracy": a, "val_loss": 1 - a}
        for n, a in enumerate((0.3, 0.7, 0.5, 0.7, 0.7))
    ]
    assert best_epochs(history, TrainConfig(keep="soup", soup_size=2)) == (2, 4)
    assert best_epochs(history, TrainConfig(soup_size=3, monitor="loss")) == (2, 4, 5)
    assert best_epochs(history[:1], TrainConfig(soup_size=3)) == (1,)


def test_a_soup_is_the_mean_of_its_epochs(data, tmp_path) -> None:
    model = student()
    result = fit(model, data, settings(**SOUP), tmp_path)
    best = best_epochs(result.history, settings(**SOUP))
    assert result.soup == best
    assert result.best_epoch == best[0]
    assert epochs_of(tmp_path) >= set(best)
    parts = [torch.load(checkpoint_path(tmp_path, epoch))["model"] for epoch in best]
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.data, (parts[0][name] + parts[1][name]) / 2)
    assert not torch.equal(parts[0]["backbone.head.weight"], parts[1]["backbone.head.weight"])


def test_a_soup_resumed_after_a_kill_equals_an_uninterrupted_one(data, tmp_path) -> None:
    config = settings(**SOUP, monitor="loss")
    whole = fit(student(), data, config, tmp_path / "whole", seed=3)
    resumed = fit_in_two_parts(student, data, config, tmp_path / "parts", seed=3)
    torch.testing.assert_close(weights(resumed.model), weights(whole.model), rtol=0, atol=0)
    assert resumed.soup == whole.soup
    assert resumed.history == whole.history
    # Asked for again when all is done: the same once more.
    again = fit(student(), data, config, tmp_path / "parts", seed=3)
    torch.testing.assert_close(weights(again.model), weights(whole.model), rtol=0, atol=0)


def test_weights_that_are_no_longer_among_the_best_go(data, tmp_path) -> None:
    config = settings(**SOUP | {"epochs": 6}, monitor="loss")
    result = fit(student(), data, config, tmp_path)
    before_last = set(best_epochs(result.history[:-1], config))
    assert epochs_of(tmp_path) <= before_last | {6}
    assert len(epochs_of(tmp_path)) <= 3


def test_a_soup_without_one_of_its_files_says_so(data, tmp_path) -> None:
    result = fit(student(), data, settings(**SOUP), tmp_path)
    checkpoint_path(tmp_path, result.soup[0]).unlink()
    with pytest.raises(CheckpointError, match="missing or damaged"):
        average_checkpoints(student(), tmp_path, result.soup)


def test_keep_last_gives_the_last_epochs_weights(data, tmp_path) -> None:
    config = settings(epochs=3, lr=0.3, monitor="loss", keep="last")
    result = fit(student(), data, config, tmp_path)
    last = torch.load(tmp_path / "last.ckpt", weights_only=False)["state_dict"]
    assert result.best_epoch == 3
    torch.testing.assert_close(
        result.model.backbone.head.weight.data, last["model.backbone.head.weight"], rtol=0, atol=0
    )


def test_batch_norms_of_averaged_weights_are_those_of_the_training_clips(data, tmp_path) -> None:
    for name, fields in (("soup", SOUP), ("ema", {"ema_decay": 0.9, "lr": 2e-2})):
        model = student()
        fit(model, data, settings(**fields), tmp_path / name)
        norm = batch_norms(model.backbone)[0]
        heard = first_norm_input(model, data.arrays["train"])
        # The first norm hears what no other norm has changed: its mean is exact.
        torch.testing.assert_close(
            norm.running_mean, heard.mean((0, 2, 3)), rtol=1e-3, atol=1e-3, msg=name
        )
        torch.testing.assert_close(norm.running_var, heard.var((0, 2, 3)), rtol=0.1, atol=0.01)


def first_norm_input(model, arrays) -> torch.Tensor:
    heard = []
    norm = batch_norms(model.backbone)[0]
    handle = norm.register_forward_hook(lambda _, inputs, __: heard.append(inputs[0]))
    model.eval()(torch.from_numpy(arrays.features[:]).unsqueeze(1))
    handle.remove()
    return heard[0]


def test_batch_norms_do_not_depend_on_the_order_on_disk(data) -> None:
    model = student()
    arrays = data.arrays["train"]
    one_class_after_the_other = np.argsort(arrays.labels, kind="stable")
    shuffled = replace(arrays, features=arrays.features[::-1])
    stacked = replace(arrays, features=arrays.features[one_class_after_the_other])
    made = []
    for rows in (shuffled, stacked):
        recompute_batch_norms(model, rows, 12, seed=0)
        made.append(batch_norms(model.backbone)[0].running_var.clone())
    torch.testing.assert_close(made[0], made[1], rtol=0.1, atol=1e-3)
    assert all(norm.momentum == 0.1 for norm in batch_norms(model.backbone))


def test_batch_norms_of_frozen_layers_stay(data, tmp_path) -> None:
    model = student()
    before = {name: tensor.clone() for name, tensor in model.named_buffers()}
    freeze = FreezeConfig(trains="head")
    fit(model, data, settings(**SOUP, freeze=freeze), tmp_path)
    for name, tensor in model.named_buffers():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    assert all(parameter.requires_grad for parameter in model.parameters())
    apply_freeze(model.backbone, freeze)
    assert batch_norms(model.backbone) == []


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"keep": "first"}, "`keep` must be one of best, last, soup; got 'first'"),
        ({"keep": "soup", "soup_size": 1}, "`soup_size` must be at least 2, got 1"),
        ({"keep": "soup", "ema_decay": 0.9}, "`ema_decay` 0.9 both average"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(fields, match) -> None:
    with pytest.raises(RecipeError, match=match):
        TrainConfig(**fields)


def test_a_soup_needs_whole_weights(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    config = TrainConfig(keep="soup", trainer=TrainerConfig(strategy="fsdp"))
    with pytest.raises(RecipeError, match="`keep: soup` need whole weights"):
        make_trainer(config, tmp_path, "", [])


def test_averaged_weights_are_validated_with_statistics_of_their_own(data, tmp_path) -> None:
    # With running statistics averaged along, this network answers at chance level.
    config = settings(epochs=4, lr=2e-2, ema_decay=0.9)
    result = fit(cnn(), data, config, tmp_path)
    logits = predict_logits(result.model, data.arrays["val"].features)
    truth = torch.from_numpy(data.arrays["val"].labels)
    row = result.history[result.best_epoch - 1]
    assert score_rows(logits, truth, config.loss)["loss"] == pytest.approx(
        row["val_loss"], abs=1e-5
    )
    assert row["val_accuracy"] > 0.5
