"""A recipe: everything that one run needs to know, as dataclasses."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from aum_edge.audio.config import FrontEndConfig
from aum_edge.bench.config import BenchConfig
from aum_edge.complexity.limits import get_limits
from aum_edge.compression.pruning.config import PruneConfig
from aum_edge.compression.quantization.config import QuantizeConfig, StaticConfig
from aum_edge.data.config import DataConfig
from aum_edge.data.external_data import ExternalData, check_external
from aum_edge.errors import RecipeError
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.models.fields import BackboneConfig
from aum_edge.training.config import TrainConfig
from aum_edge.training.device_finetuning import DevicesConfig
from aum_edge.training.distillation.config import DistillConfig


def check_plain(name: str, value: Any) -> None:
    """Refuse a setting that is no number, text, true, false, null or list of these.

    Raises:
        RecipeError: If it is anything else.
    """
    if isinstance(value, list | tuple):
        for item in value:
            check_plain(name, item)
    elif not isinstance(value, str | int | float | None):
        raise RecipeError(
            f"`{name}` must be a number, text, true, false, null or a list of these, got {value!r}."
        )


def check_values(name: str, values: dict[str, Any]) -> None:
    """Refuse settings by name that are no plain values, nor such settings of a part.

    Raises:
        RecipeError: If they are anything else.
    """
    for key, value in values.items():
        if isinstance(value, dict):
            for part, item in value.items():
                check_plain(f"{name}.{key}.{part}", item)
        else:
            check_plain(f"{name}.{key}", value)


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """A preset, the fields of its config that differ, and the weights it starts with."""

    preset: str
    """A named architecture, such as ``student-ssd`` or ``cp-mobile``."""
    overrides: dict[str, Any] = field(default_factory=dict)
    """Fields of the architecture that differ from the preset."""
    init: str = ""
    """Model directory to start from; empty is fresh weights. The head is kept for the same labels,
    positions and patches are resized, every difference is logged."""
    init_rule: Literal["aum", "ssamba"] = "aum"
    """How positions are resized: aum interpolates; ssamba cuts the middle out of a longer table."""

    def __post_init__(self) -> None:
        if not self.overrides:
            return
        # Networks, and with them torch, are imported only where there is something to look up.
        from aum_edge.models.presets import PRESETS, preset

        if self.preset not in PRESETS:
            return  # `config` says so, when the model is wanted
        known = [f.name for f in fields(preset(self.preset, n_classes=1, n_mels=128, n_frames=128))]
        for name, value in self.overrides.items():
            if name not in known:
                raise RecipeError(
                    f"Preset `{self.preset}` has no such setting `{name}`; its settings are "
                    f"{', '.join(sorted(known))}."
                )
            check_plain(f"overrides.{name}", value)

    def config(self, n_classes: int, frontend: FrontEndConfig) -> BackboneConfig:
        """The architecture for this many classes and this front end's features."""
        from aum_edge.models.presets import preset

        values = {k: tuple(v) if isinstance(v, list) else v for k, v in self.overrides.items()}
        base = preset(
            self.preset, n_classes=n_classes, n_mels=frontend.n_mels, n_frames=frontend.n_frames
        )
        return replace(base, **values)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class TeacherMember:
    """Further teachers of another kind."""

    model: ModelChoice
    """The architecture of this kind."""
    train: TrainConfig | None = None
    """None is as the first kind trains."""
    frontend: FrontEndConfig | None = None
    """None is the recipe's."""
    members: int = 1
    """How many of this kind are trained, from seeds of their own."""


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """The large model, or several: trained here, or read from model directories."""

    model: ModelChoice = ModelChoice(preset="aum-mini")
    """The architecture that is trained."""
    train: TrainConfig = TrainConfig()
    """How it is trained."""
    members: int = 1
    """How many are trained, from seeds of their own; their logits are averaged."""
    checkpoints: tuple[str, ...] = ()
    """Model directories to use instead of training `model`."""
    also: tuple[TeacherMember, ...] = ()
    """Further kinds in the same ensemble; all teachers' logits are averaged."""
    weights: tuple[float, ...] = ()
    """How much each teacher counts, those of `also` last; empty is all alike."""

    def __post_init__(self) -> None:
        further = [kind.members for kind in self.also]
        for members in (self.members, *further):
            if members < 1:
                raise RecipeError(f"`teacher.members` must be at least 1, got {members}.")
        count = sum(further, len(self.checkpoints) or self.members)
        if self.weights and len(self.weights) != count:
            raise RecipeError(f"`teacher.weights` must be {count}, one a teacher: {self.weights}.")


@dataclass(frozen=True, kw_only=True)
class DistillSettings:
    """The settings of a distillation that no recipe describes."""

    train: TrainConfig = TrainConfig()
    distill: DistillConfig = DistillConfig()


@dataclass(frozen=True, kw_only=True)
class StudentConfig:
    """The small model, its training, and its distillation loss."""

    model: ModelChoice = ModelChoice(preset="student-ssd")
    """The architecture of the student."""
    train: TrainConfig = TrainConfig()
    """How it is trained."""
    distill: DistillConfig = DistillConfig()
    """What it learns from the teachers."""


@dataclass(frozen=True, kw_only=True)
class PruningConfig:
    """Cut the student to a target, then let it recover by distillation."""

    cut: PruneConfig = PruneConfig()
    """How small the student becomes, and where it is cut."""
    recover: TrainConfig = TrainConfig(epochs=10, lr=1e-3)
    """Training by distillation after the last cut."""


@dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """The CNN every result is held against, trained on the same data with the same teacher."""

    model: ModelChoice = ModelChoice(preset="cp-mobile")
    """The architecture of the control."""
    train: TrainConfig = TrainConfig()
    """How it is trained."""
    distill: bool = True
    """Whether it learns from the teachers, as the student does."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One run from audio to report."""

    name: str
    """Of the run, and of its folder ``runs/NAME``: letters, digits, ``.``, ``_`` and ``-``."""
    title: str = ""
    """Heading of the report; empty is the name."""
    seed: int = 0
    """Of weights, batches and augmentation; the same seed gives the same run."""
    limits: str = "dcase2025"
    """Budget that models are held against: a preset such as ``dcase2025``, or a YAML file."""
    data: DataConfig = DataConfig()
    frontend: FrontEndConfig = FrontEndConfig()
    teacher: TeacherConfig = TeacherConfig()
    student: StudentConfig = StudentConfig()
    prune: PruningConfig = PruningConfig()
    quantize: QuantizeConfig = QuantizeConfig()
    devices: DevicesConfig = DevicesConfig()
    control: ControlConfig = ControlConfig()
    export: ExportConfig = ExportConfig()
    static_int8: StaticConfig | None = None
    """Also write ``student_int8_static.onnx``, int8 weights and activations in QDQ form. Null
    leaves it out: most of a student stays float there, so that file saves little."""
    bench: BenchConfig = BenchConfig()
    external_data: tuple[ExternalData, ...] = ()
    """What weights, teachers or variations of this run owe to data from outside its corpus; every
    model that is trained carries it in its lineage."""

    def __post_init__(self) -> None:
        get_limits(self.limits)
        check_external(self.external_data)
        if self.export.streaming:
            raise RecipeError(
                "A run compares its files on whole clips: leave `export.streaming` out, and export "
                "the finished model with `aum-edge export MODEL step.onnx --streaming`."
            )
        if self.export.with_frontend or self.export.dynamic_length:
            raise RecipeError(
                "A run compares and quantizes its files on features of one length: leave "
                "`export.with_frontend` and `export.dynamic_length` out, and export the finished "
                "model with `aum-edge export MODEL OUT.onnx --with-frontend`."
            )

    def resolved(self) -> dict[str, Any]:
        """Every value, defaults included, as plain JSON and YAML values."""
        return plain(asdict(self) | {"data": self.data.to_recipe()})


def plain(value: Any) -> Any:
    """Tuples as lists and paths as text, so that YAML and JSON read back the same."""
    if isinstance(value, dict):
        # Registered augmentations stand beside the others, as in a recipe.
        value = value | (value.get("registered") or {})
        return {key: plain(item) for key, item in value.items() if key != "registered"}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
