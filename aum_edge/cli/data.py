"""`aum-edge data ...`: look a corpus over, count it, normalise it, make or mend its manifest."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from aum_edge.cli.options import CACHE, add_corpus_arguments, add_recipe, corpus_config
from aum_edge.core.progress import stderr_progress
from aum_edge.errors import RecipeError

KINDS = ("audioset", "vggsound", "voxceleb", "epic-sounds")
CHALLENGE = ("tau2022", "tau2025-evaluation")
BUILT_IN = "builtin"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    names = "check|stats|normalization|reroot|manifest|prepare"
    actions = parser.add_subparsers(dest="action", required=True, metavar=names)
    for name, text in (
        ("check", "decode every file and name what is wrong; exit code 1 if a file is unreadable"),
        ("stats", "clips by split, class and device"),
    ):
        action = actions.add_parser(name, help=text)
        add_corpus_arguments(action)
        _common(action)
    _add_normalization(actions.add_parser("normalization", help="mean and std of the features"))
    _add_reroot(actions.add_parser("reroot", help="a manifest made elsewhere, with paths here"))
    _add_manifest(actions.add_parser("manifest", help="a manifest from a published table"))
    _add_prepare(actions.add_parser("prepare", help="make a corpus ready: challenge or built-in"))


def run(options: argparse.Namespace) -> int:
    """Run the action."""
    actions = {
        "prepare": _prepare,
        "normalization": _normalization,
        "reroot": _reroot,
        "manifest": _manifest,
    }
    return actions.get(options.action, _look_over)(options)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache", type=Path, default=CACHE, help="feature cache")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def _add_normalization(parser: argparse.ArgumentParser) -> None:
    add_recipe(parser, "RECIPE", "its corpus and front end")
    _common(parser)


def _add_reroot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help=".json, .csv or .tsv")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the audio here")
    parser.add_argument(
        "--from",
        dest="old",
        default="",
        metavar="DIR",
        help="what its paths begin with; without it files are found by how their paths end",
    )
    _missing(parser)


def _add_manifest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("table", type=Path, metavar="TABLE", help="as the corpus is published")
    parser.add_argument("out", type=Path, metavar="OUT.json")
    parser.add_argument("--audio", type=Path, required=True, metavar="DIR", help="its audio")
    _missing(parser)


def _missing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-missing", action="store_true", help="leave out rows without a file"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def _add_prepare(parser: argparse.ArgumentParser) -> None:
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


def _look_over(options: argparse.Namespace) -> int:
    from aum_edge.data.corpora.load import load_manifest
    from aum_edge.data.summary import corpus_stats

    progress = stderr_progress()
    manifest = load_manifest(corpus_config(options), options.cache, progress)
    stats = corpus_stats(manifest, check=options.action == "check", progress=progress).to_dict()
    _print(stats, options.json)
    unreadable = [
        p for found in stats["problems"].values() for p in found if p.startswith("unreadable:")
    ]
    return 1 if unreadable else 0


def _normalization(options: argparse.Namespace) -> int:
    from aum_edge.pipeline.read_recipe import load_recipe

    recipe = load_recipe(options.recipe, options.set)
    from aum_edge.data.corpora.load import load_manifest
    from aum_edge.data.features.cache import build_cache
    from aum_edge.data.features.statistics import feature_statistics

    progress = stderr_progress()
    manifest = load_manifest(recipe.data, options.cache, progress)
    arrays = build_cache(manifest, recipe.frontend, options.cache, False, progress)["train"]
    moments = feature_statistics(arrays, recipe.frontend)
    used, alone = moments.padded, moments.sound
    factor = 2.0 if recipe.frontend.kind == "kaldi_fbank" else 1.0
    values = {"mean": round(used.mean, 7), "std": round(used.std, 7), "std_factor": factor}
    if options.json:
        _print({**moments.to_dict(), "clips": len(arrays), "normalization": values}, True)
        return 0
    print(f"{len(arrays)} training clips, {used.frames} frames, {alone.frames} of them sound")
    print(f"all frames, as the network gets them (used): mean {used.mean:.7g} std {used.std:.7g}")
    print(f"frames of sound alone:                       mean {alone.mean:.7g} std {alone.std:.7g}")
    entries = ", ".join(f"{name}: {value:.9g}" for name, value in values.items())
    print(f"for the recipe: data: {{normalization: {{{entries}}}}}")
    return 0


def _reroot(options: argparse.Namespace) -> int:
    from aum_edge.data.prepare.reroot import reroot

    result = reroot(
        options.manifest, options.out, options.to, options.old, allow_missing=options.allow_missing
    )
    values = {
        "rows": result.rows,
        "found": result.found,
        "found_by_name_alone": result.by_name,
        "left_out": list(result.missing),
    }
    if options.json:
        _print(values, True)
        return 0
    print(f"{result.found} of {result.rows} files found; wrote {options.out}")
    if result.by_name:
        print(f"{result.by_name} of them by their file name alone: look them over")
    if result.missing:
        print(f"{len(result.missing)} rows left out")
    return 0


def _manifest(options: argparse.Namespace) -> int:
    from aum_edge.data.prepare.published_tables import write_manifest

    found, rows = write_manifest(
        options.kind, options.table, options.audio, options.out, allow_missing=options.allow_missing
    )
    if options.json:
        _print({"rows": rows, "found": found}, True)
    else:
        print(f"{found} of {rows} rows have audio; wrote {options.out}")
    return 0


def _print(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(values, indent=1))
        return
    for name, value in values.items():
        print(f"{name}: {json.dumps(value)}")


def _prepare(options: argparse.Namespace) -> int:
    """Prepare; exit code 1 if something is wrong that keeps the corpus from being trained on."""
    if options.what in CHALLENGE:
        if options.out is None:
            raise RecipeError(
                f"`aum-edge data prepare {options.what} DIR` needs the folder where the corpus "
                "lies or shall go."
            )
        return _challenge(options)
    from aum_edge.data.corpora.synthetic.generate import SyntheticConfig, generate

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
    from aum_edge.data.prepare.tau2022 import SITE, SPLIT_SITE, Prepare, prepare

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
        _print_summary(summary, options.clean)
    usable = options.clean and summary.get("unusable", 0) < summary["clips"]
    wrong = summary["problems"] if options.strict else not (summary["fit"] or usable)
    return 1 if wrong else 0


def _print_summary(summary: dict[str, Any], cleaned: bool) -> None:
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
