"""Ten acoustic scenes: a bed of noise and the events that each class makes likely."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from aum_edge.data.events import EVENTS, Samples, level, noise, slow

Levels = NDArray[np.float64]
STRAY_CHANCE = 0.10
"""Chance of any event in a scene that does not favour it."""


@dataclass(frozen=True)
class Scene:
    """Bed levels in dB at the octaves from 50 Hz, and (chance, level in dB) of its events."""

    bed: tuple[float, ...]
    flutter_db: float
    events: dict[str, tuple[float, float]]


SCENES: dict[str, Scene] = {
    "airport": Scene(
        (-2, -1, 0, 0, -2, -6, -11, -17, -25),
        1.5,
        {"voice": (0.6, -3), "clatter": (0.35, -6), "footsteps": (0.4, -7), "bell": (0.2, -6)},
    ),
    "bus": Scene(
        (8, 8, 5, 1, -3, -8, -13, -19, -27),
        1.5,
        {"engine": (0.9, 2), "voice": (0.35, -5), "clatter": (0.35, -4), "bell": (0.15, -6)},
    ),
    "metro": Scene(
        (7, 7, 5, 3, 0, -5, -10, -16, -24),
        2.0,
        {"whine": (0.65, -3), "clatter": (0.6, -2), "squeal": (0.3, -6), "voice": (0.3, -6)},
    ),
    "metro_station": Scene(
        (3, 3, 2, 1, -1, -5, -10, -15, -23),
        2.0,
        {"passing": (0.4, 0), "voice": (0.55, -4), "whine": (0.3, -6), "footsteps": (0.4, -6),
         "bell": (0.25, -5)},
    ),
    "park": Scene(
        (0, -3, -6, -9, -9, -8, -8, -11, -19),
        2.5,
        {"birds": (0.75, -3), "wind": (0.5, 0), "footsteps": (0.3, -5), "voice": (0.2, -8)},
    ),
    "public_square": Scene(
        (2, 1, 0, -1, -2, -5, -10, -16, -24),
        2.0,
        {"voice": (0.5, -5), "footsteps": (0.4, -6), "birds": (0.3, -6), "passing": (0.3, -5),
         "wind": (0.25, -3)},
    ),
    "shopping_mall": Scene(
        (-4, -2, 0, 1, 0, -4, -9, -14, -21),
        1.5,
        {"music": (0.5, -4), "voice": (0.55, -4), "dishes": (0.4, -6), "footsteps": (0.4, -6)},
    ),
    "street_pedestrian": Scene(
        (1, 1, 0, 0, -1, -4, -9, -14, -22),
        2.0,
        {"footsteps": (0.65, -4), "voice": (0.55, -4), "passing": (0.2, -6), "dishes": (0.2, -7)},
    ),
    "street_traffic": Scene(
        (6, 5, 4, 2, 0, -3, -9, -16, -25),
        3.0,
        {"passing": (0.85, 2), "engine": (0.4, -3), "footsteps": (0.15, -8), "birds": (0.12, -8)},
    ),
    "tram": Scene(
        (6, 6, 4, 1, -2, -6, -11, -17, -25),
        2.0,
        {"whine": (0.5, -4), "squeal": (0.45, -4), "bell": (0.3, -4), "clatter": (0.45, -3),
         "engine": (0.25, -4)},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """One location: how its bed, its events and its loudness differ from the class's."""

    bed: Levels
    events: dict[str, float]
    """Factor on each event's odds."""
    loudness_db: float


def make_place(scene: str, city: str, location: int, seed: int, spread: float) -> Place:
    """The location's own sound: what its city, its class and chance give it."""
    town = _generator(seed, city)
    rng = _generator(seed, f"{scene}-{city}-{location}")
    bed = np.array(SCENES[scene].bed) + spread * (1.5 * smooth(town) + 3.0 * smooth(rng))
    odds = {name: float(np.exp(spread * rng.normal(0, 0.7))) for name in EVENTS}
    return Place(bed, odds, spread * rng.normal(0, 3))


def make_segment(scene: str, place: Place, rng: Generator, n: int, spread: float) -> Samples:
    """What is heard at a place for ``n`` samples, before any device: float32 at RMS near 0.05."""
    spec = SCENES[scene]
    bed = place.bed + spread * (1.5 * smooth(rng) + rng.normal(0, 1.0, 9))
    flutter = 10 ** (spec.flutter_db * slow(rng, n, 3) / 20)
    out = noise(rng, n, bed) * flutter
    for name, make in EVENTS.items():
        chance, event_db = spec.events.get(name, (STRAY_CHANCE, -7.0))
        odds = chance / (1 - chance) * place.events[name]
        if rng.random() < odds / (1 + odds):
            out += make(rng, n) * 10 ** ((event_db + spread * rng.normal(0, 4)) / 20)
    loudness = -26 + place.loudness_db + spread * rng.normal(0, 2)
    return level(out) * np.float32(10 ** (loudness / 20))


def smooth(rng: Generator) -> Levels:
    """A random curve over the nine octaves: neighbouring octaves go together."""
    steps = np.convolve(rng.standard_normal(13), (0.1, 0.25, 0.3, 0.25, 0.1), mode="valid")
    return steps / 0.485


def _generator(seed: int, name: str) -> Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
