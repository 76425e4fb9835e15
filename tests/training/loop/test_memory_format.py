from __future__ import annotations

import pytest
import torch

from aum_edge.errors import RecipeError
from aum_edge.training.config import TrainConfig
from aum_edge.training.fit import fit
from aum_edge.training.loop.memory_format import channels_last, fastest
from tests.small_run import student, teacher
from tests.training.fine_tuning import settings, weights
from tests.training.killing import fit_in_two_parts
from tests.training.kinds import cnn


@pytest.mark.parametrize("model", [cnn, student])
def test_another_order_in_memory_computes_the_same(model) -> None:
    # In float64, where the order of sums does not show.
    network = model().double().train()
    x = torch.randn(4, 1, 16, network.frontend.n_frames, dtype=torch.float64)
    orders, gradients = [], []
    last = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)][1]

    def watch(_, inputs, __) -> None:
        orders.append(inputs[0].is_contiguous(memory_format=torch.channels_last))

    last.register_forward_hook(watch)
    for inside in (False, True):
        network.zero_grad()
        if inside:
            with channels_last(network.backbone):
                network(x).square().sum().backward()
        else:
            network(x).square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    torch.testing.assert_close(gradients[1], gradients[0])
    assert orders == [False, True]


@pytest.mark.parametrize(("model", "reordered"), [(cnn, True), (student, False)])
@torch.no_grad()
def test_only_a_cnn_answers_sooner_in_another_order(model, reordered: bool) -> None:
    network = model().eval()
    x = torch.randn(4, 1, 16, network.frontend.n_frames)
    orders: list[bool] = []
    last = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)][1]
    last.register_forward_hook(
        lambda _, inputs, __: orders.append(
            inputs[0].is_contiguous(memory_format=torch.channels_last)
        )
    )
    with fastest(network.backbone):
        inside = network(x)
    torch.testing.assert_close(inside, network(x), rtol=1e-4, atol=1e-5)
    assert orders == [reordered, False]


def test_training_in_another_order_resumes_byte_by_byte_and_leaves_no_trace(data, tmp_path) -> None:
    config = settings(epochs=3, memory_format="channels_last")
    whole = fit(cnn(), data, config, tmp_path / "whole", seed=3)
    resumed = fit_in_two_parts(cnn, data, config, tmp_path / "parts", seed=3)
    torch.testing.assert_close(weights(resumed.model), weights(whole.model), rtol=0, atol=0)
    assert not any(module._forward_hooks for module in whole.model.modules())
    assert all(tensor.is_contiguous() for tensor in whole.model.state_dict().values())
    plain = fit(cnn(), data, settings(epochs=3), tmp_path / "plain", seed=3)
    torch.testing.assert_close(weights(plain.model), weights(whole.model), rtol=0.1, atol=0.05)


def test_networks_without_convolutions_are_refused(data, tmp_path) -> None:
    config = settings(memory_format="channels_last")
    with pytest.raises(RecipeError, match="AudioMamba has 1: give contiguous"):
        fit(teacher(), data, config, tmp_path)
    with pytest.raises(RecipeError, match="`memory_format` must be one of contiguous"):
        TrainConfig(memory_format="nhwc")
