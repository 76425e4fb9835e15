"""The challenge's two stages over several seeds: general and device-specific accuracy with spread.

    python benchmarks/two_stage.py recipes/dcase2025/quick.yaml --seeds 0 1 2

Runs the recipe once a seed (what is done is kept), then writes means and standard deviations by
device, by group of devices and overall, with official and exact complexity by device.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from aum_edge.bench.host import host
from aum_edge.complexity.verdict import WORDS, state_of, worst

Family = dict[str, Any]


def main() -> int:
    """Run, gather, print and keep."""
    options = arguments()
    runs = []
    for seed in options.seeds:
        out = options.runs / f"{options.recipe.stem}-seed{seed}"
        if not options.gather:
            run_seed(options, seed, out)
        summary = json.loads((out / "report" / "summary.json").read_text(encoding="utf-8"))
        runs.append(summary["device_models"]["families"])
    text = page(options, runs)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    return 0


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs/two_stage"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--gather", action="store_true", help="the runs are there already")
    parser.add_argument("--out", type=Path, help="Markdown file for the tables")
    return parser.parse_args()


def run_seed(options: argparse.Namespace, seed: int, out: Path) -> None:
    """One run of the recipe; it shows its own progress."""
    command = [sys.executable, "-m", "aum_edge", "run", str(options.recipe)]
    for text in (f"seed={seed}", *options.set):
        command += ["--set", text]
    command += ["--out", str(out), "--cache", str(options.runs / "cache")]
    subprocess.run(command, check=True)


def page(options: argparse.Namespace, runs: Sequence[Sequence[Family]]) -> str:
    """All tables."""
    machine = host()
    seeds = " ".join(map(str, options.seeds))
    lines = [
        f"# Two stages, {options.recipe.stem}: {len(runs)} seeds",
        "",
        f"`python benchmarks/two_stage.py {options.recipe} --seeds {seeds}`, "
        f"{datetime.now(UTC):%Y-%m-%d}; {machine['cpu']}, {machine['logical_cores']} cores, torch "
        f"{machine['torch']}, load {os.getloadavg()[0]:.1f}. Test accuracy in %, mean ± standard "
        "deviation over seeds; a clip of a device without a model of its own is answered by the "
        "general one. Gain is that of each seed, then averaged.",
    ]
    for number in range(len(runs[0])):
        families = [run[number] for run in runs]
        lines += ["", f"## {families[0]['title']}", "", *scores(families), "", *costs(families)]
    return "\n".join(lines) + "\n"


def scores(families: Sequence[Family]) -> Iterator[str]:
    """Accuracy, macro accuracy and log loss of both stages."""
    yield (
        "| Device | Clips | General | Specific | Gain | Macro, general | Macro, specific | "
        "Log loss, general | Log loss, specific |"
    )
    yield "| --- |" + " ---: |" * 8
    for kind in ("devices", "groups"):
        for row in range(len(families[0][kind])):
            found = [family[kind][row] for family in families]
            yield line(str(found[0].get("device") or found[0]["group"]), found)
    yield line("all clips", [family["overall"] for family in families])


def line(name: str, rows: Sequence[dict[str, Any]]) -> str:
    """One row over the seeds."""
    gains = [100 * (row["specific"]["accuracy"] - row["general"]["accuracy"]) for row in rows]
    cells = [name, str(rows[0]["general"]["n"])]
    cells += [spread([100 * row[k]["accuracy"] for row in rows]) for k in ("general", "specific")]
    cells.append(spread(gains, sign="+"))
    cells += [
        spread([100 * row[k]["macro_accuracy"] for row in rows]) for k in ("general", "specific")
    ]
    cells += [spread([row[k]["log_loss"] for row in rows], 3) for k in ("general", "specific")]
    return f"| {' | '.join(cells)} |"


def costs(families: Sequence[Family]) -> Iterator[str]:
    """The largest model of each device over the seeds."""
    yield "| Device | MACs, official | MACs, exact | Bytes, official | Bytes, exact | Verdict |"
    yield "| --- |" + " ---: |" * 4 + " --- |"
    for row in range(len(families[0]["devices"])):
        found = [family["devices"][row] for family in families]
        cells = [found[0]["device"]]
        for key in ("macs", "param_bytes"):
            for count in ("official", "exact"):
                cells.append(f"{max(r['complexity'][count][key] for r in found):,}")
        within = [value for r in found for value in r["complexity"]["within_limits"].values()]
        yield f"| {' | '.join([*cells, WORDS[worst(map(state_of, within))]])} |"


def spread(values: Sequence[float], digits: int = 1, sign: str = "") -> str:
    """Mean ± standard deviation; the value alone where there is one."""
    text = f"{mean(values):{sign}.{digits}f}"
    return f"{text} ± {stdev(values):.{digits}f}" if len(values) > 1 else text


if __name__ == "__main__":
    sys.exit(main())
