"""Which groups are held out, where two choices come equally near to the share."""

from __future__ import annotations

from pathlib import Path

import pytest

from aum_edge.data.manifest import Clip
from aum_edge.data.splits import split_by_groups


@pytest.mark.parametrize("seed", range(4))
def test_a_group_that_brings_the_share_no_nearer_stays_in_training(seed: int) -> None:
    # 6 of 16 clips are asked for, in groups of 4: after one group, 2 too few or 2 too many.
    clips = [
        Clip(path=Path(f"{group}/{i}.wav"), label="x", split="train", group=f"g{group}")
        for group in range(4)
        for i in range(4)
    ]
    held = [clip for clip in split_by_groups(clips, 0.375, seed, "val") if clip.split == "val"]
    assert len(held) == 4
