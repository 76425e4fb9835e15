"""`aum-edge data check|stats|prepare`: look a corpus over, count it, or make the built-in one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from aum_edge.cli.corpus import add_corpus_arguments, corpus_config
from aum_edge.cli.progress import stderr_progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="check|stats|prepare")
    for name, text in (
        ("check", "decode every file and name what is wrong; exit code 1 if a file is unreadable"),
        ("stats", "clips by split, class and device"),
    ):
        action = actions.add_parser(name, help=text)
        add_corpus_arguments(action)
        action.add_argument("--cache", type=Path, default=Path("runs/cache"))
        action.add_argument("--json", action="store_true", help="one JSON document on stdout")
    prepare = actions.add_parser("prepare", help="write the built-in corpus to a folder")
    prepare.add_argument("out", type=Path, metavar="DIR")
    prepare.add_argument("--seed", type=int, default=0)
    prepare.add_argument("--train", type=int, default=1200, help="clips to learn from")
    prepare.add_argument("--test", type=int, default=450, help="clips to test on")


def run(options: argparse.Namespace) -> int:
    """Do what the action says."""
    if options.action == "prepare":
        return _prepare(options)
    from aum_edge.data.corpora import load_manifest
    from aum_edge.data.stats import corpus_stats

    progress = stderr_progress()
    manifest = load_manifest(corpus_config(options), options.cache, progress)
    stats = corpus_stats(manifest, check=options.action == "check", progress=progress).to_dict()
    if options.json:
        print(json.dumps(stats, indent=1))
    else:
        for name, value in stats.items():
            print(f"{name}: {json.dumps(value)}")
    unreadable = [
        p for found in stats["problems"].values() for p in found if p.startswith("unreadable:")
    ]
    return 1 if unreadable else 0


def _prepare(options: argparse.Namespace) -> int:
    from aum_edge.data.config import SyntheticConfig
    from aum_edge.data.synthetic import generate

    config = SyntheticConfig(seed=options.seed, n_train=options.train, n_test=options.test)
    print(generate(config, options.out, stderr_progress()))
    return 0
