"""Sounds that happen in a scene. Each returns float32 samples at 44.1 kHz with RMS about 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Samples = NDArray[np.float32]
RATE = 44_100
ANCHORS = np.array([50, 100, 200, 400, 800, 1600, 3200, 6400, 12800], dtype=np.float64)
"""Hz at which spectra are given, one octave apart."""


def curve(levels_db: NDArray[np.float64], n: int) -> Samples:
    """Gains (n // 2 + 1,) of an ``n``-point real FFT through levels in dB at :data:`ANCHORS`."""
    hz = np.maximum(np.arange(n // 2 + 1) * (RATE / n), 1.0)
    gain: Samples = (10 ** (np.interp(np.log(hz), np.log(ANCHORS), levels_db) / 20)).astype(
        np.float32
    )
    return gain


def noise(rng: Generator, n: int, levels_db: NDArray[np.float64]) -> Samples:
    """Gaussian noise of a given spectrum."""
    bins = n // 2 + 1
    spectrum = rng.standard_normal((bins, 2), dtype=np.float32).view(np.complex64)[:, 0]
    return level(np.fft.irfft(spectrum * curve(levels_db, n), n))


def level(samples: NDArray[np.floating]) -> Samples:
    """Scale to RMS 1."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) or 1.0
    scaled: Samples = (samples / rms).astype(np.float32)
    return scaled


def slow(rng: Generator, n: int, per_second: float) -> NDArray[np.float64]:
    """A smooth random curve (n,) of deviation 1 with ``per_second`` free points a second."""
    points = rng.standard_normal(max(2, int(n / RATE * per_second) + 2))
    return np.interp(np.linspace(0, len(points) - 1, n), np.arange(len(points)), points)


def shaped_saw(hz: NDArray[np.float64], gain: Samples) -> Samples:
    """All harmonics of a moving pitch (n,) through a gain curve (n // 2 + 1,)."""
    saw = (2 * np.modf(np.cumsum(hz) / RATE)[0] - 1).astype(np.float32)
    return level(np.fft.irfft(np.fft.rfft(saw) * gain, len(hz)))


def _bells(n: int, centres: list[float], octaves: float) -> Samples:
    hz = np.maximum(np.arange(n // 2 + 1) * (RATE / n), 20.0)
    gain = sum(np.exp(-0.5 * (np.log2(hz / centre) / octaves) ** 2) for centre in centres)
    return np.asarray(gain, dtype=np.float32)


def voice(rng: Generator, n: int) -> Samples:
    """A voice saying syllables: a gliding pitch through three formants."""
    pitch = rng.uniform(95, 240) * 2 ** (0.15 * slow(rng, n, 3))
    centres = [rng.uniform(*span) for span in ((300, 800), (900, 2200), (2300, 3200))]
    syllables = np.clip(slow(rng, n, rng.uniform(5, 9)) + 0.3, 0, None)
    return level(shaped_saw(pitch, _bells(n, centres, 0.22)) * syllables)


def engine(rng: Generator, n: int) -> Samples:
    """A combustion engine: low harmonics with a drifting speed."""
    pitch = rng.uniform(28, 75) * 2 ** (0.12 * slow(rng, n, 1))
    tilt = np.array([0, 2, 0, -6, -14, -22, -30, -40, -50]) + rng.normal(0, 3, 9)
    return shaped_saw(pitch, curve(tilt, n))


def whine(rng: Generator, n: int) -> Samples:
    """An electric drive: a few partials that sweep slowly."""
    sweep = rng.uniform(-0.5, 0.5) * np.linspace(0, 1, n) + 0.03 * slow(rng, n, 2)
    phase = np.cumsum(rng.uniform(250, 1300) * 2**sweep) * (2 * np.pi / RATE)
    partials = (1.0, 0.5 * rng.random(), 0.3 * rng.random())
    tone = sum(a * np.sin((k + 1) * phase) for k, a in enumerate(partials))
    return level(np.asarray(tone))


def squeal(rng: Generator, n: int) -> Samples:
    """Metal on metal in a curve: a trembling high tone with a swelling level."""
    hz = rng.uniform(1800, 5200) * 2 ** (0.03 * slow(rng, n, 30))
    swell = np.exp(-0.5 * ((np.linspace(0, 1, n) - rng.random()) / 0.18) ** 2)
    return level(np.sin(np.cumsum(hz) * (2 * np.pi / RATE)) * swell)


def birds(rng: Generator, n: int) -> Samples:
    """One bird repeating a short sweep, now and then."""
    out = np.zeros(n, dtype=np.float64)
    size = int(rng.uniform(0.04, 0.16) * RATE)
    t = np.arange(size) / size
    sweep = np.linspace(rng.uniform(2000, 6500), rng.uniform(2000, 6500), size)
    trill = 1 + 0.05 * np.sin(2 * np.pi * rng.uniform(3, 12) * t)
    call = np.sin(np.cumsum(sweep * trill) * (2 * np.pi / RATE)) * np.sin(np.pi * t)
    for start in rng.integers(0, n - size, rng.integers(2, 7)):
        out[start : start + size] += rng.uniform(0.3, 1) * call
    return level(out)


def _struck(rng: Generator, n: int, gaps: float, jitter: float, low: float, high: float) -> Samples:
    """Decaying knocks of noise about ``gaps`` seconds apart, between two frequencies."""
    out = np.zeros(n, dtype=np.float64)
    size = int(rng.uniform(0.03, 0.09) * RATE)
    bell = _bells(size, [rng.uniform(low, high)], 0.7)
    decay = np.exp(-np.arange(size) / (size * rng.uniform(0.1, 0.3)))
    start = rng.uniform(0, gaps)
    while (position := int(start * RATE)) < n - size:
        spectrum = np.fft.rfft(rng.standard_normal(size)) * bell
        out[position : position + size] += np.fft.irfft(spectrum, size) * decay
        start += gaps * (1 + jitter * rng.uniform(-1, 1))
    return level(out)


def footsteps(rng: Generator, n: int) -> Samples:
    """Somebody walking."""
    return _struck(rng, n, rng.uniform(0.38, 0.62), 0.08, 300, 2500)


def clatter(rng: Generator, n: int) -> Samples:
    """Wheels over rail joints, or loose parts."""
    return _struck(rng, n, rng.uniform(0.12, 0.4), 0.3, 150, 1200)


def dishes(rng: Generator, n: int) -> Samples:
    """Bright knocks at no fixed rhythm: dishes, keys, tills."""
    return _struck(rng, n, rng.uniform(0.15, 0.5), 0.9, 2500, 7000)


def bell(rng: Generator, n: int) -> Samples:
    """A decaying tone of three partials: a door signal, a tram bell, a chime."""
    t = np.arange(n) / RATE
    start, decay = rng.uniform(0, 0.6) * n / RATE, rng.uniform(0.15, 0.6)
    base = rng.uniform(450, 1900)
    ratios = (1.0, rng.uniform(1.9, 2.1), rng.uniform(2.6, 3.2))
    tone = sum(np.sin(2 * np.pi * base * r * t) / (k + 1) for k, r in enumerate(ratios))
    return level(tone * np.where(t >= start, np.exp(-(t - start).clip(0) / decay), 0.0))


def music(rng: Generator, n: int) -> Samples:
    """A chord from far loudspeakers, plucked on a beat."""
    root = rng.uniform(110, 220)
    gain = curve(np.array([-20, -6, 0, 0, -6, -14, -24, -36, -50.0]), n)
    steady = np.full(n, 1.0)
    chord = sum(shaped_saw(root * 2 ** (s / 12) * steady, gain) for s in (0, rng.integers(3, 5), 7))
    beat = np.exp(-3 * np.modf(np.arange(n) / RATE * rng.uniform(1.5, 3) + rng.random())[0])
    return level(chord * beat)


def passing(rng: Generator, n: int) -> Samples:
    """A vehicle passing: broad noise that swells and falls."""
    tilt = np.array([4, 4, 3, 1, 0, -4, -10, -18, -26]) + rng.normal(0, 2, 9)
    swell = np.exp(-0.5 * ((np.linspace(0, 1, n) - rng.random()) / rng.uniform(0.15, 0.5)) ** 2)
    return level(noise(rng, n, tilt) * swell)


def wind(rng: Generator, n: int) -> Samples:
    """Gusts: very low noise that comes and goes."""
    gusts = np.clip(slow(rng, n, 4) + 0.5, 0, None)
    return level(noise(rng, n, np.array([8, 3, -4, -12, -20, -28, -36, -44, -52.0])) * gusts)


EVENTS: dict[str, Callable[[Generator, int], Samples]] = {
    function.__name__: function
    for function in (
        voice, engine, whine, squeal, birds, footsteps, clatter, dishes, bell, music, passing, wind,
    )
}  # fmt: skip
