"""Nine simulated recording devices: frequency response, gain, soft clipping and noise."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from aum_edge.data.corpora.synthetic.events import RATE, Samples

SEEN = ("a", "b", "c", "s1", "s2", "s3")
UNSEEN = ("s4", "s5", "s6")
"""In the test split alone."""


@dataclass(frozen=True)
class Device:
    """A chain of frequency response, gain, soft clipping and noise floor."""

    low_cut_hz: float
    high_cut_hz: float
    peaks: tuple[tuple[float, float, float], ...] = ()
    """(Hz, dB, width in octaves) of its resonances."""
    gain_db: float = 0.0
    drive: float = 0.0
    """0 is linear; larger squeezes loud parts more."""
    floor_db: float = -75.0
    """RMS of its noise, dB of full scale."""


DEVICES: dict[str, Device] = {
    "a": Device(20, 20_000),
    "b": Device(120, 14_000, ((900, -3, 0.8), (3500, 5, 0.6)), 3, 0.6, -68),
    "c": Device(80, 16_000, ((250, -3, 0.7), (2200, 4, 0.8), (7000, -4, 0.5)), -2, 0.4, -70),
    "s1": Device(150, 11_000, ((600, 4, 0.5), (2500, -4, 0.7)), 0, 0.3, -68),
    "s2": Device(60, 9_000, ((400, -4, 0.8), (1500, 4, 0.6), (5000, 4, 0.4)), -3, 0.2, -66),
    "s3": Device(180, 15_000, ((1100, 5, 0.7), (4200, -4, 0.6)), 2, 0.6, -66),
    "s4": Device(220, 9_000, ((700, -4, 0.6), (1900, 5, 0.5), (6000, -3, 0.5)), -2, 0.4, -64),
    "s5": Device(100, 7_500, ((350, 5, 0.5), (1300, -4, 0.7), (3300, 4, 0.5)), 3, 0.6, -66),
    "s6": Device(260, 12_000, ((500, 4, 0.4), (2800, 5, 0.6), (900, -5, 0.6)), -4, 0.3, -63),
}


def record(scene: Samples, device: str, rng: Generator, strength: float) -> Samples:
    """``scene`` (n,) as a device records it, between -1 and 1."""
    spec = DEVICES[device]
    out = np.fft.irfft(np.fft.rfft(scene) * response(spec, len(scene), strength), len(scene))
    gain = 10 ** (strength * (spec.gain_db + rng.normal(0, 1)) / 20)
    out = (out * gain).astype(np.float32)
    if spec.drive and strength:
        steep = np.float32(spec.drive * strength * 4)
        out = np.tanh(steep * out) / steep
    floor = rng.standard_normal(len(out), dtype=np.float32)
    out += floor * np.float32(10 ** (spec.floor_db / 20))
    return np.clip(out, -1, 1)


def response(device: Device, n: int, strength: float) -> Samples:
    """Gains (n // 2 + 1,) of the device; ``strength`` scales its decibels."""
    hz = np.maximum(np.arange(n // 2 + 1) * (RATE / n), 1.0)
    db = -10 * np.log10(1 + (device.low_cut_hz / hz) ** 4)
    db -= 10 * np.log10(1 + (hz / device.high_cut_hz) ** 6)
    for centre, peak, octaves in device.peaks:
        db += peak * np.exp(-0.5 * (np.log2(hz / centre) / octaves) ** 2)
    gain: Samples = (10 ** (strength * np.maximum(db, -60) / 20)).astype(np.float32)
    return gain


def device_generator(seed: int, name: str) -> Generator:
    """The draws of one recording."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), 1])
