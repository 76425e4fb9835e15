"""The runs of a comparison, each in a folder of its own and resumable by itself.

``<out>/<fold>/tuning``, ``<out>/<fold>/teacher`` and ``<out>/<fold>/seed-<n>``; the last ones leave
a summary.json each, which is all that the table is made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aum_edge.comparison.arms import arm_stages, chosen_rates, teacher_stages, tuning_stages
from aum_edge.comparison.config import CompareRecipe
from aum_edge.complexity.limits import Limits, get_limits
from aum_edge.complexity.report import analyse
from aum_edge.complexity.verdict import COUNTS, WITHIN, verdict_of
from aum_edge.core.files import read_json, write_json
from aum_edge.core.progress import Progress
from aum_edge.errors import AumEdgeError
from aum_edge.pipeline.run import Run, run_stages
from aum_edge.pipeline.stages.train import member_name

SUMMARY = "summary.json"
SIZES = ("n_params", "param_bytes", "macs")


@dataclass(frozen=True)
class ComparisonRun:
    """One fold and seed of a comparison, or a fold's preparation where the seed is ``None``."""

    recipe: CompareRecipe
    out: Path
    fold: str
    seed: int | None
    progress: Progress | None = None
    cache: Path | None = None
    """Of features and teacher logits; None is a folder in ``out``."""

    @property
    def folder(self) -> Path:
        """Where the fold's runs are."""
        return self.out / self.fold

    def work(self) -> None:
        """Do what is missing.

        Raises:
            AumEdgeError: The fold is not prepared yet, or whatever a stage finds wrong.
        """
        self._prepare() if self.seed is None else self._compare(self.seed)

    def _run(self, name: str, seed: int, recipe: Any) -> Run:
        return Run(
            recipe=recipe,
            out=self.folder / name,
            cache_dir=self.cache or self.out / "cache",
            progress=self.progress,
        )

    def _prepare(self) -> None:
        """Choose the learning rates by validation, then train the teacher."""
        seed = self.recipe.seeds[0]
        if any(arm.lrs for arm in self.recipe.arms.values()):
            run = self._run("tuning", seed, self.recipe.recipe(self.fold, seed, tuning=True))
            run_stages(run, tuning_stages(self.recipe))
            write_json(self.folder / "rates.json", chosen_rates(self.recipe, run))
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / "rates.json", {})
        if self.recipe.teaches:
            run_stages(self._teacher_run(), teacher_stages())

    def _teacher_run(self) -> Run:
        seed = self.recipe.seeds[0]
        return self._run("teacher", seed, self.recipe.recipe(self.fold, seed))

    def _compare(self, seed: int) -> None:
        chosen = self.folder / "rates.json"
        if not chosen.exists():
            raise AumEdgeError(f"{self.folder} has no learning rates yet: prepare the fold first.")
        rates = read_json(chosen)
        recipe = self.recipe.tuned(rates)
        ordinary = recipe.recipe(self.fold, seed, teachers=self._teachers())
        run = self._run(f"seed-{seed}", seed, ordinary)
        stages = arm_stages(recipe)
        run_stages(run, stages)
        rows = {
            stage.name: _row(run, stage.name, recipe.limits)
            for stage in stages
            if stage.name != "data"
        }
        found = {"key": self.recipe.key(self.fold), "fold": self.fold, "seed": seed}
        write_json(run.out / SUMMARY, found | {"rates": rates, "models": rows})

    def _teachers(self) -> tuple[str, ...]:
        """Model directories of the fold's teacher."""
        if not self.recipe.teaches:
            return ()
        run = self._teacher_run()
        if not (run.folder("teacher") / "stage.json").exists():
            raise AumEdgeError(f"{self.folder} has no teacher yet: prepare the fold first.")
        members = range(run.result("teacher")["members"])
        return tuple(str(run.folder("teacher") / member_name(index)) for index in members)


def _row(run: Run, stage: str, limits: str) -> dict[str, Any]:
    """Scores and size of the model that a stage left; of several teachers, of all together."""
    result = run.result(stage)
    scored = result.get("ensemble", result)
    counted = [
        analyse(run.model(stage, member_name(index)), limits).to_dict()
        for index in range(result.get("members", 1))
    ]
    return {
        **{name: scored["test"][name] for name in ("accuracy", "macro_accuracy", "log_loss")},
        "val_accuracy": scored["val"]["accuracy"],
        "epochs": len(result.get("history", [])),
        **costs(counted, get_limits(limits)),
    }


def costs(counted: list[dict[str, Any]], limits: Limits) -> dict[str, Any]:
    """Figures of all models together, from their ``complexity`` documents, and their verdict.

    ``within`` is null where a limited figure is not known.
    """
    exact, official = (_summed([one[count] for one in counted]) for count in COUNTS)
    lower_bound = any(one["unsupported"] for one in counted)
    verdict = verdict_of(limits, {"exact": exact, "official": official}, lower_bound)
    return {
        **exact,
        "official_macs": official["macs"],
        "official_bytes": official["param_bytes"],
        "within": {count: WITHIN[verdict.state_by(count)] for count in verdict.counts},
    }


def _summed(counted: list[dict[str, Any]]) -> dict[str, float | None]:
    """Each figure of all models together; ``None`` where one of them does not have it."""
    return {
        name: None if None in (values := [one[name] for one in counted]) else sum(values)
        for name in SIZES
    }
