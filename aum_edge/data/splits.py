"""Random splits by whole groups, evenly over the labels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from aum_edge.core.text import few
from aum_edge.data.manifest import Clip, Split
from aum_edge.errors import DataError

Part = TypeVar("Part", str, int)


def split_by_groups(
    clips: Sequence[Clip], fraction: float, seed: int, target: Split = "val"
) -> tuple[Clip, ...]:
    """Move about ``fraction`` of the training rows to ``target`` by whole groups.

    Groups come in an order that ``seed`` shuffles; one is moved when that brings the labels
    nearer to their shares, where a clip counts for each of its labels. Every label with two
    groups or more ends in both splits where whole groups allow it. The choice depends on the
    groups' order by name and not on their folder.
    """
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for clip in clips:
        if clip.split == "train":
            groups[clip.group].update(clip.labels)
    names = sorted(groups)
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    left: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for group in groups.values():
        left.update(group.keys())
        total.update(group)
    missing = {label: fraction * n for label, n in total.items()}
    moved: set[str] = set()

    def move(name: str) -> None:
        moved.add(name)
        left.subtract(groups[name].keys())
        for label, count in groups[name].items():
            missing[label] -= count

    for name in order:
        gain = sum(abs(missing[k]) - abs(missing[k] - n) for k, n in groups[name].items())
        if gain > 0 and all(left[label] > 1 for label in groups[name]):
            move(name)
    held = {label for name in moved for label in groups[name]}
    for name in sorted(order, key=lambda name: sum(groups[name].values())):
        if not held.issuperset(groups[name]) and all(left[label] > 1 for label in groups[name]):
            move(name)
            held.update(groups[name])
    return tuple(
        replace(clip, split=target) if clip.split == "train" and clip.group in moved else clip
        for clip in clips
    )


def split_of(part: Part, validated: Collection[Part], tested: Collection[Part]) -> Split:
    """``test`` or ``val`` for what is held out for either, else ``train``."""
    if part in tested:
        return "test"
    return "val" if part in validated else "train"


def check_held_out(
    corpus: str, part: str, known: Collection[Part], validated: Collection[Part], tested: set[Part]
) -> None:
    """Parts (``fold`` or ``speaker``) to test on are there, and nobody validates on them.

    Raises:
        DataError: Nothing is held out for testing, a part does not exist, or one serves both.
    """
    there = f"its {part}s are {', '.join(map(str, sorted(known)))}."
    unknown = sorted((tested | set(validated)) - set(known))
    if unknown or not tested:
        named = few(list(map(str, unknown)))
        got = f"has no {part} {named}" if unknown else f"needs `test_{part}s`"
        raise DataError(f"Corpus `{corpus}` {got}; {there}")
    both = sorted(tested & set(validated))
    if both:
        raise DataError(
            f"`val_{part}s` and `test_{part}s` share {few(list(map(str, both)))}: a model would "
            f"be chosen by what it is tested on; {there}"
        )
