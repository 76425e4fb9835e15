"""An Optuna study shared by processes: trials drawn, recorded, and run again if orphaned."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState, create_trial

from aum_edge.errors import SearchError
from aum_edge.search.config import OPTUNA_PRUNERS, SearchRecipe
from aum_edge.search.records import FINISHED, Record, as_record
from aum_edge.search.space.dimensions import Params, suggest
from aum_edge.search.study.optuna_adapter import (
    STATES,
    constraints_of,
    directions,
    finished_trial,
    values_of,
)
from aum_edge.search.study.pruner import TrialCurve
from aum_edge.search.study.sampler import Seeded, make_pruner
from aum_edge.search.study.storage import (
    open_storage,
    quiet_optuna,
    require_storage,
    storage_errors,
)
from aum_edge.search.study.workers import HeartbeatMonitor, is_dead, this_worker

log = logging.getLogger(__name__)
RETRIES = 3
"""A trial whose process died so often is left failed: it may be what kills them."""


class SharedStudy:
    """The study of a recipe in its storage.

    Raises:
        RecipeError: If the storage's URL has no known form.
        SearchError: If it cannot be used, or holds another recipe's study of this name. So does
            every method.
    """

    def __init__(self, recipe: SearchRecipe, storage: str, out: Path) -> None:
        quiet_optuna()
        self.recipe = recipe
        self.dimensions = recipe.dimensions
        self.worker = this_worker().to_dict()
        self._watch = HeartbeatMonitor()
        self._retry = RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)
        self._storage, self.where = open_storage(storage, out)
        name = f"{recipe.name}-{recipe.key()[:12]}"
        with storage_errors(self.where):
            require_storage(self._storage)
            self._refuse_foreign(name)
            self._study = optuna.create_study(
                study_name=name,
                storage=self._storage,
                sampler=Seeded(recipe.sampler, recipe.seed),
                pruner=make_pruner(recipe.pruner, recipe.pruning, recipe.student.train.epochs),
                directions=directions(recipe.objectives),
                load_if_exists=True,
            )
            # Two that began at once see each other now; the later one gives way.
            self._refuse_foreign(name)

    def bind(self, key: str) -> None:
        """Tie the study to the data and the teacher, or see that it is tied to them."""
        with storage_errors(self.where):
            held = self._study.user_attrs.get("key")
            if held is None:
                self._study.set_user_attr("key", key)
        if held not in (None, key):
            raise SearchError(
                f"The study `{self._study.study_name}` in {self.where} is of other data or "
                f"another teacher (its key is {held[:12]}, here it is {key[:12]}): give the same "
                "corpus and, on several machines, the same `teacher.checkpoints`; or another "
                "--storage."
            )

    def trials(self) -> list[FrozenTrial]:
        """All of them, not to be changed."""
        with storage_errors(self.where):
            require_storage(self._storage)
            return self._study.get_trials(deepcopy=False)

    def ask(self) -> tuple[optuna.Trial, Params]:
        """A new trial of this process, or one that another process left."""
        with storage_errors(self.where):
            require_storage(self._storage)
            trial = self._study.ask()
            trial.set_user_attr("worker", self.worker)
            return trial, suggest(self.dimensions, trial)

    def note(self, trial: optuna.Trial, name: str, value: Any) -> None:
        """Store a value of a running trial for the other processes."""
        with storage_errors(self.where):
            require_storage(self._storage)
            trial.set_user_attr(name, value)

    def params_of(self, trials: Sequence[FrozenTrial]) -> list[Params]:
        """Their values as far as they are drawn, as plain JSON values."""
        known = {dimension.name: dimension for dimension in self.dimensions}
        return [
            {name: known[name].plain(value) for name, value in trial.params.items()}
            for trial in trials
        ]

    def work_of(self, trial: optuna.Trial) -> int:
        """Number of the folder that a trial trains in: that of the one it takes over."""
        with storage_errors(self.where):
            return int(trial.user_attrs.get("work", trial.number))

    def beat(self, number: int) -> Callable[[], None]:
        """A sign of life for a trial, to be given from a thread."""
        trial_id = next(t._trial_id for t in self.trials() if t.number == number)
        return lambda: self._storage.set_trial_user_attr(trial_id, "beat", time.time())

    def optuna_prunes(self, trial: optuna.Trial, epoch: int, value: float) -> bool:
        """Whether Optuna's own pruner ends a trial of a study with one objective."""
        with storage_errors(self.where):
            trial.report(value, epoch)
            return self.recipe.pruner in OPTUNA_PRUNERS and trial.should_prune()

    def peers(self, number: int) -> list[TrialCurve]:
        """The other trials that were trained for some epochs, with their costs and curves."""
        found = []
        for trial in self.trials():
            attributes = trial.user_attrs
            if trial.number != number and "curve" in attributes and "costs" in attributes:
                if trial.state != TrialState.FAIL:
                    found.append(TrialCurve(tuple(attributes["costs"]), attributes["curve"]))
        return found

    def tell(self, trial: optuna.Trial, record: Record) -> bool:
        """Finish a trial; False if another process had given it up and taken it over."""
        try:
            with storage_errors(self.where):
                require_storage(self._storage)
                for name, over in constraints_of(record).items():
                    trial.set_constraint(name, over)
                trial.set_user_attr("kind", record.state)
                trial.set_user_attr("record", record.to_dict())
                state = STATES.get(record.state, TrialState.COMPLETE)
                values = values_of(self.recipe, record) if state == TrialState.COMPLETE else None
                self._study.tell(trial, values, state)
        except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
            if not _taken(self.trials(), trial.number):
                raise
            return False
        return True

    def release(self, number: int, same_folder: bool = True) -> bool:
        """Give a running trial back, to be run again; False if another process was quicker.

        ``same_folder`` lets the next one go on from the last epoch, which must be safe: nobody
        may write there any more.
        """
        with storage_errors(self.where):
            trial = next(t for t in self.trials() if t.number == number)
            try:
                self._study.tell(number, state=TrialState.FAIL)
            except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
                return False
            self._run_again(trial, same_folder)
        return True

    def _run_again(self, trial: FrozenTrial, same_folder: bool) -> None:
        """Queue the values of a trial whose process is gone, unless it took too many with it."""
        before = RetryHeartbeatStaleTrialCallback.retry_history(trial)
        if len(before) >= RETRIES:
            log.warning("trial %d: its process died %d times, given up", trial.number, RETRIES + 1)
        elif trial.params:
            again = deepcopy(trial)
            # Without the worker's name, or the next one would count as dead before it has begun.
            work = int(trial.user_attrs.get("work", trial.number))
            again.user_attrs = {"work": work} if same_folder else {}
            self._retry(self._study, again)

    def drop(self, number: int) -> None:
        """Take back a trial that is one too many."""
        with storage_errors(self.where):
            self._study.tell(number, state=TrialState.FAIL)

    def reap(self) -> list[int]:
        """Give back trials whose process is gone; their numbers."""
        reaped = []
        for trial in self.trials():
            if trial.state != TrialState.RUNNING:
                continue
            worker = trial.user_attrs.get("worker") or {}
            if worker == self.worker:
                continue
            dead = bool(worker) and is_dead(worker)
            if dead or self._watch.stale(trial.number, trial.user_attrs.get("beat")):
                if self.release(trial.number, same_folder=dead):
                    log.info("trial %d: its process is gone, to be run again", trial.number)
                    reaped.append(trial.number)
        return reaped

    def fill(self, records: Sequence[Record]) -> int:
        """Put records of a lost storage into an empty study; how many."""
        if not records or self.trials():
            return 0
        held = {record.number: record for record in records}
        with storage_errors(self.where):
            # Numbers stay what they were, or later trials would write over folders of earlier ones.
            for number in range(max(held) + 1):
                lost = create_trial(state=TrialState.FAIL)
                self._study.add_trial(
                    finished_trial(self.recipe, held[number]) if number in held else lost
                )
        return len(records)

    def _refuse_foreign(self, name: str) -> None:
        """Whether another recipe has a study of this recipe's name; the first to come stays."""
        pattern = re.compile(re.escape(self.recipe.name) + "-[0-9a-f]{12}")
        for found in self._storage.get_all_studies():
            if found.study_name == name:
                return
            if pattern.fullmatch(found.study_name):
                raise _foreign(self.where, self.recipe.name)


def counted(trials: Sequence[FrozenTrial]) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """Trials that count as done, and those at work."""
    done = [trial for trial in trials if trial.user_attrs.get("kind") in FINISHED]
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    return [t for t in done if t.state.is_finished()], running


def records_of(trials: Sequence[FrozenTrial]) -> list[Record]:
    """What finished trials wrote into the storage, whichever machine they ran on."""
    made = [as_record(t.user_attrs["record"]) for t in trials if "record" in t.user_attrs]
    return [record for record in made if record is not None]


def _taken(trials: Sequence[FrozenTrial], number: int) -> bool:
    return any(trial.number == number and trial.state.is_finished() for trial in trials)


def _foreign(where: str, name: str) -> SearchError:
    return SearchError(
        f"{where} holds a study of another recipe that is called `{name}` too: its space, data or "
        "training differ. Give the recipe another name (`--set name=...`) or another --storage."
    )
