"""The loop of a search: draw, count, train and record trials, shared by several processes."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna

from aum_edge.core.distributed import require_launch
from aum_edge.core.locks import hold_lock
from aum_edge.core.progress import Progress
from aum_edge.errors import RecipeError, SearchError
from aum_edge.search.config import OPTUNA_PRUNERS, SearchRecipe
from aum_edge.search.context import SearchContext
from aum_edge.search.records import FINISHED, Record, read_records, write_record
from aum_edge.search.references import check_references, train_references
from aum_edge.search.space.candidate import cost_of, fresh, student_config
from aum_edge.search.space.dimensions import Params
from aum_edge.search.space.feasibility import require_feasible
from aum_edge.search.space.points import all_points, key_of, used_up
from aum_edge.search.space.student_settings import settings_of
from aum_edge.search.study.optuna_adapter import costs_known
from aum_edge.search.study.pruner import TrialCurve, should_prune
from aum_edge.search.study.study import SharedStudy, counted, records_of
from aum_edge.search.study.workers import Heartbeat
from aum_edge.search.trial import TrialPlan, costs_of, make_plan, repeat_of, run_plan

log = logging.getLogger(__name__)
POLL_SECONDS = 2.0
USED_UP = (
    "the space is used up: all its %d models are tried, %d of %d trials are done; for more, widen "
    "`space`."
)
IDLE = 300
"""Trials rejected or repeated in a row after which the space counts as used up."""
FAILURES = 5
"""Trials failed in a row after which something else than a model must be wrong."""


@dataclass
class Search:
    """One process's part in a search."""

    context: SearchContext
    study: SharedStudy
    progress: Progress | None = None
    idle: int = 0
    failures: int = 0

    @cached_property
    def points(self) -> frozenset[str] | None:
        """Every model of the space, where they can be counted."""
        return all_points(self.recipe.dimensions)

    @property
    def recipe(self) -> SearchRecipe:
        """The recipe of the search."""
        return self.context.recipe

    def run(self) -> None:
        """Work until the recipe's trials are done by all processes together.

        Raises:
            SearchError: If the storage is lost, or trial after trial fails.
            KeyboardInterrupt: If the user stops it; the trial at work is given back.
        """
        waiting = False
        while self.idle < IDLE:
            self.study.reap()
            trials = self.study.trials()
            done, running = counted(trials)
            if len(done) >= self.recipe.trials:
                return
            tried = [record.params for record in records_of(trials)]
            if used_up(self.points, tried):
                log.warning(USED_UP, len(self.points or ()), len(done), self.recipe.trials)
                return
            begun = used_up(self.points, tried + self.study.params_of(running))
            if (running and begun) or len(done) + len(running) >= self.recipe.trials:
                if not waiting:
                    log.info("waiting for %d trials of other processes", len(running))
                waiting = True
                time.sleep(POLL_SECONDS)
                continue
            self._one()
        log.warning(
            "%d draws in a row gave no new model inside the limits: the space seems used up.", IDLE
        )

    def _one(self) -> None:
        trial, params = self.study.ask()
        number = trial.number
        try:
            if self._too_many(number):
                self.study.drop(number)
                return
            earlier = self._earlier(number, params)
            with Heartbeat(self.study.beat(number)):
                record = self._record(trial, params, earlier)
        except BaseException:
            # Whatever ends this process, the trial is another one's to run. A lost storage needs
            # no report: its records are read when it is there again.
            self._give_back(number)
            raise
        if earlier is None:
            write_record(self.context.out, record)
        shutil.rmtree(self._work(trial), ignore_errors=True)
        if not self.study.tell(trial, record):
            log.info("trial %d: another process had taken it over, its result is left out", number)
        self._after(record)

    def _record(self, trial: optuna.Trial, params: Params, earlier: Record | None) -> Record:
        if earlier is not None:
            return repeat_of(self.context, trial.number, params, earlier)
        plan = make_plan(self.context, trial.number, params)
        if isinstance(plan, Record):
            return plan
        costs = costs_known(self.recipe, costs_of(plan))
        self.study.note(trial, "costs", costs)
        return run_plan(self.context, plan, self._work(trial), self._stop_rule(trial, plan, costs))

    def _work(self, trial: optuna.Trial) -> Path:
        return self.context.out / "work" / str(self.study.work_of(trial))

    def _stop_rule(
        self, trial: optuna.Trial, plan: TrialPlan, costs: list[float]
    ) -> Callable[[list[float]], str]:
        """The pruning rule of a trial: shares its accuracy, returns why it should end."""
        recipe, epochs = self.recipe, plan.settings.train.epochs

        def reason_to_stop(curve: list[float]) -> str:
            self.study.note(trial, "curve", curve)
            self._show(trial.number, len(curve), epochs, curve[-1])
            if len(curve) >= epochs:
                return ""
            if len(recipe.objectives) == 1:
                if self.study.optuna_prunes(trial, len(curve), curve[-1]):
                    return f"epoch {len(curve)}: ended by Optuna's {recipe.pruner} rule"
                if recipe.pruner in OPTUNA_PRUNERS:
                    return ""
            if recipe.pruner != "dominated":
                return ""
            peers = self.study.peers(trial.number)
            return should_prune(TrialCurve(tuple(costs), curve), peers, recipe.pruning)

        return reason_to_stop

    def _too_many(self, number: int) -> bool:
        """Whether trials of lower numbers are enough: two processes may ask at one time."""
        before = [trial for trial in self.study.trials() if trial.number < number]
        done, running = counted(before)
        return len(done) + len(running) >= self.recipe.trials

    def _earlier(self, number: int, params: Params) -> Record | None:
        """A finished trial of the same values: training is repeatable, so is its result."""
        wanted = key_of(params)
        for record in records_of(self.study.trials()):
            same = key_of(record.params) == wanted
            if same and record.number != number and record.state in ("complete", "rejected"):
                return record
        return None

    def _give_back(self, number: int) -> None:
        try:
            self.study.release(number)
        except SearchError as error:
            log.debug("trial %d is not given back: %s", number, error)

    def _show(self, number: int, epoch: int, epochs: int, accuracy: float) -> None:
        if self.progress:
            done, _ = counted(self.study.trials())
            at = min(len(done), self.recipe.trials - 1) * epochs + epoch
            what = f"trial {number}: epoch {epoch} of {epochs}, {100 * accuracy:.1f} %"
            self.progress(at, self.recipe.trials * epochs, what)

    def _after(self, record: Record) -> None:
        """Log a trial's result; stop the search when trial after trial fails."""
        self.idle = 0 if record.state in FINISHED else self.idle + 1
        self.failures = self.failures + 1 if record.state == "failed" else 0
        if record.state in FINISHED:
            done, _ = counted(self.study.trials())
            log.info("%d/%d %s", len(done), self.recipe.trials, line_of(record))
        else:
            log.debug("%s", line_of(record))
        if self.failures >= FAILURES:
            raise SearchError(
                f"{FAILURES} trials in a row failed, the last with: {record.reason}. See "
                f"{self.context.out / 'trials'}, mend it and run the same command again."
            )


def line_of(record: Record) -> str:
    """A trial in one line."""
    values = ", ".join(f"{name} {_short(value)}" for name, value in record.params.items())
    head = f"trial {record.number}: {record.state}"
    if record.objectives.get("accuracy") is not None and record.state == "complete":
        found = record.objectives
        head = f"{head}, {100 * found['accuracy']:.1f} %, {found['macs'] / 1e6:.2f} M MACs"
        head += f", {found['bytes'] / 1e3:.1f} kB"
        head += f", {found['latency']:.2f} of CP-Mobile's time" if "latency" in found else ""
        head += f", {record.seconds:.0f} s"
    elif record.reason:
        head = f"{head} ({record.reason})"
    return f"{head}: {values}"


def check_space(recipe: SearchRecipe, context: SearchContext) -> None:
    """Refuse a space without a model inside the limits, with the least that it can cost.

    Raises:
        BudgetError: No model meets them.
    """

    def measure(params: Params) -> Any:
        try:
            settings = settings_of(recipe.student, params)
            config = student_config(settings.model, len(labels), recipe)
            return cost_of(fresh(config, recipe, labels), recipe, context.limits)
        except ValueError:
            return None

    labels = tuple(context.data.labels)
    student_config(recipe.student.model, len(labels), recipe)
    require_feasible(recipe.dimensions, measure, recipe.seed)


def open_search(
    recipe: SearchRecipe, out: Path, cache: Path, storage: str, progress: Progress | None
) -> Search:
    """Open folder, storage, data and teacher; fill an empty study from the folder's records.

    Raises:
        RecipeError: The recipe is wrong or the folder another's.
        SearchError: The storage cannot be used, or the folder holds trials of another recipe.
        BudgetError: No model of the space meets the limits.
    """
    _refuse_torchrun(recipe)
    check_references(recipe)
    context = SearchContext(recipe, out, cache, progress)
    study = SharedStudy(recipe, storage, out)
    check_space(recipe, context)
    study.bind(context.key)
    with hold_lock(out / "fill.lock"):
        filled = study.fill(own_records(context))
    if filled:
        log.info("%s was empty: filled from the %d records in %s", study.where, filled, out)
    return Search(context, study, progress)


def _refuse_torchrun(recipe: SearchRecipe) -> None:
    trainer = recipe.student.train.trainer
    require_launch(trainer.devices, trainer.num_nodes)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise RecipeError(
            "A trial is trained by one process, and torchrun started several: start `aum-edge "
            "search` several times with one --storage instead."
        )


def own_records(context: SearchContext) -> list[Record]:
    """The records of the folder.

    Raises:
        SearchError: Some are of another recipe or other data.
    """
    records = read_records(context.out)
    foreign = [record for record in records if record.key != context.key]
    if foreign:
        raise SearchError(
            f"{context.out} holds {len(foreign)} trials of another space, training or other data "
            f"(trial {foreign[0].number}): give another --out."
        )
    return records


def all_records(context: SearchContext, study: SharedStudy | None) -> list[Record]:
    """Records of the folder and, where it can be read, of the storage."""
    found = {record.number: record for record in own_records(context)}
    if study is not None:
        found |= {record.number: record for record in records_of(study.trials())}
    return [found[number] for number in sorted(found)]


def work_on(search: Search) -> None:
    """References, then trials."""
    if search.recipe.references:
        train_references(search.context, search.progress)
    search.run()


def _short(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
