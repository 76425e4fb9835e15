"""Scores of units: what is summed, over which slices, and that a useless unit scores least."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
import torch_pruning as tp
from torch import Tensor, nn
from torch_pruning.pruner.function import prune_linear_in_channels, prune_linear_out_channels

from aum_edge.compression.groups import groups_of
from aum_edge.compression.importance import parameter_scores, unit_scores
from aum_edge.errors import CompressionError
from aum_edge.models.build import build
from aum_edge.models.config import AudioMambaConfig, MambaStudentConfig


def student(mixer: str = "s6") -> nn.Module:
    torch.manual_seed(0)
    return build(
        MambaStudentConfig(
            n_classes=3, n_mels=16, n_frames=24, mixer=mixer, d_model=12, depth=2, d_state=5,
            head_dim=4, d_conv=3, dt_ranks=(3, 3),
        )
    ).eval()  # fmt: skip


def batches(count: int = 1) -> list[tuple[Tensor, Tensor]]:
    torch.manual_seed(1)
    return [(torch.randn(6, 1, 16, 24), torch.arange(6) % 3) for _ in range(count)]


@pytest.mark.parametrize("kind", ["taylor", "magnitude"])
def test_projections_score_as_in_torch_pruning(kind: str) -> None:
    net = student()
    mixer = net.blocks[0].mixer
    [(x, y)] = batches()
    F.cross_entropy(net(x), y).backward()
    kinds = {
        "taylor": tp.importance.GroupTaylorImportance,
        "magnitude": tp.importance.GroupMagnitudeImportance,
    }
    oracle = kinds[kind](group_reduction="sum", normalizer=None, bias=kind == "taylor")
    group = groups_of(mixer)["inner"]
    units = list(range(group.units))

    class Entry(tuple):
        root_idxs = units

    def entry(layer: nn.Module, cut: object) -> Entry:
        target = SimpleNamespace(module=layer)
        return Entry(
            (SimpleNamespace(layer=layer, target=target, handler=cut, pruning_fn=cut), units)
        )

    entries = [
        entry(mixer.dt_proj, prune_linear_out_channels),
        entry(mixer.out_proj, prune_linear_in_channels),
    ]
    members = [member for member in group.members if member.name in ("dt_proj", "out_proj")]
    scores = parameter_scores(net, kind, batches())
    part = SimpleNamespace(units=group.units, members=members)
    got = unit_scores(mixer, part, scores, "blocks.0.mixer.")
    torch.testing.assert_close(got, oracle(entries).double(), rtol=1e-4, atol=1e-9)


def test_decay_rates_and_skips_are_counted_by_taylor() -> None:
    net = student()
    scores = parameter_scores(net, "taylor", batches())
    for name in ("A_log", "D", "norm.weight", "conv1d.bias"):
        assert scores[f"blocks.0.mixer.{name}"].sum() > 0, name


@pytest.mark.parametrize(("mixer", "rows"), [("s6", 1), ("ssd", 4)])
def test_a_channel_that_does_nothing_scores_least(mixer: str, rows: int) -> None:
    net = student(mixer)
    block = net.blocks[1].mixer
    with torch.no_grad():
        block.out_proj.weight[:, 2 * rows : 3 * rows] = 0
    scores = parameter_scores(net, "taylor", batches(2))
    units = unit_scores(block, groups_of(block)["inner"], scores, "blocks.1.mixer.")
    assert units.argmin() == 2


def test_twins_of_both_directions_count() -> None:
    torch.manual_seed(0)
    net = build(
        AudioMambaConfig(
            n_classes=3, n_mels=16, n_frames=24, patch_size=(8, 8), d_model=12, depth=1,
            d_state=4, direction="bi-bi",
        )
    ).eval()  # fmt: skip
    mixer = net.layers[0].mixer
    scores = parameter_scores(net, "taylor", batches())
    both = unit_scores(mixer, groups_of(mixer)["state"], scores, "layers.0.mixer.")
    without = {key: v * 0 if "_b" in key else v for key, v in scores.items()}
    one = unit_scores(mixer, groups_of(mixer)["state"], without, "layers.0.mixer.")
    assert (both > one).all()


def test_the_model_keeps_its_state() -> None:
    net = student().train()
    net.head.weight.requires_grad_(False)
    parameter_scores(net, "taylor", batches())
    assert net.training
    assert not net.head.weight.requires_grad
    assert all(parameter.grad is None for parameter in net.parameters())


def test_taylor_needs_usable_batches() -> None:
    with pytest.raises(CompressionError, match="at least one batch"):
        parameter_scores(student(), "taylor", [])
    x, y = batches()[0]
    with pytest.raises(CompressionError, match="nan"):
        parameter_scores(student(), "taylor", [(x * torch.nan, y)])
