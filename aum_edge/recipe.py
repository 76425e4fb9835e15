"""A recipe: everything one run needs to know, as dataclasses read strictly from YAML."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace

from aum_edge.audio.config import FrontEndConfig
from aum_edge.bench.config import BenchConfig
from aum_edge.compression.config import PruneConfig, QuantizeConfig
from aum_edge.data.config import DataConfig
from aum_edge.errors import RecipeError
from aum_edge.export.config import ExportConfig
from aum_edge.models.config import BackboneConfig
from aum_edge.models.presets import PRESETS, preset
from aum_edge.training.config import DistillConfig, TrainConfig
from aum_edge.training.device_config import DevicesConfig
from aum_edge.training.outside import ExternalData, check_external

PROGRAMS = {"class_path", "init_args", "dict_kwargs", "__path__", "__default_config__", "__orig__"}
"""Keys by which jsonargparse imports and runs whatever a file names."""
LOADERS = (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


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


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """A preset, the fields of its config that differ, and the weights it starts with."""

    preset: str
    overrides: dict[str, Any] = field(default_factory=dict)
    init: str = ""
    """Model directory to start from; empty is fresh weights. The head is kept for the same labels,
    positions and patches are resized, every difference is logged."""
    init_rule: Literal["aum", "ssamba"] = "aum"
    """How positions are resized: aum interpolates; ssamba cuts the middle out of a longer table."""

    def __post_init__(self) -> None:
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
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in self.overrides.items()}
        base = preset(
            self.preset, n_classes=n_classes, n_mels=frontend.n_mels, n_frames=frontend.n_frames
        )
        return replace(base, **values)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class TeacherMember:
    """Further teachers of another kind."""

    model: ModelChoice
    train: TrainConfig | None = None
    """None is as the first kind trains."""
    frontend: FrontEndConfig | None = None
    """None is the recipe's."""
    members: int = 1


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """The large model, or several: trained here, or read from model directories."""

    model: ModelChoice = ModelChoice(preset="aum-mini")
    train: TrainConfig = TrainConfig()
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
class StudentConfig:
    """The small model and how it listens to the teacher."""

    model: ModelChoice = ModelChoice(preset="student-ssd")
    train: TrainConfig = TrainConfig()
    distill: DistillConfig = DistillConfig()


@dataclass(frozen=True, kw_only=True)
class PruningConfig:
    """Cut the student to a target, then let it recover by distillation."""

    cut: PruneConfig = PruneConfig()
    recover: TrainConfig = TrainConfig(epochs=10, lr=1e-3)


@dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """The CNN every result is held against, trained on the same data with the same teacher."""

    model: ModelChoice = ModelChoice(preset="cp-mobile")
    train: TrainConfig = TrainConfig()
    distill: bool = True


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One run from audio to report."""

    name: str
    title: str = ""
    seed: int = 0
    limits: str = "dcase2025"
    data: DataConfig = DataConfig()
    frontend: FrontEndConfig = FrontEndConfig()
    teacher: TeacherConfig = TeacherConfig()
    student: StudentConfig = StudentConfig()
    prune: PruningConfig = PruningConfig()
    quantize: QuantizeConfig = QuantizeConfig()
    devices: DevicesConfig = DevicesConfig()
    control: ControlConfig = ControlConfig()
    export: ExportConfig = ExportConfig()
    bench: BenchConfig = BenchConfig()
    external_data: tuple[ExternalData, ...] = ()
    """What weights, teachers or variations of this run owe to data from outside its corpus; every
    model that is trained carries it in its lineage."""

    def __post_init__(self) -> None:
        check_external(self.external_data)
        if self.export.with_frontend or self.export.dynamic_length:
            raise RecipeError(
                "A run compares and quantizes its files on features of one length: leave "
                "`export.with_frontend` and `export.dynamic_length` out, and export the finished "
                "model with `aum-edge export MODEL OUT.onnx --with-frontend`."
            )

    def resolved(self) -> dict[str, Any]:
        """Every value, defaults included, as plain JSON and YAML values."""
        return plain(asdict(self))


class Named(Protocol):
    """What every kind of recipe has."""

    @property
    def name(self) -> str:
        """Of the run, and of its folder."""


AnyRecipe = TypeVar("AnyRecipe", bound=Named)


def plain(value: Any) -> Any:
    """Tuples as lists and paths as text, so that YAML and JSON read back the same."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read the recipe of a run; see :func:`load_recipe_as`."""
    return load_recipe_as(Recipe, path, overrides)


def load_recipe_as(kind: type[AnyRecipe], path: Path, overrides: Sequence[str] = ()) -> AnyRecipe:
    """Read a recipe of some kind; ``overrides`` are ``a.b=value`` texts that win over the file.

    ``kind`` is a dataclass with a ``name``. Relative data folders are taken from the folder the
    command runs in.

    Raises:
        RecipeError: A missing file, broken YAML, an unknown key or a value of the wrong type.
    """
    if not path.is_file():
        raise RecipeError(f"There is no recipe {path}: give a YAML file, as recipes/*.yaml are.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path} must hold `key: value` lines, got {type(values).__name__}.")
    for text in overrides:
        key, _, value = text.partition("=")
        if not _ or not key:
            raise RecipeError(f"`--set {text}` must read key=value, for example seed=3.")
        try:
            _place(values, key, text, yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise RecipeError(f"`--set {text}` is not YAML: {_one_line(str(error))}") from error
    return _parse(kind, values, str(path))


def _place(values: dict[str, Any], key: str, text: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise RecipeError(f"`--set {text}`: `{parent}` is a value and has no settings.")
    values[last] = value


def _parse(kind: type[AnyRecipe], values: dict[str, Any], source: str) -> AnyRecipe:
    _refuse_programs(values, source)
    _check_keys(values, kind, source)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, "recipe")
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            parsed = parser.parse_object({"recipe": values}, env=False)
            made = parser.instantiate_classes(Namespace(recipe=parsed.recipe))
            recipe: AnyRecipe = made.recipe
    except RecipeError as error:
        raise RecipeError(f"{source}: {error}") from error
    except (ArgumentError, TypeError, ValueError, KeyError) as error:
        raise RecipeError(f"{source}: {_one_line(str(error))}") from error
    if not re.fullmatch(r"[\w.-]+", recipe.name):
        raise RecipeError(
            f"{source}: `name` may hold letters, digits, '.', '_' and '-', got '{recipe.name}'."
        )
    return recipe


def _refuse_programs(values: dict[str, Any], source: str) -> None:
    for name, _ in _inside(values):
        found = [key for key in name.split(".") if key in PROGRAMS]
        if found:
            raise RecipeError(
                f"{source}: `{name}` could have a program run, and a recipe holds values alone: "
                f"take `{found[0]}` out and give numbers, texts or lists."
            )


def _inside(held: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in dicts and lists under its dotted name; what stands there twice, once."""
    waiting, seen = [(path, held)], set()
    while waiting:
        name, value = waiting.pop(0)
        yield name, value
        if not isinstance(value, dict | list) or id(value) in seen:
            continue
        seen.add(id(value))
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        waiting += [(f"{name}.{key}".removeprefix("."), item) for key, item in entries]


def _check_keys(values: dict[str, Any], kind: type, source: str, path: str = "") -> None:
    """Refuse a key that no dataclass field has, with the nearest one that exists."""
    hints = get_type_hints(kind)
    for key, value in values.items():
        name = f"{path}{key}"
        if key not in hints:
            near = get_close_matches(str(key), hints, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"allowed are {', '.join(hints)}."
            raise RecipeError(f"{source}: There is no key `{name}`; {hint}")
        if get_origin(hints[key]) is dict:
            _check_entries(value, hints[key], source, name)
            continue
        choices = [hint for hint in (hints[key], *get_args(hints[key])) if is_dataclass(hint)]
        optional = type(None) in get_args(hints[key])
        listed = isinstance(value, list) and Ellipsis in get_args(hints[key])
        for item in value if listed else [value]:
            if not choices or (optional and item is None):
                continue
            if not isinstance(item, dict):
                or_null = " or is null" if optional else ""
                raise RecipeError(
                    f"{source}: `{name}` holds settings of its own{or_null}, got {item!r}."
                )
            _check_keys(item, cast(type, choices[0]), source, f"{name}.")


def _check_entries(value: Any, hint: Any, source: str, name: str) -> None:
    """The same for settings that the recipe gives names of its own."""
    inner = get_args(hint)[1]
    if inner is Any or get_origin(inner) is dict:
        _check_texts(value, source, name)
    if not is_dataclass(inner):
        return
    if not isinstance(value, dict):
        raise RecipeError(f"{source}: `{name}` holds settings by name, got {value!r}.")
    for entry, settings in value.items():
        if not isinstance(settings, dict):
            raise RecipeError(
                f"{source}: `{name}.{entry}` holds settings of its own, got {settings!r}."
            )
        _check_keys(settings, cast(type, inner), source, f"{name}.{entry}.")


def _check_texts(settings: Any, source: str, name: str) -> None:
    """Refuse texts with YAML inside: where no type is known, jsonargparse reads them again."""
    for path, value in _inside(settings, name):
        if isinstance(value, str) and not _is_value(value):
            raise RecipeError(
                f"{source}: `{path}` must not be a text that is YAML itself, got {value[:80]!r}: "
                "write the values without the quotation marks around them."
            )


def _is_value(text: str) -> bool:
    """Whether every YAML reader finds nothing but one value in the text, and no mapping."""
    if not set(text) & set("{?:"):
        return True
    try:
        nodes = [yaml.compose(text, loader) for loader in LOADERS]
    except yaml.YAMLError:
        return False
    return all(isinstance(n, yaml.ScalarNode) and n.value == text.strip() for n in nodes)


def _one_line(text: str) -> str:
    """The parser's message in one line, in the recipe's own key names and plain types."""
    text = " ".join(text.split()).replace("recipe.", "")
    # A setting that may be null: the first complaint is about the value, the second about null.
    text = re.sub(r"Does not validate against any .*? Errors: - (.*?) - Expected a .*", r"\1", text)
    text = re.sub(r"Problem with given class_path '[^']+': ", "", text)
    text = re.sub(r'Parser key "([^"]+)":', r"`\1`:", text)
    text = re.sub(r"<class '(\w+)'>", r"\1", text)
    text = re.sub(r"typing\.Literal\[([^\]]+)\]", r"value of \1", text)
    return re.sub(r"Got value: (.*)", r"Got \1.", text)[:500]
