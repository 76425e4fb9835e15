from __future__ import annotations

import random

import pytest
import torch
from torch import Generator, Tensor

from aum_edge.errors import RecipeError
from aum_edge.training.pretraining import masking
from aum_edge.training.pretraining.masking import (
    MaskSampler,
    cluster_masks,
    frame_masks,
    published_clusters,
)

GRID = (8, 8)


def shares(found: Tensor, n: int = 64) -> Tensor:
    """How often each patch is hidden."""
    return torch.bincount(found.flatten(), minlength=n) / len(found)


def grids(found: Tensor, grid: tuple[int, int] = GRID) -> Tensor:
    """Masks (B, M) as (B, rows, columns) of 0 and 1."""
    flat = torch.zeros(len(found), grid[0] * grid[1], dtype=torch.long)
    return flat.scatter(1, found, 1).unflatten(1, grid)


def neighbours(found: Tensor) -> float:
    """Mean number of hidden patches beside and below a hidden patch, over the edges as well."""
    field = grids(found)
    pairs = sum((field * field.roll(1, axis)).sum() for axis in (1, 2))
    return float(pairs) / found.numel()


@pytest.mark.parametrize("grid", [(8, 8), (2, 9), (8, 64), (1, 7), (4, 3)])
@pytest.mark.parametrize("draw", ["cluster", "frame"])
def test_masks_are_different_patches_in_ascending_order(grid, draw) -> None:
    n = grid[0] * grid[1]
    count = n // 2
    source = Generator().manual_seed(1)
    found = (
        cluster_masks(50, grid, count, source)
        if draw == "cluster"
        else frame_masks(50, n, count, source)
    )
    assert found.shape == (50, count)
    assert (found.diff(dim=1) > 0).all()
    assert found.min() >= 0
    assert found.max() < n


@pytest.mark.parametrize("count", [9, 20, 50])
def test_unbiased_clusters_hide_every_patch_as_often(count) -> None:
    draws = 6000
    found = shares(cluster_masks(draws, GRID, count, Generator().manual_seed(0)))
    p = count / 64
    assert float((found - p).abs().max()) < 4.5 * (p * (1 - p) / draws) ** 0.5


def test_published_clusters_are_biased_as_the_originals_are() -> None:
    source = random.Random(0)
    found = shares(torch.tensor([published_clusters(source, GRID, 20) for _ in range(2000)]))
    assert found[0] == 0
    assert found[-8:].mean() < 0.7 * found[16:48].mean()


def test_clusters_are_squares(monkeypatch) -> None:
    # One square of 3 by 3 and no more: rolled into the middle it is a block of nine.
    monkeypatch.setattr(masking, "SIZES", (3,))
    fields = grids(cluster_masks(40, GRID, 9, Generator().manual_seed(2)))
    for field in fields:
        rolled = [
            field.roll((down, along), (0, 1))[:3, :3].sum()
            for down in range(8)
            for along in range(8)
        ]
        assert max(rolled) == 9


def test_clusters_hang_together_more_than_frames() -> None:
    clusters = cluster_masks(200, GRID, 20, Generator().manual_seed(0))
    frames = frame_masks(200, 64, 20, Generator().manual_seed(0))
    assert neighbours(clusters) > 1.5 * neighbours(frames)


@pytest.mark.parametrize("rule", ["unbiased", "published"])
@pytest.mark.parametrize("shape", ["cluster", "frame"])
def test_a_seed_gives_the_same_masks_again(rule, shape) -> None:
    sampler = MaskSampler(GRID, 20, rule=rule, shape=shape)
    sampler.seed(5)
    first, second = sampler(3), sampler(3)
    sampler.seed(5)
    assert torch.equal(sampler(3), first)
    assert torch.equal(sampler(3), second)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("grid", "clusters"), [((1, 30), False), ((2, 15), True)])
def test_auto_hides_frames_where_patches_are_as_high_as_the_spectrogram(grid, clusters) -> None:
    assert MaskSampler(grid, rule="unbiased").clusters is clusters


def test_half_of_the_patches_is_the_default() -> None:
    assert MaskSampler(GRID, rule="published")(2).shape == (2, 32)


@pytest.mark.parametrize(
    ("rule", "shape", "count", "most"),
    [
        ("unbiased", "cluster", 64, 63),
        ("unbiased", "frame", 1, 63),
        ("published", "cluster", 63, 62),
        ("published", "frame", 64, 63),
    ],
)
def test_a_count_that_the_grid_has_not_is_refused(rule, shape, count, most) -> None:
    with pytest.raises(RecipeError, match=f"2 to {most} of the 64 patches .* got {count}"):
        MaskSampler(GRID, count, rule=rule, shape=shape)


def test_the_largest_count_is_reached() -> None:
    assert MaskSampler(GRID, 62, rule="published", shape="cluster")(1).shape == (1, 62)
    assert MaskSampler(GRID, 63, rule="unbiased", shape="cluster")(1).shape == (1, 63)
