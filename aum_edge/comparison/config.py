"""What is compared: networks under one protocol, over the folds of a corpus and over seeds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from aum_edge.audio.config import FrontEndConfig
from aum_edge.compression.quantize_config import QuantizeConfig
from aum_edge.data.config import DataConfig
from aum_edge.errors import RecipeError
from aum_edge.recipe import ModelChoice, PruningConfig, Recipe, StudentConfig, TeacherConfig
from aum_edge.training.config import DistillConfig, TrainConfig

Lesson = Literal["scratch", "distilled"]


@dataclass(frozen=True, kw_only=True)
class ArmConfig:
    """One kind of network, trained from labels and, again from fresh weights, with a teacher."""

    model: ModelChoice
    train: TrainConfig = TrainConfig()
    lrs: tuple[float, ...] = ()
    """Peak learning rates to choose from by validation; none takes ``train.lr`` as it is."""
    half: bool = False
    """Whether it is stored, and scored, in 16 bit."""
    lessons: tuple[Lesson, ...] = ("scratch", "distilled")
    """What it is trained from: labels alone, or the teacher as well."""

    def __post_init__(self) -> None:
        if not self.lessons or set(self.lessons) - set(get_args(Lesson)):
            raise RecipeError(
                f"`lessons` of an arm are scratch, distilled or both, got {list(self.lessons)}."
            )


@dataclass(frozen=True, kw_only=True)
class CompareRecipe:
    """One comparison: every arm on every fold with every seed.

    Learning rates are chosen once a fold, on validation data alone, and serve all seeds; so does
    the teacher, which is trained once a fold. Test data choose nothing.
    """

    name: str
    title: str = ""
    limits: str = "dcase2025"
    data: DataConfig = DataConfig()
    frontend: FrontEndConfig = FrontEndConfig()
    folds: dict[str, dict[str, Any]] = field(default_factory=lambda: {"all": {}})
    """``data`` settings of each fold, as what it holds out."""
    tuning: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Further ``data`` settings of a fold while learning rates are chosen, as whole speakers to
    validate on."""
    tuning_epochs: int = 0
    """Epochs of each try; 0 is as many as the arm trains."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    teacher: TeacherConfig = TeacherConfig()
    arms: dict[str, ArmConfig] = field(default_factory=dict)
    student: str = "student"
    """The arm that is pruned and quantized, and that the others are held against."""
    compress: bool = True
    """Whether the student is pruned and quantized."""
    distill: DistillConfig = DistillConfig()
    prune: PruningConfig = PruningConfig()
    quantize: QuantizeConfig = QuantizeConfig()

    def __post_init__(self) -> None:
        if self.student not in self.arms:
            raise RecipeError(
                f"`student` must be one of the arms, got '{self.student}'; they are "
                f"{', '.join(self.arms) or 'none'}."
            )
        if self.compress and "distilled" not in self.arms[self.student].lessons:
            raise RecipeError(
                f"`compress` starts from the distilled student: give arm '{self.student}' that "
                "lesson, or set `compress: false`."
            )
        if not self.folds or not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise RecipeError(
                f"A comparison needs folds and different `seeds`, got {list(self.folds)} and "
                f"{list(self.seeds)}."
            )
        if self.tuning_epochs < 0:
            raise RecipeError(f"`tuning_epochs` must be at least 0, got {self.tuning_epochs}.")
        strange = sorted(self.tuning.keys() - self.folds.keys())
        if strange:
            raise RecipeError(
                f"`tuning` is about folds, got {', '.join(strange)}; the folds are "
                f"{', '.join(self.folds)}."
            )
        for fold in self.folds:
            self.data_of(fold, tuning=True)

    @property
    def teaches(self) -> bool:
        """Whether any arm needs the teacher."""
        return any("distilled" in arm.lessons for arm in self.arms.values())

    def data_of(self, fold: str, *, tuning: bool = False) -> DataConfig:
        """The corpus as a fold splits it.

        Raises:
            RecipeError: There is no such fold, or it sets what ``data`` does not have.
        """
        if fold not in self.folds:
            raise RecipeError(f"There is no fold '{fold}'; there are {', '.join(self.folds)}.")
        values = dict(self.folds[fold])
        if tuning:
            values |= self.tuning.get(fold, {})
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        try:
            return replace(self.data, **values)
        except TypeError as error:
            raise RecipeError(f"Fold '{fold}': `data` has no such setting ({error}).") from error

    def recipe(
        self, fold: str, seed: int, *, teachers: tuple[str, ...] = (), tuning: bool = False
    ) -> Recipe:
        """The ordinary recipe of one fold and seed; ``teachers`` are models trained before."""
        arm = self.arms[self.student]
        return Recipe(
            name=self.name,
            seed=seed,
            limits=self.limits,
            data=self.data_of(fold, tuning=tuning),
            frontend=self.frontend,
            teacher=self._teacher(teachers),
            student=StudentConfig(model=arm.model, train=arm.train, distill=self.distill),
            prune=self.prune,
            quantize=self.quantize,
        )

    def _teacher(self, trained: tuple[str, ...]) -> TeacherConfig:
        return replace(self.teacher, checkpoints=trained, also=()) if trained else self.teacher

    def tuned(self, rates: dict[str, float]) -> CompareRecipe:
        """The same comparison with learning rates chosen."""
        arms = {
            name: replace(arm, train=replace(arm.train, lr=rates.get(name, arm.train.lr)))
            for name, arm in self.arms.items()
        }
        return replace(self, arms=arms)
