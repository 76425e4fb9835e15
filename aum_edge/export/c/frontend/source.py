"""The log-mel front end as C99: raw samples in, the features that torch makes of them out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.frontend import PRE_EMPHASIS
from aum_edge.errors import ExportError
from aum_edge.export.c.frontend.fft_passes import Pass, function, passes
from aum_edge.export.c.frontend.fft_plan import FftPlan, plan
from aum_edge.export.c.frontend.tables import (
    Tables,
    add_mels,
    add_twiddles,
    add_window,
    literal,
    log_polynomial,
    window_rows,
)

Entry = Literal["frame", "clip", "stream", "end"]
SMALLEST_NORMAL = 2.0**-126
MOST_SAMPLES = 1 << 30
SPARE = 16
"""Floats after the imaginary part: the highest bin's power, and zeros that fill the last four."""


@dataclass(frozen=True, kw_only=True)
class CFrontEnd:
    """A front end in C, with static linkage and no state of its own.

    ``source`` needs ``INLINE`` (static inline), <stdint.h>, <stddef.h> and <string.h>.
    """

    source: str
    scratch_floats: int
    """What ``fe_frame``, ``fe_clip``, ``fe_push`` and ``fe_end`` need beside their results."""
    stream_floats: int
    """Of ``fe_stream``, whose members take 4 bytes each; 0 if nothing streams."""
    tables_bytes: int
    """Constants in flash."""
    macs: int
    """Multiplications that a frame takes."""


def front_end(config: FrontEndConfig, entries: tuple[Entry, ...]) -> CFrontEnd:
    """Write a front end.

    Args:
        config: Any front end whose ``n_fft`` is a multiple of 4 without prime factors above 7.
        entries: What the program calls; only that is written. ``frame`` is ``fe_frame``: one frame
            of a whole clip. ``clip`` is ``fe_clip``: all of them, with ``range_db`` and
            ``clip_mean``. ``stream`` is ``fe_begin`` and ``fe_push``; ``end`` beside it is
            ``fe_end``, for the frames that reach beyond a stream's last sample.

    Raises:
        ExportError: If ``n_fft`` does not suit, the log's offset is no normal float32, or frames
            are asked for one by one that depend on the whole clip.
    """
    _check(config, entries)
    cut = plan(config.n_fft)
    rows = passes("row", cut.row_radices, cut.rows, cut.tile)
    columns = passes("column", cut.column_radices, cut.columns, cut.rows)
    tables = Tables()
    add_window(tables, config, cut)
    add_twiddles(tables, cut, [*rows, *columns])
    powers, weights = add_mels(tables, config)
    scratch = _scratch(cut) + config.n_mels * ("clip" in entries)
    defined = {
        **_sizes(config, cut, scratch, powers),
        **_arithmetic(config),
        "FE_ROW_PASSES(re, im)": _calls(rows),
        "FE_COLUMN_PASSES(re, im)": _calls(columns),
    }
    head = [f"#define {name} {value}".rstrip() for name, value in defined.items()]
    source = "\n".join(
        [*head, _view(config), *tables.lines, *map(function, [*rows, *columns])]
        + [_text(name) for name in _pieces(config, entries)]
    )
    return CFrontEnd(
        source=source,
        scratch_floats=scratch,
        stream_floats=2 + _span(config) if "stream" in entries else 0,
        tables_bytes=tables.bytes,
        macs=_macs(config, cut, [*rows, *columns], weights),
    )


def _check(config: FrontEndConfig, entries: tuple[Entry, ...]) -> None:
    if config.log_offset < SMALLEST_NORMAL:
        raise ExportError(
            f"The C front end needs a `log_offset` of at least {SMALLEST_NORMAL:.3g}, "
            f"got {config.log_offset:g}."
        )
    if config.clip_samples > MOST_SAMPLES or config.n_mels * config.n_frames > MOST_SAMPLES:
        raise ExportError(
            f"A clip of {config.clip_samples:,} samples and {config.n_mels * config.n_frames:,} "
            f"features is more than the C front end counts ({MOST_SAMPLES:,})."
        )
    if config.whole_clip and set(entries) != {"clip"}:
        raise ExportError(
            "Frames of a front end with `range_db` or `clip_mean` depend on the whole clip and "
            "cannot be made one by one."
        )


def _sizes(config: FrontEndConfig, cut: FftPlan, scratch: int, powers: int) -> dict[str, str]:
    first, end = window_rows(config, cut)
    kaldi = config.kind == "kaldi_fbank"
    reflects = not kaldi and config.stft_padding == "reflect"
    half = 0 if kaldi else config.n_fft // 2
    values = {
        "FE_SAMPLES": config.clip_samples,
        "FE_FRAMES": config.n_frames,
        "FE_MELS": config.n_mels,
        "FE_HOP": config.hop_length,
        "FE_WINDOW": config.win_length,
        "FE_HALF": half,
        "FE_SPAN": _span(config),
        "FE_KEPT": half + 1 if reflects else 0,
        "FE_REFLECT": int(reflects),
        "FE_POINTS": cut.points,
        "FE_ROWS": cut.rows,
        "FE_COLUMNS": cut.columns,
        "FE_TILE": cut.tile,
        "FE_ROW_FIRST": first,
        "FE_ROW_END": end,
        "FE_POWERS": powers,
        "FE_SCRATCH": scratch,
        "FE_MAGNITUDE": int(not kaldi and config.power == 1),
        "FE_HAS_RANGE": int(config.range_db > 0),
        "FE_HAS_MEAN": int(config.clip_mean),
    }
    return {name: str(value) for name, value in values.items()}


def _arithmetic(config: FrontEndConfig) -> dict[str, str]:
    kaldi = config.kind == "kaldi_fbank"
    offset = literal(config.log_offset)
    horner = ""
    for value in log_polynomial():
        horner += f"{literal(value)} + (m) * ("
    horner = horner.removesuffix(" + (m) * (") + ")" * (horner.count("(m) * (") - 1)
    reach = config.range_db * math.log(10) / 10 * config.power / 2
    return {
        "FE_PRE_EMPHASIS": literal(PRE_EMPHASIS),
        "FE_RANGE": literal(reach),
        "FE_FLOORED(x)": f"((x) < {offset} ? {offset} : (x))" if kaldi else f"((x) + {offset})",
        "FE_SET_MEAN(view)": "view.mean = fe_mean(view.samples + view.first);" if kaldi else "",
        "FE_LOG_POLYNOMIAL(m)": f"({horner})",
    }


def _span(config: FrontEndConfig) -> int:
    """Samples inside a frame's window."""
    return config.win_length if config.kind == "kaldi_fbank" else config.n_fft


def _scratch(cut: FftPlan) -> int:
    """Floats: the FFT's two parts, and one tile or two rows and a column, in whole registers."""
    work = max(2 * cut.rows * cut.tile, cut.columns + 1 + 2 * cut.rows + 1)
    return 2 * cut.points + SPARE + -(-work // 16) * 16


def _calls(steps: list[Pass]) -> str:
    return " ".join(f"fe_{step.name}(re, im);" for step in steps)


def _view(config: FrontEndConfig) -> str:
    mean = " float mean;" if config.kind == "kaldi_fbank" else ""
    return (
        "\n#if defined(__GNUC__)\n#define FE_RESTRICT __restrict\n"
        "#elif !defined(__cplusplus)\n#define FE_RESTRICT restrict\n"
        "#else\n#define FE_RESTRICT\n#endif\n"
        "/* Samples, how many there are, and where a window among them begins. */\n"
        f"typedef struct {{ const float *samples; int32_t count, first;{mean} }} fe_view;\n"
    )


def _pieces(config: FrontEndConfig, entries: tuple[Entry, ...]) -> list[str]:
    load = "load_kaldi" if config.kind == "kaldi_fbank" else "load_mel"
    found = [load, "spectrum", "mel", "frame"]
    if "frame" in entries or "clip" in entries:
        found.append("clip")
    if "clip" in entries:
        found += ["range"] * (config.range_db > 0) + ["centre"] * config.clip_mean + ["whole"]
    return found + [name for name in ("stream", "end") if name in entries]


def _text(piece: str) -> str:
    return (files("aum_edge.export.c") / "csrc" / f"frontend_{piece}.c").read_text("utf-8")


def _macs(config: FrontEndConfig, cut: FftPlan, steps: list[Pass], weights: int) -> int:
    """Multiplications of a frame as this code does them; a tile's passes run for every tile."""
    tiles = cut.columns // cut.tile
    fft = sum(step.macs * (tiles if step.name.startswith("row") else 1) for step in steps)
    twist = 4 * (cut.rows - 1) * cut.columns
    fold = (4 + 4) * (cut.points // 2)
    window = config.win_length * (2 if config.kind == "kaldi_fbank" else 1)
    return window + fft + twist + fold + weights
