"""Golden vectors: inputs that C and Python make alike from whole numbers, and torch's logits.

They travel as a small C program beside the model, so that any target with a C compiler can check
itself: it makes each input, runs the model, compares the logits and returns how that went.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import torch

from aum_edge.audio.frontend import FrontEnd
from aum_edge.export.c.frontend.tables import literal
from aum_edge.models.classifier import AudioClassifier

FEATURES, SOUNDS = 4, 4
_MULTIPLIER, _ADDEND = 1664525, 1013904223
"""Knuth and Lewis' generator of 32 bits, Numerical Recipes (1992), 7.1."""


@dataclass(frozen=True)
class Golden:
    """Logits that torch gives for the inputs, float32 (FEATURES, classes), (SOUNDS, classes)."""

    features: np.ndarray
    sounds: np.ndarray
    rounding: float
    """Largest difference of a logit that a front end in float32 makes in torch itself."""


def golden(model: AudioClassifier) -> Golden:
    """Run a model, on the CPU in eval mode, on all inputs; samples through torch's front end.

    The front end computes in float64: what is left is what the program itself rounds.
    """
    config = model.frontend
    exact = FrontEnd(config).double()
    sounds = torch.from_numpy(np.stack([sound(i, config.clip_samples) for i in range(SOUNDS)]))
    size = config.n_mels * config.n_frames
    made = [features(model, i, size) for i in range(FEATURES)]
    shape = (FEATURES, 1, config.n_mels, config.n_frames)
    still = copy.deepcopy(model).cpu().eval()
    with torch.inference_mode():
        heard = still(exact(sounds.double()).unsqueeze(1)).float().numpy()
        rounded = still(FrontEnd(config)(sounds).unsqueeze(1)).float().numpy()
        given = still(torch.from_numpy(np.stack(made)).reshape(shape)).float().numpy()
    return Golden(features=given, sounds=heard, rounding=float(abs(rounded - heard).max()))


def noise(seed: int, count: int) -> np.ndarray:
    """Whole numbers from -32768 on, below 32768: the upper halves of the generator's states."""
    # State k is a power of the multiplier times the first, and a sum; both wrap at 32 bits.
    with np.errstate(over="ignore"):
        powers = np.cumprod(np.full(count, _MULTIPLIER, np.uint32), dtype=np.uint32)
        before = np.concatenate([np.ones(1, np.uint32), powers[:-1]])
        sums = np.cumsum(before, dtype=np.uint32) * np.uint32(_ADDEND)
        states = powers * np.uint32(seed) + sums
    return (states >> np.uint32(16)).astype(np.int32) - 32768


def sound(index: int, count: int) -> np.ndarray:
    """Samples (count,) float32: noise, quiet noise under a saw, silence, and a loud click train."""
    if index == 2:
        return np.zeros(count, np.float32)
    at = np.arange(count, dtype=np.int64)
    values = noise(index + 1, count)
    if index == 1:
        values = values // 64 + (at * 881 & 32767) - 16384
    elif index == 3:
        values = np.where(at % 1000 == 0, 32767, values // 16)
    else:
        values = values // 4
    return (values * np.float32(1 / 32768)).astype(np.float32)


def features(model: AudioClassifier, index: int, count: int) -> np.ndarray:
    """Features (count,) float32: noise around the training features' mean; the second is mean."""
    mean, step = _scale(model)
    values = noise(100 + index, count).astype(np.float32) * (index != 1)
    return (values * step + mean).astype(np.float32)


def golden_source(
    name: str, expected: Golden, model: AudioClassifier, atol: float, streams: bool
) -> str:
    """The test program's text; deterministic.

    From samples a logit may be off by twice what torch's own front end rounds, if that is more
    than ``atol`` (ten times at most): Kaldi's pre-emphasis leaves little of the lowest bands.
    """
    mean, step = _scale(model)
    text = (files("aum_edge.export.c") / "csrc" / "golden.c").read_text("utf-8")
    values = {
        "NAME": name.upper(),
        "PREFIX": name,
        "STREAMS": str(int(streams)),
        "FEATURES": str(FEATURES),
        "SOUNDS": str(SOUNDS),
        "MEAN": literal(float(mean)),
        "STEP": literal(float(step)),
        "ATOL": literal(atol),
        "ATOL_SOUNDS": literal(_from_samples(atol, expected.rounding)),
        "OF_FEATURES": _rows(expected.features),
        "OF_SOUNDS": _rows(expected.sounds),
    }
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _from_samples(atol: float, rounding: float) -> float:
    # One digit, so that the text does not depend on how a machine's torch rounds.
    return max(atol, min(10 * atol, float(f"{2 * rounding:.1g}")))


def _scale(model: AudioClassifier) -> tuple[np.float32, np.float32]:
    """Mean, and what one unit of noise is worth: uniform noise of the training features' spread."""
    spread = model.normalization.std * 3**0.5
    return np.float32(model.normalization.mean), np.float32(spread / 32768)


def _rows(logits: np.ndarray) -> str:
    rows = ["{" + ", ".join(literal(float(x)) for x in row) + "}" for row in logits]
    return ",\n    ".join(rows)
