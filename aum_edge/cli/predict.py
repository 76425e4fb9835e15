"""`aum-edge predict MODEL AUDIO ...`: the label of each file."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="model or run directory, or an exported file"
    )
    parser.add_argument("audio", type=Path, nargs="+", metavar="AUDIO")
    parser.add_argument(
        "--stream",
        action="store_true",
        help="take each file as one stream, in constant memory; MODEL is a step graph",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(options: argparse.Namespace) -> int:
    """Label every file; one that cannot be read does not stop the others (exit code 1 then)."""
    from aum_edge.runtimes.predictor import open_predictor, open_stream

    predictor = (open_stream if options.stream else open_predictor)(options.model)
    rows: list[dict[str, Any]] = [predictor.label_file(path) for path in options.audio]
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        for row in rows:
            if "error" in row:
                print(f"aum-edge: {row['error']}", file=sys.stderr)
            else:
                share = row["probabilities"][row["label"]]
                print(f"{row['file']}\t{row['label']}\t{share:.3f}")
    return 1 if any("error" in row for row in rows) else 0
