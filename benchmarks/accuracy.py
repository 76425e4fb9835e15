"""The main job over corpora and seeds: a table with means and spreads. Resumable.

    python benchmarks/accuracy.py --recipe recipes/quickstart.yaml --seeds 0 1 2
    python benchmarks/accuracy.py --recipe recipes/fsdd.yaml --seeds 0 1 2 \
        --vary data.test_speakers "[george]" "[jackson]" "[nicolas]" "[theo]"

Every run is an ordinary `aum-edge run` in its own folder under --out, so killing this script and
starting it again goes on where it was. Rows are written to --table as Markdown beside the host.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from itertools import product
from pathlib import Path

from aum_edge.bench.host import host

ORDER = ("teacher", "student_distilled", "student_pruned", "student_int8", "control")


def main() -> int:
    """Run all combinations, then write the table."""
    options = arguments()
    vary, *values = options.vary or ["", ""]
    folders = []
    for value, seed in product(values, options.seeds):
        label = "".join(c for c in value if c.isalnum()) or "all"
        out = options.out / f"{options.recipe.stem}-{label}-{seed}"
        command = [sys.executable, "-m", "aum_edge", "run", str(options.recipe)]
        command += ["--out", str(out), "--cache", str(options.out / "cache")]
        command += ["--set", f"seed={seed}", *[w for s in options.set for w in ("--set", s)]]
        if vary:
            command += ["--set", f"{vary}={value}"]
        if subprocess.run(command, check=False).returncode != 0:
            print(f"{out} failed; going on with the others", file=sys.stderr)
            continue
        folders.append(out)
    summaries = [json.loads((f / "report" / "summary.json").read_text()) for f in folders]
    if not summaries:
        return 1
    text = table(options, summaries)
    print(text)
    if options.table:
        options.table.parent.mkdir(parents=True, exist_ok=True)
        options.table.write_text(text + "\n", encoding="utf-8")
    return 0


def arguments() -> argparse.Namespace:
    """Options of the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--vary", nargs="+", metavar="KEY VALUE", help="a recipe key, its values")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=V")
    parser.add_argument("--out", type=Path, default=Path("runs/accuracy"))
    parser.add_argument("--table", type=Path, help="Markdown file to write")
    return parser.parse_args()


def table(options: argparse.Namespace, summaries: list[dict]) -> str:
    """Markdown: one row a model, mean and standard deviation over all runs."""
    machine = host()
    lines = [
        f"# {options.recipe.stem}: {len(summaries)} runs",
        "",
        f"Command: `python benchmarks/accuracy.py {' '.join(sys.argv[1:])}`  ",
        f"Host: {machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}, "
        f"onnxruntime {machine['onnxruntime']}. Accuracy in percent on the test split: mean ± "
        "standard deviation, lowest to highest.",
        "",
        "| model | accuracy | macro | log loss | weights | bytes | exact MACs | official MACs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key in ORDER:
        rows = [summary["models"][key] for summary in summaries]
        sizes = [spread([row[name] for row in rows]) for name in SIZES]
        scores = [percent([row[name] for row in rows]) for name in ("accuracy", "macro_accuracy")]
        loss = statistics.mean(row["log_loss"] for row in rows)
        lines.append(f"| {key} | {' | '.join(scores)} | {loss:.3f} | {' | '.join(sizes)} |")
    return "\n".join(lines)


SIZES = ("n_params", "param_bytes", "macs", "official_macs")


def percent(values: list[float]) -> str:
    """Mean ± deviation and range, in percent."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    low, high = 100 * min(values), 100 * max(values)
    return f"{100 * statistics.mean(values):.1f} ± {100 * deviation:.1f} ({low:.1f}–{high:.1f})"


def spread(values: list[int]) -> str:
    """One number when all runs agree, else the range."""
    if min(values) == max(values):
        return f"{values[0]:,}"
    return f"{min(values):,}–{max(values):,}"


if __name__ == "__main__":
    sys.exit(main())
