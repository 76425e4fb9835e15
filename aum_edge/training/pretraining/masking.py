"""Random masks of masked-patch pretraining: clusters, and patches one by one.

Two rules draw them: an unbiased one, for a whole batch at once, and SSAMBA's own, clip by clip.
Patches count in frequency-major order: ``row * columns + column``.
"""

from __future__ import annotations

import random
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from aum_edge.errors import RecipeError

Rule = Literal["unbiased", "published"]
Shape = Literal["auto", "cluster", "frame"]
Grid = tuple[int, int]
"""Patches along (frequency, time)."""
SIZES = (3, 4, 5)
"""Edges of the squares that clusters are made of; each clip draws one."""


class MaskSampler:
    """Masks (batch, count) for one grid, by one rule, from a seed.

    ``auto`` hides frames, one by one, where patches are as high as the spectrogram, and clusters
    elsewhere. ``count`` 0 is half of the patches.

    Raises:
        RecipeError: If the grid has too few patches to hide ``count`` of them.
    """

    def __init__(self, grid: Grid, count: int = 0, *, rule: Rule, shape: Shape = "auto") -> None:
        n = grid[0] * grid[1]
        self.grid = grid
        self.count = count or n // 2
        self.rule = rule
        self.clusters = shape == "cluster" or (shape == "auto" and grid[0] > 1)
        # SSAMBA's clusters never hide patch 0 and stop only above the count.
        most = n - 2 if rule == "published" and self.clusters else n - 1
        if not 2 <= self.count <= most:
            raise RecipeError(
                f"`masked_patches` must be 2 to {most} of the {n} patches ({grid[0]} by {grid[1]}) "
                f"of a clip, got {self.count}."
            )
        self._python = random.Random(0)
        self._torch = Generator()

    def seed(self, seed: int) -> None:
        """Start both rules anew."""
        self._python.seed(seed)
        self._torch.manual_seed(seed)

    def __call__(self, batch: int) -> Tensor:
        """Masks (batch, count), int64, on the CPU; the patches of a clip differ."""
        n = self.grid[0] * self.grid[1]
        if self.rule == "unbiased":
            if self.clusters:
                return cluster_masks(batch, self.grid, self.count, self._torch)
            return frame_masks(batch, n, self.count, self._torch)
        rows = [
            published_clusters(self._python, self.grid, self.count)
            if self.clusters
            else published_frames(self._python, n, self.count)
            for _ in range(batch)
        ]
        return torch.tensor(rows)


def cluster_masks(batch: int, grid: Grid, count: int, generator: Generator) -> Tensor:
    """Squares of one size a clip, at places all equally likely, until ``count`` are hidden.

    Every patch of the grid is as likely as any other: squares that leave the grid on one side come
    in again on the other, and where the last square is too large the patches to keep are drawn.
    Each place has a random time at which its square falls; a patch is hidden at the first of the
    squares that cover it, and the first ``count`` patches are taken.

    Shape:
        Returns (batch, count) int64, ascending in each row.
    """
    rows, columns = grid
    places = torch.rand(batch, 1, rows, columns, generator=generator)
    drawn = torch.randint(len(SIZES), (batch,), generator=generator)
    times = torch.empty(batch, rows * columns)
    for index, size in enumerate(SIZES):
        clips = drawn == index
        times[clips] = _first_times(places[clips], min(size, rows), min(size, columns))
    # Equal times belong to one square: its patches come in a random order.
    order = torch.rand(times.shape, generator=generator).argsort(dim=1)
    by_time = times.gather(1, order).argsort(dim=1, stable=True)
    return order.gather(1, by_time)[:, :count].sort(dim=1).values


def _first_times(places: Tensor, height: int, width: int) -> Tensor:
    """When each patch is first covered, (b, P), by squares that fall at times (b, 1, R, C)."""
    wrapped = F.pad(places, (width - 1, 0, height - 1, 0), mode="circular")
    return -F.max_pool2d(-wrapped, (height, width), stride=1).flatten(1)


def frame_masks(batch: int, n_patches: int, count: int, generator: Generator) -> Tensor:
    """Patches one by one, all equally likely: (batch, count) int64, ascending in each row."""
    order = torch.rand(batch, n_patches, generator=generator).argsort(dim=1)
    return order[:, :count].sort(dim=1).values


def published_clusters(source: random.Random, grid: Grid, count: int) -> list[int]:
    """SSAMBA's clusters for one clip, number by number.

    Patch 0 is never hidden, squares run over the end of a row into the next one, and what is too
    much is cut where a Python set happens to end: usually the highest patches, in the top mels.
    Source: SSAMBA ``gen_maskid_patch``; docs of the masks in its paper say squares at random.
    """
    n, columns = grid[0] * grid[1], grid[1]
    size = source.randrange(len(SIZES)) + SIZES[0]
    hidden: set[int] = set()
    while len(hidden) <= count:
        start = source.randrange(n)
        for down in range(size):
            for along in range(size):
                patch = start + columns * down + along
                if 0 < patch < n:
                    hidden.add(patch)
    return list(hidden)[:count]


def published_frames(source: random.Random, n_patches: int, count: int) -> list[int]:
    """SSAMBA's patches for one clip where each is as high as the spectrogram."""
    return source.sample(range(n_patches), count)
