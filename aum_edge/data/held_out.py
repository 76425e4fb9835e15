"""Which split a fold or a speaker belongs to."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from aum_edge.data.manifest import Split

Part = TypeVar("Part", str, int)


def held_out(part: Part, validated: Collection[Part], tested: Collection[Part]) -> Split:
    """``test`` or ``val`` for what is held out for either, else ``train``."""
    if part in tested:
        return "test"
    return "val" if part in validated else "train"
