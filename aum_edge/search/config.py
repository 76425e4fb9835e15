"""What a search is asked for: a space, objectives, limits, and how hopeless trials end early."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from aum_edge.audio.config import FrontEndConfig
from aum_edge.bench.config import BenchConfig
from aum_edge.complexity.limits import get_limits
from aum_edge.compression.config import QuantizeConfig
from aum_edge.data.config import DataConfig
from aum_edge.errors import RecipeError
from aum_edge.recipe import Recipe, StudentConfig, TeacherConfig, check_plain, plain
from aum_edge.search.possible import require_possible, require_student
from aum_edge.search.space import Dimension, read_space

Objective = Literal["accuracy", "macs", "bytes", "latency"]
MAXIMISED = ("accuracy",)
PrunerKind = Literal["auto", "dominated", "median", "halving", "hyperband", "none"]
OPTUNA_PRUNERS = ("median", "halving", "hyperband")
BESIDE = ("title", "trials", "sampler", "pruning", "references", "full", "full_epochs")
"""What may differ between processes of one study: it changes which trials are run, not theirs."""


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise RecipeError(f"`{name}` must be one of {', '.join(allowed)}; got '{value}'.")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise RecipeError(f"`{name}` must be at least {least}, got {value}.")


@dataclass(frozen=True, kw_only=True)
class SamplerConfig:
    """Who proposes the next model."""

    kind: Literal["tpe", "nsga2", "random"] = "tpe"
    """tpe: densities of good and bad trials (arXiv 2304.11127); nsga2: an evolving population."""
    startup: int = 10
    """Random trials before tpe begins, rejected ones included."""
    population: int = 16
    """Trials of one generation of nsga2."""

    def __post_init__(self) -> None:
        _one_of("sampler.kind", self.kind, ("tpe", "nsga2", "random"))
        _at_least("sampler.startup", self.startup, 1)
        _at_least("sampler.population", self.population, 2)


@dataclass(frozen=True, kw_only=True)
class PruningRule:
    """When a trial ends before its last epoch."""

    kind: PrunerKind = "auto"
    """auto: dominated for several objectives, Optuna's median for one. dominated: compared at the
    same epoch with trials that cost as much or less. median, halving, hyperband: Optuna's own,
    which know one objective."""
    first_epoch: int = 5
    """No trial ends before this epoch. Large models are slow at first: on the built-in scenes the
    one that won stood in the middle of the small ones after 3 of 8 epochs."""
    every: int = 1
    """Epochs between two looks."""
    peers: int = 4
    """Trials that must have reached the epoch at similar or lower cost before one is judged."""
    keep: float = 0.67
    """Share of the order that goes on: 0.67 ends the last third, 0.5 what is below the median."""
    slack: float = 0.1
    """How much dearer a peer may be and still count as similar: 0.1 is 10 %."""

    def __post_init__(self) -> None:
        _one_of("pruning.kind", self.kind, get_args(PrunerKind))
        for name in ("first_epoch", "every", "peers"):
            _at_least(f"pruning.{name}", getattr(self, name), 1)
        if not 0 < self.keep < 1:
            raise RecipeError(f"`pruning.keep` must lie between 0 and 1, got {self.keep}.")
        if not 0 <= self.slack <= 1:
            raise RecipeError(f"`pruning.slack` must lie between 0 and 1, got {self.slack}.")


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """Which limits a model must meet to be trained at all."""

    exact: bool = True
    """The recipe's ``limits`` by the exact count."""
    official: bool = True
    """The same by the challenge's own count."""
    latency: float | None = None
    """Largest latency as a share of CP-Mobile's; null is any, and nothing is timed for it."""

    def __post_init__(self) -> None:
        if self.latency is not None and not self.latency > 0:
            raise RecipeError(
                f"`constraints.latency` must be above 0, or null; got {self.latency}."
            )


@dataclass(frozen=True, kw_only=True)
class SearchRecipe:
    """One search over the student family, from audio to a Pareto front."""

    name: str
    title: str = ""
    seed: int = 0
    limits: str = "dcase2025"
    data: DataConfig = DataConfig()
    frontend: FrontEndConfig = FrontEndConfig()
    teacher: TeacherConfig | None = None
    """Null trains every model from scratch; else all learn from these logits as well."""
    student: StudentConfig = StudentConfig()
    """Preset and training that every trial starts from; the space changes them."""
    space: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Fields of the student's config, ``train.*`` and ``distill.*``: choices or a range each."""
    objectives: tuple[Objective, ...] = ("accuracy", "macs", "bytes")
    """accuracy: macro accuracy of the int8 model on validation clips; macs: exact; bytes: of the
    int8 model; latency: onnxruntime, as a share of CP-Mobile's in the same minute."""
    constraints: Constraints = Constraints()
    trials: int = 30
    """Trials to finish in all, over every process; rejected ones do not count."""
    sampler: SamplerConfig = SamplerConfig()
    pruning: PruningRule = PruningRule()
    quantize: QuantizeConfig = QuantizeConfig()
    bench: BenchConfig = BenchConfig(runs=100, warmup=10)
    references: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Presets trained beside the trials to be drawn with them, and what differs for each, such as
    ``cp-mobile: {train.lr: 0.015}``."""
    full: str = ""
    """Recipe that trains a found model fully; empty writes one into the run folder."""
    full_epochs: int = 0
    """Epochs of that; 0 is three times those of a trial."""

    def __post_init__(self) -> None:
        _at_least("trials", self.trials, 0)
        _at_least("full_epochs", self.full_epochs, 0)
        for name in self.objectives:
            _one_of("objectives", name, get_args(Objective))
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise RecipeError(
                f"`objectives` must name some of {', '.join(get_args(Objective))}, each once; got "
                f"{list(self.objectives)}."
            )
        if "accuracy" not in self.objectives:
            raise RecipeError(
                "`objectives` needs accuracy: without it the smallest model wins untrained."
            )
        if self.pruning.kind in OPTUNA_PRUNERS and len(self.objectives) > 1:
            raise RecipeError(
                f"`pruning.kind: {self.pruning.kind}` is Optuna's and knows one objective, got "
                f"{len(self.objectives)}: give dominated or none."
            )
        for model, changes in self.references.items():
            for key, value in (changes or {}).items():
                check_plain(f"references.{model}.{key}", value)
        self._check_space()
        if self.full and not Path(self.full).is_file():
            raise RecipeError(
                f"`full` is {self.full}, and there is no such recipe: give a YAML file, or leave "
                "it empty to have one written."
            )

    def _check_space(self) -> None:
        dimensions = read_space(self.space)
        idle = [d.name for d in dimensions if d.name.startswith("distill.")]
        if idle and self.teacher is None:
            raise RecipeError(
                f"`space.{idle[0]}` does nothing without a teacher: give `teacher`, or take it out."
            )
        require_student(self.student, self.frontend)
        require_possible(self.student, self.frontend, dimensions)

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The space, parents before what depends on them."""
        return read_space(self.space)

    @property
    def timed(self) -> bool:
        """Whether every trial's latency is measured."""
        return "latency" in self.objectives or self.constraints.latency is not None

    @property
    def pruner(self) -> str:
        """The rule that ends hopeless trials."""
        if self.pruning.kind != "auto":
            return self.pruning.kind
        return "dominated" if len(self.objectives) > 1 else "median"

    def resolved(self) -> dict[str, Any]:
        """Every value, defaults included, as plain JSON and YAML values."""
        return dict(plain(asdict(self)))

    def key(self) -> str:
        """64 hex digits of all that decides what a trial gives, but the data itself."""
        values = {name: v for name, v in self.resolved().items() if name not in BESIDE}
        values["limits"] = asdict(get_limits(self.limits))
        text = json.dumps(values, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def run_recipe(self) -> Recipe:
        """The same data, front end, teacher and student as the recipe of a run."""
        return Recipe(
            name=self.name,
            title=self.title,
            seed=self.seed,
            limits=self.limits,
            data=self.data,
            frontend=self.frontend,
            teacher=self.teacher or TeacherConfig(),
            student=self.student,
            quantize=self.quantize,
        )
