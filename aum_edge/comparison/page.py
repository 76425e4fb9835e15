"""A comparison as Markdown: how accurate, how large, and what differs beyond the spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aum_edge.comparison.config import CompareRecipe
from aum_edge.comparison.summary import (
    PairedDifference,
    Spread,
    differences,
    model_names,
    spread_of,
)
from aum_edge.complexity.verdict import WORDS, state_of, worst

SIZES = ("n_params", "param_bytes", "macs", "official_macs")


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
        margin = item.spread.margin
        around = f"± {100 * margin:.1f}" if margin < 10 else "(one run)"
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
    """Mean ± deviation (lowest to highest), percent."""
    low, high = min(spread.values), max(spread.values)
    return (
        f"{percent(spread.mean)} ± {percent(spread.deviation)} ({percent(low)} to {percent(high)})"
    )


def numbers(spread: Spread) -> str:
    """One whole number when all runs agree, else the range."""
    low, high = min(spread.values), max(spread.values)
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"
