"""The challenge's ten scenes in their alphabetical order, and its devices."""

from __future__ import annotations

from collections.abc import Sequence

SCENES = (
    "airport", "bus", "metro", "metro_station", "park",
    "public_square", "shopping_mall", "street_pedestrian", "street_traffic", "tram",
)  # fmt: skip
GENERAL = "general"
"""The model of every device that has none of its own."""
KNOWN = ("a", "b", "c", "s1", "s2", "s3")
"""Devices of the training split, which may have a model of their own."""
PROBED = (*KNOWN, "s4", "s5", "s6", "s7", "s8", "s9", "s10")
"""Devices whose complexity the kit asks for."""


def scene_order(labels: Sequence[str]) -> list[int]:
    """Where each scene stands in ``labels``.

    Raises:
        ValueError: If the labels are not the ten scenes.
    """
    lacking = [name for name in SCENES if name not in labels]
    foreign = [name for name in labels if name not in SCENES]
    if lacking or foreign or len(labels) != len(SCENES):
        raise ValueError(
            f"its {len(labels)} classes are not the challenge's ten scenes "
            f"(lacking: {', '.join(lacking) or 'none'}; unknown: {', '.join(foreign) or 'none'})"
        )
    return [list(labels).index(name) for name in SCENES]
