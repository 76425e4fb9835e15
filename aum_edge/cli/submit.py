"""`aum-edge submit MODEL --label L --out DIR`: a challenge submission, made, predicted, checked."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aum_edge.core.progress import stderr_progress

if TYPE_CHECKING:
    from aum_edge.submission.build import Built
    from aum_edge.submission.runtime.system import Running

EPILOG = """\
aum-edge submit --new-info info.yaml              writes the questions that no run can answer
aum-edge submit MODEL --label L --out DIR ...     makes package, outputs, meta file and zips
aum-edge submit --predict DIR --eval EVAL         predicts the evaluation set with what DIR holds
aum-edge submit --check DIR [--eval EVAL]         installs and runs it without aum_edge

The kinds of --check's lines: OVER a limit (exit code 3), ERROR (exit code 1), note.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "model",
        type=Path,
        nargs="?",
        metavar="MODEL",
        help="the general model, directory or .onnx; or a recipe's run with all its models",
    )
    parser.add_argument("--label", help="[Lastname]_[Institute]_task1_[1-4]")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the submission's folder")
    parser.add_argument(
        "--device", action="append", default=[], metavar="ID=MODEL", help="a device's own model"
    )
    parser.add_argument(
        "--devices", type=Path, metavar="DIR", help="folder with a model for each device: a, b, ..."
    )
    parser.add_argument(
        "--split", action="append", default=[], metavar="N=MODEL", help="2024: 5, 10, 25, 50, 100"
    )
    parser.add_argument("--year", type=int, default=2025, help="2022 to 2025")
    parser.add_argument("--limits", default="", help="a preset or a YAML file; default: the year's")
    parser.add_argument("--info", type=Path, metavar="FILE", help="authors, names, outside data")
    parser.add_argument("--run", type=Path, dest="recipe_run", metavar="DIR", help="the recipe run")
    parser.add_argument("--dev", type=Path, metavar="DIR", help="development set, for its results")
    parser.add_argument("--eval", type=Path, metavar="DIR", help="evaluation set, to be predicted")
    parser.add_argument("--technical-report", type=Path, metavar="PDF")
    parser.add_argument(
        "--depend-on-aum-edge", action="store_true", help="import aum_edge instead of copying it"
    )
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=0, help="decoding threads; 0 is one a core")
    parser.add_argument("--cuda", action="store_true", help="predict on a GPU, if there is one")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--check", type=Path, metavar="DIR", help="check a submission's folder")
    other.add_argument("--predict", type=Path, metavar="DIR", help="write its output tables")
    other.add_argument("--new-info", type=Path, metavar="FILE", help="write the questions to FILE")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(options: argparse.Namespace) -> int:
    """Make, predict or check a submission."""
    _check_options(options)
    if options.new_info:
        return _new_info(options.new_info)
    if options.check:
        return _check(options)
    if options.predict:
        return _predict(options)
    return _build(options)


def _check_options(options: argparse.Namespace) -> None:
    from aum_edge.errors import RecipeError

    other = next((n for n in ("check", "predict", "new_info") if getattr(options, n)), None)
    if other and (options.model or options.label or options.out):
        raise RecipeError(
            f"`--{other.replace('_', '-')}` takes its folder or file alone, without MODEL, --label "
            "and --out."
        )
    if other == "predict" and not options.eval:
        raise RecipeError("`--predict` needs the evaluation set: `--eval DIR`.")
    if not other:
        lacking = [n for n in ("label", "out") if not getattr(options, n)]
        if options.model is None and not options.split:
            lacking.insert(0, "MODEL")
        if lacking:
            names = ", ".join(n if n == "MODEL" else f"--{n}" for n in lacking)
            raise RecipeError(f"A submission needs {names}: see `aum-edge submit --help`.")
    for name in ("batch_size", "workers"):
        least = 1 if name == "batch_size" else 0
        if getattr(options, name) < least:
            raise RecipeError(f"`--{name.replace('_', '-')}` must be at least {least}.")


def _new_info(path: Path) -> int:
    from aum_edge.core.files import write_text
    from aum_edge.errors import RecipeError
    from aum_edge.submission.info import TEMPLATE

    if path.exists():
        raise RecipeError(f"{path} exists: give another name, or fill that one in.")
    write_text(path, TEMPLATE)
    print(f"{path}: replace every FILL IN, then give it with --info.")
    return 0


def _check(options: argparse.Namespace) -> int:
    from aum_edge.submission.check.check import check_submission
    from aum_edge.submission.check.findings import exit_code
    from aum_edge.submission.file_list import evaluation_listing

    listing = evaluation_listing(options.eval) if options.eval else None
    findings = check_submission(options.check, listing, stderr_progress())
    code = exit_code(findings)
    if options.json:
        rows = [vars(finding) for finding in findings]
        print(json.dumps({"passed": code == 0, "exit_code": code, "findings": rows}, indent=1))
        return code
    words = {"over": "OVER", "error": "ERROR", "note": "note"}
    for finding in findings:
        print(f"{words[finding.level]:<5}  {finding.what}")
    wrong = sum(finding.level != "note" for finding in findings)
    print(f"{options.check}: " + (f"{wrong} findings" if wrong else "passed"))
    return code


def _predict(options: argparse.Namespace) -> int:
    from aum_edge.submission.build import predict_submission

    files = predict_submission(options.predict, options.eval, _running(options), stderr_progress())
    if options.json:
        print(json.dumps([str(path) for path in files], indent=1))
    else:
        print("\n".join(map(str, files)))
    return 0


def _build(options: argparse.Namespace) -> int:
    from aum_edge.submission.build import Sources, build_submission
    from aum_edge.submission.config import SubmissionConfig, device_folders, run_models

    general: Path | None = options.model
    devices: dict[str, Path] = {}
    if general and (general / "recipe.yaml").is_file():
        general, devices = run_models(general)
    if options.devices:
        devices = device_folders(options.devices)
    splits = {_percent(key): path for key, path in _pairs("split", options.split).items()}
    config = SubmissionConfig(
        label=options.label,
        general=general or splits.get(25, Path()),
        devices={**devices, **_pairs("device", options.device)},
        splits=splits,
        year=options.year,
        limits=options.limits,
        depend_on_aum_edge=options.depend_on_aum_edge,
    )
    sources = Sources(
        info=options.info,
        run=options.recipe_run,
        development=options.dev,
        evaluation=options.eval,
        technical_report=options.technical_report,
    )
    built = build_submission(config, options.out, sources, _running(options), stderr_progress())
    if options.json:
        print(json.dumps(built.to_dict(), indent=1))
        return 0
    _show(built)
    return 0


def _show(built: Built) -> None:
    print(f"{built.label} in {built.out}")
    for name, row in built.complexity.get("per_model", {}).items():
        print(
            f"  {name:<8} {row['macs']:>12,} MACs  {row['model_size']:>8,} bytes  "
            f"{row['exact_macs']:>12,} MACs in truth"
        )
    if built.results and "overall" in built.results:
        overall = built.results["overall"]
        print(
            f"  development set: {overall['accuracy']:.2f} % of classes on average, "
            f"{built.test_accuracy:.2f} % of files, log loss {overall['logloss']:.3f}"
        )
        cells = [f"{n} {row['accuracy']:.1f}" for n, row in built.results["device_wise"].items()]
        print(f"  by device: {', '.join(cells)}")
    for name in built.files:
        print(f"  {name}")
    for note in built.notes:
        print(note, file=sys.stderr)
    print(f"Check it: aum-edge submit --check {built.out}")


def _running(options: argparse.Namespace) -> Running:
    from aum_edge.submission.runtime.system import Running

    return Running(batch_size=options.batch_size, workers=options.workers, use_cuda=options.cuda)


def _pairs(option: str, texts: list[str]) -> dict[str, Path]:
    """``ID=MODEL`` options by their ids."""
    from aum_edge.errors import RecipeError

    found: dict[str, Path] = {}
    for text in texts:
        name, mark, path = text.partition("=")
        if not mark or not name or not path:
            raise RecipeError(f"`--{option}` takes ID=MODEL, got '{text}'.")
        if name in found:
            raise RecipeError(f"`--{option} {name}=...` is given twice.")
        found[name] = Path(path)
    return found


def _percent(text: str) -> int:
    from aum_edge.errors import RecipeError

    if not text.isdecimal():
        raise RecipeError(f"`--split` takes 5=MODEL and so on, got '{text}'.")
    return int(text)
