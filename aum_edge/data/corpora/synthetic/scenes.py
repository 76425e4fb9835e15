"""Ten acoustic scenes: a bed of noise and the events that each class makes likely."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from aum_edge.data.corpora.synthetic.events import EVENTS, Samples, level, noise, slow

Levels = NDArray[np.float64]
STRAY_CHANCE = 0.06
"""Chance of any event in a scene that does not favour it."""


@dataclass(frozen=True)
class Scene:
    """Bed levels in dB at the octaves from 50 Hz, and (chance, level in dB) of its events."""

    bed: tuple[float, ...]
    flutter: tuple[float, float]
    """How far the bed's level wanders, dB, and how often a second."""
    events: dict[str, tuple[float, float]]


SCENES: dict[str, Scene] = {
    "airport": Scene(
        (-5, -2, 2, 3, -1, -8, -15, -21, -29), (1.0, 2),
        {"voice": (0.75, -1), "clatter": (0.6, -3), "footsteps": (0.35, -6), "bell": (0.2, -4)},
    ),
    "bus": Scene(
        (11, 11, 7, 1, -5, -11, -16, -22, -30), (1.0, 4),
        {"engine": (0.95, 4), "voice": (0.35, -4), "clatter": (0.35, -4), "bell": (0.15, -5)},
    ),
    "metro": Scene(
        (7, 8, 7, 5, 1, -5, -11, -18, -27), (2.5, 10),
        {"whine": (0.75, -1), "clatter": (0.7, 0), "squeal": (0.3, -5), "voice": (0.25, -6)},
    ),
    "metro_station": Scene(
        (3, 4, 3, 2, -1, -5, -9, -13, -19), (3.0, 2),
        {"bell": (0.7, 0), "passing": (0.45, 2), "voice": (0.55, -2), "whine": (0.3, -4),
         "footsteps": (0.3, -6)},
    ),
    "park": Scene(
        (0, -3, -7, -11, -10, -7, -6, -9, -17), (3.0, 2),
        {"birds": (0.8, -2), "wind": (0.45, 0), "footsteps": (0.25, -5), "voice": (0.15, -7)},
    ),
    "public_square": Scene(
        (3, 1, -1, -3, -4, -3, -3, -7, -13), (1.0, 4),
        {"voice": (0.5, -3), "birds": (0.5, -4), "wind": (0.6, 1), "footsteps": (0.3, -6),
         "passing": (0.2, -5)},
    ),
    "shopping_mall": Scene(
        (-7, -4, 0, 2, 1, -3, -8, -12, -18), (1.0, 6),
        {"music": (0.75, -1), "voice": (0.5, -4), "dishes": (0.5, -4), "footsteps": (0.35, -6)},
    ),
    "street_pedestrian": Scene(
        (0, 1, 0, 0, 0, -2, -7, -13, -22), (3.0, 6),
        {"footsteps": (0.8, -1), "voice": (0.5, -3), "passing": (0.15, -5), "dishes": (0.2, -5)},
    ),
    "street_traffic": Scene(
        (6, 5, 4, 3, 2, -1, -7, -15, -25), (3.0, 1.5),
        {"passing": (0.9, 4), "engine": (0.4, -2), "footsteps": (0.12, -7), "birds": (0.1, -7)},
    ),
    "tram": Scene(
        (6, 5, 2, -1, -3, -5, -8, -13, -20), (2.0, 8),
        {"squeal": (0.8, 1), "whine": (0.4, -3), "bell": (0.35, -3), "clatter": (0.45, -3),
         "engine": (0.2, -4)},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Location:
    """One location: how its bed, its events and its loudness differ from the class's."""

    bed: Levels
    events: dict[str, float]
    """Factor on each event's odds."""
    loudness_db: float


def make_location(scene: str, city: str, location: int, seed: int, spread: float) -> Location:
    """The location's own sound: what its city, its class and chance give it."""
    town = _generator(seed, city)
    rng = _generator(seed, f"{scene}-{city}-{location}")
    bed = np.array(SCENES[scene].bed) + spread * (0.7 * smooth(town) + 1.5 * smooth(rng))
    odds = {name: float(np.exp(spread * rng.normal(0, 0.5))) for name in EVENTS}
    return Location(bed, odds, spread * rng.normal(0, 3))


def make_segment(scene: str, place: Location, rng: Generator, n: int, spread: float) -> Samples:
    """A scene at a location, ``n`` samples without a device: float32 at RMS near 0.05."""
    spec = SCENES[scene]
    bed = place.bed + spread * (1.0 * smooth(rng) + rng.normal(0, 0.5, 9))
    flutter = 10 ** (spec.flutter[0] * slow(rng, n, spec.flutter[1]) / 20)
    out = noise(rng, n, bed) * flutter
    for name, make in EVENTS.items():
        chance, event_db = spec.events.get(name, (STRAY_CHANCE, -7.0))
        odds = chance / (1 - chance) * place.events[name]
        if rng.random() < odds / (1 + odds):
            out += make(rng, n) * 10 ** ((event_db + spread * rng.normal(0, 3)) / 20)
    loudness = -26 + place.loudness_db + spread * rng.normal(0, 2)
    return level(out) * np.float32(10 ** (loudness / 20))


def smooth(rng: Generator) -> Levels:
    """A random curve over the nine octaves: neighbouring octaves go together."""
    steps = np.convolve(rng.standard_normal(13), (0.1, 0.25, 0.3, 0.25, 0.1), mode="valid")
    return steps / 0.485


def _generator(seed: int, name: str) -> Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
