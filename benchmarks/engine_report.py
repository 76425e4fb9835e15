"""The tables and the picture of benchmarks/engine.py."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np

from aum_edge.bench.host import busy
from aum_edge.export.c.generate import STAGES, Program
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.runtimes.c_compiler import find_compiler


@dataclass
class Row:
    """One contestant: how to run it, what it weighs, and the milliseconds it took."""

    model: str
    weights: str
    build: str
    run: Callable[[], object]
    error: float = float("nan")
    code: int = 0
    projections: int = 0
    """Weights of in_proj and out_proj: products a token."""
    program: Program | None = None
    times: list[float] = field(default_factory=list)
    shares: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.model} {self.weights} {self.build}"


def report(
    rows: list[Row],
    configs: dict[str, MambaStudentConfig],
    machine: dict[str, object],
    seconds: float,
) -> str:
    """engine.md."""
    base, middle = min(rows[0].times), float(np.median(rows[0].times))
    lines = [
        "# The C engine",
        "",
        f"Command: `python benchmarks/engine.py {' '.join(sys.argv[1:])}` ({seconds:.0f} s), "
        f"{datetime.date.today()}. "
        f"Host: {machine['cpu']}, {find_compiler().version}, onnxruntime "
        f"{machine['onnxruntime']}, load {machine['load_average']}. {busy(machine) or ''}  ",
        "One clip of 1 s (256 mels by 65 frames), one thread, CPU time of that thread; all models "
        "in turns. Ratio: to CP-Mobile in onnxruntime, minima (medians). Error: largest logit "
        "difference from the same model in torch; weights are random. Builds: avx512, avx2 and "
        "baseline (SSE2) at -O3, portable is plain C at -O2 without vector types. Code is without "
        "weights and tables; the arena includes the front end's.",
        "",
        "| model | weights | build | min ms | median ms | ratio | error | code | arena | weights |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, half = min(row.times), float(np.median(row.times))
        sizes = " | | "
        if row.program:
            sizes = f"{row.code or ''} | {row.program.arena_bytes} | {row.program.weight_bytes}"
        error = "" if np.isnan(row.error) else f"{row.error:.1e}"
        lines.append(
            f"| {row.model} | {row.weights} | {row.build} | {low:.3f} | {half:.3f} | "
            f"**{low / base:.2f}** ({half / middle:.2f}) | {error} | {sizes} |"
        )
    lines += ["", "## Share of each stage, %", "", *stage_table(rows), ""]
    lines += ["## Rates", "", *rates(rows, configs), "", "![Ratio to CP-Mobile](engine.svg)", ""]
    return "\n".join(lines)


def stage_table(rows: list[Row]) -> list[str]:
    """Shares of the float builds."""
    shown = [row for row in rows if row.shares and row.weights == "float"]
    used = [stage for stage in STAGES if any(row.shares[stage] > 0.0005 for row in shown)]
    head = "| model | build | " + " | ".join(stage.lower().replace("_", " ") for stage in used)
    lines = [head + " |", "|---" * (len(used) + 2) + "|"]
    for row in shown:
        values = " | ".join(f"{100 * row.shares[stage]:.1f}" for stage in used)
        lines.append(f"| {row.model} | {row.build} | {values} |")
    return lines


def rates(rows: list[Row], configs: dict[str, MambaStudentConfig]) -> list[str]:
    """What the targets are in: GMAC/s of in_proj and out_proj, ns a state element and step."""
    lines = ["| model | build | projections, GMAC/s | scan, ns a state element |"]
    lines.append("|---|---|---|---|")
    for row in rows:
        if not row.shares or row.weights != "float":
            continue
        config = configs[row.model]
        tokens = -(-config.n_frames // config.time_stride)
        spent = min(row.times) * (row.shares["IN_PROJ"] + row.shares["OUT_PROJ"])
        elements = 2 * tokens * config.depth * config.expand * config.d_model * config.d_state
        scan = f"{min(row.times) * row.shares['SCAN'] * 1e6 / elements:.3f}"
        rate = tokens * row.projections / spent / 1e6
        shown = "" if config.mixer == "none" else scan
        lines.append(f"| {row.model} | {row.build} | {rate:.0f} | {shown} |")
    return lines


def picture(rows: list[Row], path: Path) -> None:
    """Ratios to the control, by preset and build."""
    base = min(rows[0].times)
    shown = [row for row in rows[1:] if "samples" not in row.build]
    plt.rcParams["svg.hashsalt"] = "engine"
    figure, axes = plt.subplots(figsize=(8, 0.22 * len(shown) + 1), layout="constrained")
    colours = {"float": "#33658a", "int8": "#f26419"}
    axes.barh(
        [row.name for row in shown],
        [min(row.times) / base for row in shown],
        color=[colours[row.weights] for row in shown],
    )
    axes.axvline(1, color="grey", linewidth=1)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("time of a clip, times CP-Mobile in onnxruntime")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
