"""What is compared: networks under one protocol, over the folds of a corpus and over seeds."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from aum_edge.audio.config import FrontEndConfig
from aum_edge.complexity.limits import get_limits
from aum_edge.compression.quantize_config import QuantizeConfig
from aum_edge.data.config import DataConfig
from aum_edge.errors import RecipeError
from aum_edge.models.config import AudioMambaConfig, MambaStudentConfig
from aum_edge.recipe import (
    ModelChoice,
    PruningConfig,
    Recipe,
    StudentConfig,
    TeacherConfig,
    check_plain,
    plain,
)
from aum_edge.training.config import DistillConfig, TrainConfig

Lesson = Literal["scratch", "distilled"]
TUNABLE = ("val_folds", "val_fraction", "val_seed", "val_speakers")
"""What may differ in the data while learning rates are chosen: whom to validate on."""


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
    distilled_epochs: int = 0
    """Epochs with the teacher; 0 is as many as from labels. Its answers to varied clips go on
    teaching long after a network knows the labels by heart."""

    def __post_init__(self) -> None:
        if self.distilled_epochs < 0:
            raise RecipeError(
                f"`distilled_epochs` must be at least 0, got {self.distilled_epochs}."
            )
        strange = set(self.lessons) - set(get_args(Lesson))
        if not self.lessons or strange or len(set(self.lessons)) < len(self.lessons):
            raise RecipeError(
                f"`lessons` of an arm are scratch, distilled or both, got {list(self.lessons)}."
            )
        if len({f"{rate:g}" for rate in self.lrs}) < len(self.lrs) or any(
            not 0 < rate < float("inf") for rate in self.lrs
        ):
            raise RecipeError(
                f"`lrs` of an arm are different numbers above 0, got {list(self.lrs)}."
            )

    def training(self, *, distilled: bool) -> TrainConfig:
        """How it is trained in one of the lessons."""
        epochs = self.distilled_epochs if distilled else 0
        return replace(self.train, epochs=epochs) if epochs else self.train


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
        get_limits(self.limits)
        self._check_names()
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
        self._check_arms()
        strange = sorted(self.tuning.keys() - self.folds.keys())
        if strange:
            raise RecipeError(
                f"`tuning` is about folds, got {', '.join(strange)}; the folds are "
                f"{', '.join(self.folds)}."
            )
        for fold in self.folds:
            for key, value in (self.folds[fold] | self.tuning.get(fold, {})).items():
                check_plain(f"folds.{fold}.{key}", value)
            self.data_of(fold, tuning=True)
        foreign = {key for values in self.tuning.values() for key in values} - set(TUNABLE)
        if foreign:
            raise RecipeError(
                f"`tuning` may set {', '.join(TUNABLE)}, got {', '.join(sorted(foreign))}: with "
                "other data a learning rate could be chosen on what is tested."
            )

    def _check_names(self) -> None:
        """Folds and arms become folders."""
        for fold in self.folds:
            if not re.fullmatch(r"\w[\w.-]*", fold) or fold == "cache":
                raise RecipeError(
                    "The name of a fold may hold letters, digits, '.', '_' and '-', begins with "
                    f"a letter or digit and is not 'cache'; got '{fold}'."
                )
        for arm in self.arms:
            if not re.fullmatch(r"\w[^/\\:|]*", arm):
                raise RecipeError(
                    "The name of an arm begins with a letter or digit and holds no '/', '\\', "
                    f"':' or '|'; got '{arm}'."
                )

    def _check_arms(self) -> None:
        """Every network can be built, and the student can be compressed."""
        built = {name: arm.model.config(2, self.frontend) for name, arm in self.arms.items()}
        kind = built[self.student]
        if self.compress and not isinstance(kind, MambaStudentConfig | AudioMambaConfig):
            raise RecipeError(
                f"`compress` cuts Mamba blocks and arm '{self.student}' has the preset "
                f"`{self.arms[self.student].model.preset}`: name another student, or set "
                "`compress: false`."
            )
        if self.arms[self.student].half:
            raise RecipeError(
                f"`half` is for the arms that are held against the student, and '{self.student}' "
                "is the student: it is compressed by `prune` and `quantize`."
            )

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

    def key(self, fold: str) -> str:
        """Hash of everything that the results of a fold's runs depend on, but for their seed."""
        values = asdict(self) | {"prepared_with": self.seeds[0]}
        for beside in ("name", "title", "folds", "tuning", "seeds", "data"):
            del values[beside]
        values["splits"] = [asdict(self.data_of(fold, tuning=tuning)) for tuning in (False, True)]
        return hashlib.sha256(json.dumps(plain(values), sort_keys=True).encode()).hexdigest()

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
            student=StudentConfig(
                model=arm.model, train=arm.training(distilled=True), distill=self.distill
            ),
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
