"""`aum-edge data prepare`: a corpus downloaded or given, unpacked, checked and counted."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from aum_edge.cli.progress import stderr_progress
from aum_edge.errors import RecipeError

CHALLENGE = ("tau2022", "tau2025-evaluation")
BUILT_IN = "builtin"


def add_prepare(parser: argparse.ArgumentParser) -> None:
    """Options of the action."""
    parser.add_argument(
        "what",
        metavar="CORPUS",
        help=f"{', '.join(CHALLENGE)} or {BUILT_IN}; without DIR: the built-in corpus's folder",
    )
    parser.add_argument("out", type=Path, nargs="?", metavar="DIR", help="where it lies or goes")
    built_in = parser.add_argument_group(BUILT_IN)
    built_in.add_argument("--seed", type=int, default=0)
    built_in.add_argument("--train", type=int, default=1200, help="clips to learn from")
    built_in.add_argument("--test", type=int, default=450, help="clips to test on")
    challenge = parser.add_argument_group(" and ".join(CHALLENGE))
    challenge.add_argument(
        "--no-download", action="store_true", help="DIR holds the corpus, or its archives"
    )
    challenge.add_argument("--splits", type=Path, metavar="DIR", help="the published split files")
    challenge.add_argument("--site", metavar="URL", help="where the record is listed")
    challenge.add_argument("--split-site", metavar="URL", help="where the split files are")
    challenge.add_argument("--tables-only", action="store_true", help="do not decode the audio")
    challenge.add_argument(
        "--clean", action="store_true", help="take unusable clips out wherever the corpus is read"
    )
    challenge.add_argument(
        "--strict", action="store_true", help="exit code 1 for silent or clipped clips as well"
    )
    challenge.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run_prepare(options: argparse.Namespace) -> int:
    """Prepare; exit code 1 if something is wrong that keeps the corpus from being trained on."""
    if options.what in CHALLENGE:
        if options.out is None:
            raise RecipeError(
                f"`aum-edge data prepare {options.what} DIR` needs the folder where the corpus "
                "lies or shall go."
            )
        return _challenge(options)
    from aum_edge.data.config import SyntheticConfig
    from aum_edge.data.synthetic import generate

    folder = Path(options.what) if options.out is None else options.out
    if options.out is not None and options.what != BUILT_IN:
        raise RecipeError(
            f"There is no corpus `{options.what}` to prepare; there are "
            f"{', '.join((*CHALLENGE, BUILT_IN))}."
        )
    config = SyntheticConfig(seed=options.seed, n_train=options.train, n_test=options.test)
    print(generate(config, folder, stderr_progress()))
    return 0


def _challenge(options: argparse.Namespace) -> int:
    from aum_edge.data.challenge import SITE, SPLIT_SITE, Prepare, prepare

    how = Prepare(
        site=options.site or SITE,
        split_site=options.split_site or SPLIT_SITE,
        splits=options.splits,
        download=not options.no_download,
        clean=options.clean,
        decode=not options.tables_only,
    )
    summary = prepare(options.what, options.out, how, stderr_progress())
    if options.json:
        print(json.dumps(summary, indent=1))
    else:
        _tell(summary, options.clean)
    usable = options.clean and summary.get("unusable", 0) < summary["clips"]
    wrong = summary["problems"] if options.strict else not (summary["fit"] or usable)
    return 1 if wrong else 0


def _tell(summary: dict[str, Any], cleaned: bool) -> None:
    print(f"{summary['clips']:,} clips")
    for name in ("labels", "devices", "cities"):
        counts = summary.get(name)
        if counts:
            print(f"{name}: {', '.join(f'{key} {count:,}' for key, count in counts.items())}")
    for name, split in summary.get("splits", {}).items():
        devices = ", ".join(f"{key} {count:,}" for key, count in split["devices"].items())
        print(f"{name}: {split['clips']:,} clips ({devices})")
    for kind, found in summary["problems"].items():
        more = found["count"] - len(found["first"])
        rest = f" and {more:,} more" if more else ""
        print(f"{kind}: {found['count']:,}: {'; '.join(found['first'])}{rest}")
    if not summary["problems"]:
        print("nothing is wrong")
    elif summary.get("unusable"):
        then = (
            "they are left out wherever the corpus is read"
            if cleaned
            else "`--clean` takes them out wherever the corpus is read"
        )
        print(f"{summary['unusable']:,} clips cannot be used; {then}")
