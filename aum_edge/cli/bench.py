"""`aum-edge bench MODEL ...`: latency side by side, the first model being the control."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from aum_edge.cli.progress import stderr_progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(options: argparse.Namespace) -> int:
    """Measure all models interleaved and print a table."""
    from aum_edge.bench.config import BenchConfig
    from aum_edge.bench.latency import measure

    config = BenchConfig(threads=options.threads, runs=options.runs)
    values = measure(options.models, config, progress=stderr_progress()).to_dict()
    if options.json:
        print(json.dumps(values, indent=1))
        return 0
    print(f"{'model':<40} {'runtime':<12} {'p50 ms':>8} {'p90':>8} {'p99':>8} {'load ms':>8} ratio")
    first = values["rows"][0]["p50_ms"]
    for row in values["rows"]:
        print(
            f"{row['model']:<40} {row['runtime']:<12} {row['p50_ms']:>8.3f} {row['p90_ms']:>8.3f} "
            f"{row['p99_ms']:>8.3f} {row['load_ms']:>8.1f} {row['p50_ms'] / first:5.2f}"
        )
    host = values["host"]
    print(
        f"{options.threads} thread(s), {options.runs} runs each, on {host.get('cpu', 'this CPU')}"
    )
    return 0
