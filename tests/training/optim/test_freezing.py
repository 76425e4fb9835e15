from __future__ import annotations

import pytest
import torch
from torch import nn

from aum_edge.errors import RecipeError
from aum_edge.models.config import CPMobileConfig
from aum_edge.models.presets import preset
from aum_edge.models.registry import build
from aum_edge.training.config import FreezeConfig
from aum_edge.training.optim.freezing import apply_freeze, count_trained, parts_of, settle_frozen
from tests.small_run import student, teacher


def trained_names(network: nn.Module, **settings) -> set[str]:
    apply_freeze(network, FreezeConfig(**settings))
    return {name for name, p in network.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(("make", "blocks"), [(teacher, "layers"), (student, "blocks")])
def test_head_alone_and_last_blocks(make, blocks: str) -> None:
    network = make().backbone
    everything = {name for name, _ in network.named_parameters()}
    assert trained_names(network) == everything
    assert trained_names(network, trains="head") == {"head.weight", "head.bias"}
    last = trained_names(network, trains="last-blocks", last_blocks=1)
    expected = {n for n in everything if n.startswith((f"{blocks}.1.", "norm_f.", "head."))}
    assert last == expected
    assert any(name.startswith(f"{blocks}.1.") for name in last)


def test_last_blocks_of_the_cnn_are_told_across_its_stages() -> None:
    network = build(CPMobileConfig(n_classes=3, n_mels=16, n_frames=33, base_channels=8))
    assert len(parts_of(network).blocks) == 6
    names = trained_names(network, trains="last-blocks", last_blocks=2)
    assert {name.split(".")[0] for name in names} == {"stages", "feed_forward"}
    stages = {".".join(name.split(".")[:3]) for name in names if name.startswith("stages")}
    assert stages == {"stages.s2.b5", "stages.s3.b6"}


def test_an_ast_has_blocks_a_final_norm_and_a_head() -> None:
    network = build(preset("ast-mini", n_classes=3, n_mels=16, n_frames=33))
    names = trained_names(network, trains="last-blocks", last_blocks=2)
    tops = {".".join(name.split(".")[:2]) for name in names}
    assert {"layers.2", "layers.3", "layernorm.weight"} <= tops
    assert {name.split(".")[0] for name in names} == {"layers", "layernorm", "head"}


def test_frozen_layers_keep_their_running_statistics() -> None:
    model = student().train()
    apply_freeze(model.backbone, FreezeConfig(trains="head"))
    settle_frozen(model.backbone)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model(torch.randn(4, 1, 16, model.frontend.n_frames))
    assert any(name.endswith("running_mean") for name in before)
    for name, buffer in model.named_buffers():
        torch.testing.assert_close(buffer, before[name], rtol=0, atol=0)
    assert model.backbone.head.training
    assert model.backbone.dropout.training


def test_everything_trains_after_the_frozen_epochs() -> None:
    network = teacher().backbone
    config = FreezeConfig(trains="head", epochs=2)
    apply_freeze(network, config, 1)
    trained, everything = count_trained(network)
    assert trained == 16 * 3 + 3 < everything
    apply_freeze(network, config, 2)
    assert count_trained(network) == (everything, everything)


def test_more_blocks_than_there_are_and_unknown_networks_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"at most 2.*AudioMamba; got 9"):
        apply_freeze(teacher().backbone, FreezeConfig(trains="last-blocks", last_blocks=9))
    with pytest.raises(RecipeError, match=r"Linear declares no blocks and head"):
        apply_freeze(nn.Linear(2, 2), FreezeConfig(trains="head"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trains": "last-blocks"}, "last_blocks"),
        ({"trains": "head", "last_blocks": 2}, "last_blocks"),
        ({"epochs": 3}, "freezes nothing"),
        ({"trains": "tail"}, "head"),
        ({"trains": "head", "epochs": -1}, "-1"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        FreezeConfig(**settings)
