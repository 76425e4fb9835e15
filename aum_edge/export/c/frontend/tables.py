"""The front end's constants: window, twiddle factors and mel weights, in the order they are read.

They are part of the program and not made at its start: flash is what microcontrollers have most of,
and a table made at the start would take as many bytes of RAM.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.mel import mel_filters
from aum_edge.errors import ExportError
from aum_edge.export.c.frontend.fft_passes import Pass
from aum_edge.export.c.frontend.fft_plan import FftPlan, position

FOUR = 4
MOST_BINS = 1 << 16


@dataclass
class Tables:
    """C arrays written so far, and their bytes."""

    lines: list[str] = field(default_factory=list)
    bytes: int = 0

    def floats(self, name: str, values: Iterable[float]) -> None:
        """A ``static const float`` array."""
        array = np.asarray(list(values), dtype=np.float32)
        self._array(f"float fe_{name}[{array.size}]", [literal(x) for x in array])
        self.bytes += 4 * array.size

    def shorts(self, name: str, values: Sequence[int]) -> None:
        """A ``static const uint16_t`` array."""
        self._array(f"uint16_t fe_{name}[{len(values)}]", [str(value) for value in values])
        self.bytes += 2 * len(values)

    def bands(self, first: Sequence[int], count: Sequence[int]) -> None:
        """Where each mel band begins and how many bins it has."""
        pairs = [f"{{{a}, {b}}}" for a, b in zip(first, count, strict=True)]
        kind = "struct { uint16_t first, count; }"
        self._array(f"{kind} fe_bands[{len(pairs)}]", pairs)
        self.bytes += 4 * len(pairs)

    def _array(self, declared: str, values: Sequence[str]) -> None:
        rows = [", ".join(values[at : at + 8]) for at in range(0, len(values), 8)]
        body = ",\n    ".join(rows)
        self.lines.append(f"static const {declared} = {{\n    {body}}};")


def literal(value: float) -> str:
    """A float32 as C writes it, exact."""
    text = f"{np.float32(value):.9g}"
    return f"{text}f" if any(mark in text for mark in ".en") else f"{text}.0f"


def window_rows(config: FrontEndConfig, cut: FftPlan) -> tuple[int, int]:
    """First row of the FFT's matrix inside the window, and the first after it."""
    start = 0 if config.kind == "kaldi_fbank" else (config.n_fft - config.win_length) // 2
    row = 2 * cut.columns
    return start // row, -(-(start + config.win_length) // row)


def add_window(tables: Tables, config: FrontEndConfig, cut: FftPlan) -> None:
    """Half of the window, even samples and odd ones apart, on the grid of the FFT's rows.

    The half undoes what parting a real FFT from one of half the length adds.
    """
    window = torch.hann_window(config.win_length, periodic=config.kind == "log_mel")
    start = 0 if config.kind == "kaldi_fbank" else (config.n_fft - config.win_length) // 2
    whole = np.zeros(config.n_fft, dtype=np.float32)
    whole[start : start + config.win_length] = 0.5 * window.numpy()
    first, end = window_rows(config, cut)
    used = whole[first * 2 * cut.columns : end * 2 * cut.columns]
    tables.floats("even", used[0::2])
    tables.floats("odd", used[1::2])


def add_twiddles(tables: Tables, cut: FftPlan, steps: Sequence[Pass]) -> None:
    """Twiddle factors of every pass, of the transposition and of the parting; rows' places."""
    for step in steps:
        if step.step > 1:
            tables.floats(f"{step.name}_w", step.twiddles)
    places = [position(k, cut.row_radices) for k in range(cut.rows)]
    tables.shorts("row_place", places)
    tables.shorts("column_place", [position(k, cut.column_radices) for k in range(cut.columns)])
    row_at = {place: k for k, place in enumerate(places)}
    angles = (
        2
        * math.pi
        / cut.points
        * np.outer([row_at[place] for place in range(1, cut.rows)], np.arange(cut.columns))
    )
    # (row, block, lane) to (block, row, cosine or sine, lane): as a tile reads them.
    blocks = angles.reshape(cut.rows - 1, -1, cut.tile).transpose(1, 0, 2)
    tables.floats("twiddles", np.stack([np.cos(blocks), np.sin(blocks)], axis=2).ravel())
    quarter = np.arange(cut.points // 2 + 1) * (2 * math.pi / cut.n_fft)
    tables.floats("cosines", np.cos(quarter))


def add_mels(tables: Tables, config: FrontEndConfig) -> tuple[int, int]:
    """The weights of every band that are not zero, each band filled up to whole fours.

    Returns:
        Powers that are read, with those beyond the last bin that have no weight, and weights.

    Raises:
        ExportError: If there are more bins than 16 bits count.
    """
    if config.n_fft // 2 >= MOST_BINS:
        raise ExportError(f"The C front end takes `n_fft` below {2 * MOST_BINS}.")
    first: list[int] = []
    count: list[int] = []
    weights: list[float] = []
    reach = config.n_fft // 2 + 1
    for row in mel_filters(config).numpy():
        used = np.flatnonzero(row)
        low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
        filled = -(-(high - low) // FOUR) * FOUR
        first.append(low)
        count.append(high - low)
        weights.extend(np.pad(row[low:high], (0, filled - (high - low))))
        reach = max(reach, low + filled)
    tables.floats("weights", weights or [0.0])
    tables.bands(first, count)
    return reach, sum(count)


def log_polynomial() -> list[float]:
    """Coefficients of (log(1 + m) - m + m^2 / 2) / m^3, m from sqrt(1/2) - 1 to sqrt(2) - 1.

    The constant comes first. A fit at Chebyshev nodes, close to the best one.
    """
    low, high = math.sqrt(0.5) - 1, math.sqrt(2) - 1
    nodes = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(200) + 0.5) / 200)
    exact = (np.log1p(nodes) - nodes + nodes**2 / 2) / nodes**3
    fitted = np.polynomial.Polynomial.fit(nodes, exact, 8, domain=[low, high]).convert()
    return [float(value) for value in fitted.coef]
