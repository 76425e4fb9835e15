"""CP-Mobile: the figures that the DCASE baseline publishes."""

from __future__ import annotations

import pytest
import torch

from aum_edge.models.architectures.cp_mobile import CPMobile, round_to_eight
from aum_edge.models.config import CPMobileConfig


def test_parameters_of_the_baseline() -> None:
    network = CPMobile(CPMobileConfig(n_classes=10))
    assert sum(p.numel() for p in network.parameters()) == 61_148


def test_resolution_shrinks_as_in_the_paper() -> None:
    network = CPMobile(CPMobileConfig(n_classes=10)).eval()
    assert network.in_c(torch.zeros(1, 1, 256, 65)).shape == (1, 32, 64, 17)
    assert network.stages(torch.zeros(1, 32, 64, 17)).shape == (1, 104, 32, 9)


def test_shortcut_is_pooled_where_strided_and_absent_where_widths_differ() -> None:
    stages = CPMobile(CPMobileConfig(n_classes=10)).stages
    kinds = {
        name: type(block.shortcut).__name__
        for stage in stages
        for name, block in stage.named_children()
    }
    assert kinds == {
        "b1": "Identity",
        "b2": "Identity",
        "b3": "AvgPool2d",
        "b4": "NoneType",
        "b5": "Identity",
        "b6": "NoneType",
    }


@pytest.mark.parametrize(
    ("width", "rounded"), [(32, 32), (57.6, 56), (103.68, 104), (67.2, 64), (117.6, 120), (5, 8)]
)
def test_widths_round_to_eights(width: float, rounded: int) -> None:
    assert round_to_eight(width) == rounded


def test_clips_do_not_mix_in_eval_mode() -> None:
    network = CPMobile(CPMobileConfig(n_classes=4, n_mels=32, n_frames=20)).eval()
    x = torch.randn(3, 1, 32, 20)
    torch.testing.assert_close(network(x)[1:2], network(x[1:2]))
