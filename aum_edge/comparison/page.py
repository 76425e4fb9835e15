"""A comparison as Markdown: accuracy, size, and differences beyond the spread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aum_edge.bench.host import host
from aum_edge.comparison.config import CompareRecipe
from aum_edge.comparison.summary import (
    PairedDifference,
    Spread,
    differences,
    model_names,
    spread_of,
)
from aum_edge.complexity.verdict import WORDS, state_of, worst
from aum_edge.core.files import write_text
from aum_edge.report.plots.spread import draw_spread

SIZES = ("n_params", "param_bytes", "macs", "official_macs")


def write_page(
    recipe: CompareRecipe, runs: Sequence[dict[str, Any]], folder: Path, command: str
) -> Path | None:
    """NAME.md and NAME.svg in ``folder``; the page's path, or None while no run is done.

    Args:
        recipe: The comparison.
        runs: Summaries of its finished runs.
        folder: Made where it is missing.
        command: What was typed, for the page.
    """
    if not runs:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / f"{recipe.name}.svg"
    percents = {
        title: [100 * value for value in spread_of(runs, name).values]
        for name, title in model_names(recipe).items()
    }
    draw_spread(percents, picture, "macro accuracy on the test split, %")
    machine = host()
    words = (
        f"{machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}, one thread a run"
    )
    path = folder / f"{recipe.name}.md"
    write_text(path, page(recipe, runs, command, words, picture.name))
    return path


def as_document(recipe: CompareRecipe, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The same as plain JSON values: accuracies of every run, and paired differences."""
    return {
        "name": recipe.name,
        "runs": len(runs),
        "of": len(recipe.folds) * len(recipe.seeds),
        "models": {
            title: {"macro_accuracy": _plain(spread_of(runs, name))}
            | {size: list(spread_of(runs, name, size).values) for size in SIZES}
            for name, title in model_names(recipe).items()
        },
        "differences": [
            {"title": item.title, "wins": item.wins, "beyond_spread": item.beyond_spread}
            | _plain(item.spread)
            for item in differences(recipe, runs)
        ],
    }


def _plain(spread: Spread) -> dict[str, Any]:
    """A spread as JSON; one run has neither deviation nor interval."""
    several = len(spread.values) > 1
    return {
        "values": list(spread.values),
        "mean": spread.mean,
        "deviation": spread.deviation if several else None,
        "margin": spread.margin if several else None,
    }


def page(
    recipe: CompareRecipe, runs: Sequence[dict[str, Any]], command: str, host: str, picture: str
) -> str:
    """The whole page; ``runs`` are at least one summary, ``picture`` a file beside it."""
    folds = list(dict.fromkeys(run["fold"] for run in runs))
    seeds = sorted({run["seed"] for run in runs})
    wanted = len(recipe.folds) * len(recipe.seeds)
    lines = [
        f"# {recipe.title or recipe.name}: {len(runs)} of {wanted} runs",
        "",
        f"Command: `{command}`  ",
        f"Host: {host}.  ",
        f"Folds: {', '.join(folds)}; seeds: {', '.join(map(str, seeds))}. The teacher and the "
        "learning rates are those of the fold, chosen on validation data alone.",
        "",
        f"![Accuracy by model]({picture})",
        "",
        "Macro accuracy on the test split in percent: mean ± standard deviation over all runs "
        "(lowest to highest), then the mean of each fold.",
        "",
        *_models(recipe, runs, folds),
        "",
        "Differences in points, paired by fold and seed: mean ± half of the 95 % interval of the "
        "mean, runs in which the first is ahead, the mean of each fold. **Bold**: the interval "
        "leaves zero out. Runs of one fold share test clips and teacher, so the interval speaks "
        "about seeds more than about new speakers or recordings.",
        "",
        *_differences(differences(recipe, runs), folds),
        "",
        "Learning rates that validation chose:",
        "",
        *_rates(runs, folds),
    ]
    return "\n".join(lines) + "\n"


def _models(recipe: CompareRecipe, runs: Sequence[dict[str, Any]], folds: list[str]) -> list[str]:
    head = ["model", "macro accuracy", *folds, "log loss", "epochs", "weights", "bytes"]
    rows = [[*head, "exact MACs", "official MACs", "verdict"]]
    for name, title in model_names(recipe).items():
        by_fold = [
            percent(spread_of([run for run in runs if run["fold"] == fold], name).mean)
            for fold in folds
        ]
        sizes = [_size(runs, name, size) for size in SIZES]
        loss = spread_of(runs, name, "log_loss").mean
        trained = spread_of(runs, name, "epochs")
        epochs = numbers(trained) if any(trained.values) else "–"
        within = [value for run in runs for value in run["models"][name]["within"].values()]
        verdict = WORDS[worst(map(state_of, within))]
        accuracy = with_range(spread_of(runs, name))
        row = [title, accuracy, *by_fold, f"{loss:.3f}", epochs, *sizes]
        rows.append([*row, verdict])
    return table(rows)


def _size(runs: Sequence[dict[str, Any]], name: str, size: str) -> str:
    known = all(run["models"][name][size] is not None for run in runs)
    return numbers(spread_of(runs, name, size)) if known else "–"


def _differences(found: Sequence[PairedDifference], folds: list[str]) -> list[str]:
    rows = [["first − second", "points", "ahead", *folds]]
    for item in found:
        several = len(item.spread.values) > 1
        around = f"± {100 * item.spread.margin:.1f}" if several else "(one run)"
        points = f"{100 * item.spread.mean:+.1f} {around}"
        shown = f"**{points}**" if item.beyond_spread else points
        ahead = f"{item.wins} of {len(item.spread.values)}"
        by_fold = [f"{100 * item.by_fold[fold]:+.1f}" for fold in folds]
        rows.append([item.title, shown, ahead, *by_fold])
    return table(rows)


def _rates(runs: Sequence[dict[str, Any]], folds: list[str]) -> list[str]:
    chosen = {run["fold"]: run["rates"] for run in runs}
    arms = list(chosen[folds[0]])
    if not arms:
        return ["None was asked to be chosen."]
    rows = [["arm", *folds]]
    rows += [[arm, *(f"{chosen[fold][arm]:g}" for fold in folds)] for arm in arms]
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Markdown lines of a table whose first row is its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def percent(value: float) -> str:
    """A share in percent."""
    return f"{100 * value:.1f}"


def with_range(spread: Spread) -> str:
    """Mean ± deviation (lowest to highest), percent; of one run the value, and that it is one."""
    if len(spread.values) == 1:
        return f"{percent(spread.mean)} (one run)"
    low, high = min(spread.values), max(spread.values)
    return (
        f"{percent(spread.mean)} ± {percent(spread.deviation)} ({percent(low)} to {percent(high)})"
    )


def numbers(spread: Spread) -> str:
    """One whole number when all runs agree, else the range."""
    low, high = min(spread.values), max(spread.values)
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"
