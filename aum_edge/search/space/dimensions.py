"""Dimensions of a search space: a choice or a range for fields of the student and of its training.

A dimension is named as the field it sets: ``d_model`` is the student's, ``train.lr`` and
``train.augment.mixup_p`` are the training's, ``distill.temperature`` is the distillation's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, Literal, Protocol, get_args, get_origin, get_type_hints

from aum_edge.errors import RecipeError
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.ssm.mixers.registry import mixer_names
from aum_edge.training.config import TrainConfig
from aum_edge.training.distillation.config import DistillConfig

Params = dict[str, Any]
"""Values of one trial by dimension, as plain JSON values: tuples are lists."""
GIVEN = ("n_classes", "n_mels", "n_frames", "folded", "width", "inner", "states", "dt_ranks")
"""Student fields that the data or pruning decides; ``directions`` is pruning's too."""
FIXED = ("epochs", "loss", "monitor", "precision", "loggers", "trainer", "freeze")
"""Training fields that all trials must share, or their numbers could not be compared."""
KEYS = ("choices", "low", "high", "step", "log", "when")


class Suggests(Protocol):
    """What of an Optuna trial a space uses."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of some values."""

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """A whole number."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One field: ``choices``, or a range from ``low`` to ``high``, both included."""

    name: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    whole: bool = False
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """The dimension exists only where others have one of these values."""

    def stored(self) -> tuple[Any, ...]:
        """Choices as a storage keeps them: lists become JSON text."""
        return tuple(json.dumps(v) if isinstance(v, list) else v for v in self.choices)

    @property
    def training(self) -> bool:
        """Whether it is a field of the training or the distillation, not of the model."""
        return "." in self.name

    def count(self) -> int | None:
        """How many values there are; None for a range without steps."""
        if self.choices:
            return len(self.choices)
        step = self.step or (1 if self.whole else None)
        return None if step is None else round((self.high - self.low) / step) + 1

    def values(self) -> tuple[Any, ...]:
        """Every value of choices or of a range in steps."""
        if self.choices:
            return self.choices
        low, step = self.ends()[0], self.step or 1
        return tuple(
            low + (int(step) if self.whole else step) * i for i in range(self.count() or 0)
        )

    def applies(self, params: Params) -> bool:
        """Whether the values so far make this field matter."""
        return all(params.get(name) in values for name, values in self.when.items())

    def suggest(self, trial: Suggests) -> Any:
        """The trial's value, as a plain JSON value."""
        if self.choices:
            return self.plain(trial.suggest_categorical(self.name, self.stored()))
        if self.whole:
            low, high, step = int(self.low), int(self.high), int(self.step or 1)
            return trial.suggest_int(self.name, low, high, step=step, log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)

    def plain(self, value: Any) -> Any:
        """A stored value as a plain JSON value again."""
        stored = self.stored()
        return self.choices[stored.index(value)] if value in stored else value

    def ends(self) -> tuple[Any, ...]:
        """Values between which the least cost lies: every choice, or both ends of the range."""
        if self.choices:
            return self.choices
        return (int(self.low), int(self.high)) if self.whole else (self.low, self.high)


def read_space(space: Mapping[str, Mapping[str, Any]]) -> tuple[Dimension, ...]:
    """The dimensions of a recipe, those with a ``when`` last.

    Raises:
        RecipeError: If a name is no field, a key is unknown, a value does not fit its field, a
            range is empty, or a ``when`` names no choice of the space.
    """
    if not space:
        raise RecipeError(
            "`space` is empty: give fields and values, such as `d_model: {choices: [24, 48]}`."
        )
    known = known_fields()
    made = [_dimension(name, rule, known) for name, rule in space.items()]
    plain = {dimension.name: dimension for dimension in made if not dimension.when}
    for dimension in made:
        for parent, values in dimension.when.items():
            choices = plain[parent].choices if parent in plain else ()
            if not choices:
                raise RecipeError(
                    f"`space.{dimension.name}.when` must name choices of a dimension that has no "
                    f"`when` itself, got {parent}: {list(values)}."
                )
            for value in (v for v in values if not _among(v, choices)):
                raise RecipeError(
                    f"`space.{dimension.name}.when` asks for {parent}: {value!r}, which is none "
                    f"of the choices {list(choices)} of `space.{parent}`."
                )
    return tuple(sorted(made, key=lambda dimension: bool(dimension.when)))


def known_fields() -> dict[str, Any]:
    """Every name a dimension may have, with the type of its field."""
    found = _leaves(MambaStudentConfig, "", (*GIVEN, "directions"))
    found["mixer"] = Literal.__getitem__(mixer_names())
    found |= _leaves(TrainConfig, "train.", FIXED)
    return found | _leaves(DistillConfig, "distill.", ())


def suggest(dimensions: Sequence[Dimension], trial: Suggests) -> Params:
    """One point of the space."""
    params: Params = {}
    for dimension in dimensions:
        if dimension.applies(params):
            params[dimension.name] = dimension.suggest(trial)
    return params


def _leaves(kind: type, prefix: str, without: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    hints = get_type_hints(kind)
    for name in (f.name for f in fields(kind)):
        if name in without:
            continue
        if isinstance(hints[name], type) and is_dataclass(hints[name]):
            found |= _leaves(hints[name], f"{prefix}{name}.", ())
        else:
            found[prefix + name] = hints[name]
    return found


def _dimension(name: str, rule: Any, known: Mapping[str, Any]) -> Dimension:
    where = f"`space.{name}`"
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}."
        raise RecipeError(f"{where} is no field that can be searched; {hint}")
    if not isinstance(rule, Mapping):
        raise RecipeError(f"{where} must hold `choices`, or `low` and `high`; got {rule!r}.")
    wrong = [key for key in rule if key not in KEYS]
    if wrong:
        raise RecipeError(f"{where} has no key `{wrong[0]}`; allowed are {', '.join(KEYS)}.")
    when = rule.get("when") or {}
    if not isinstance(when, Mapping):
        raise RecipeError(f"{where}: `when` must read `field: values`, got {when!r}.")
    conditions = {
        parent: tuple(
            _converted(v, known.get(parent))
            for v in (values if isinstance(values, list) else [values])
        )
        for parent, values in when.items()
    }
    if "choices" in rule:
        return Dimension(name=name, choices=_choices(where, rule, known[name]), when=conditions)
    return _range(where, name, rule, known[name], conditions)


def _choices(where: str, rule: Mapping[str, Any], hint: Any) -> tuple[Any, ...]:
    values = rule["choices"]
    if {"low", "high", "step", "log"} & set(rule):
        raise RecipeError(f"{where} has choices and a range: give one of them.")
    if not isinstance(values, list) or not values:
        raise RecipeError(f"{where}: `choices` must be a list of values, got {values!r}.")
    made = [_converted(value, hint) for value in values]
    for value in made:
        if not _finite(value):
            raise RecipeError(f"{where}: a choice must be finite, got {value!r}.")
        if not _fits(value, hint):
            raise RecipeError(f"{where}: {value!r} is no {_words(hint)}.")
    if len({json.dumps(value) for value in made}) < len(made):
        raise RecipeError(f"{where} names a choice twice: {values}.")
    return tuple(made)


def _range(
    where: str, name: str, rule: Mapping[str, Any], hint: Any, when: Mapping[str, tuple[Any, ...]]
) -> Dimension:
    if hint not in (int, float):
        raise RecipeError(f"{where} is a {_words(hint)} and has no range: give `choices`.")
    whole = hint is int
    low, high, step = (_number(rule.get(key)) for key in ("low", "high", "step"))
    log = rule.get("log", False)
    for key, value in (("low", low), ("high", high), ("step", step)):
        if value is None and key == "step":
            continue
        if not _fits(value, hint):
            raise RecipeError(f"{where}: `{key}` must be a {_words(hint)}, got {rule.get(key)!r}.")
        if not _finite(value):
            raise RecipeError(f"{where}: `{key}` must be finite, got {rule.get(key)!r}.")
    if not low < high:
        raise RecipeError(f"{where}: `low` {low} must be below `high` {high}.")
    if not isinstance(log, bool):
        raise RecipeError(f"{where}: `log` must be true or false, got {log!r}.")
    if log and (low <= 0 or step is not None):
        raise RecipeError(f"{where}: `log` needs `low` above 0 and no `step`.")
    if step is not None and not 0 < step <= high - low:
        raise RecipeError(f"{where}: `step` must lie in the range, got {step}.")
    if step is not None:
        # Optuna would cut the range to whole steps and warn.
        high = low + step * int((high - low) / step + 1e-9)
    return Dimension(name=name, low=low, high=high, step=step, log=log, whole=whole, when=when)


def _converted(value: Any, hint: Any) -> Any:
    return _number(value) if hint is float else value


def _among(value: Any, choices: Sequence[Any]) -> bool:
    """By real type: neither the text 'True' nor the number 1 is the choice true."""
    return any(
        value == choice and isinstance(value, bool) == isinstance(choice, bool)
        for choice in choices
    )


def _finite(value: Any) -> bool:
    """Also of the numbers inside lists; a whole number may be too large for any float."""
    if isinstance(value, list):
        return all(_finite(item) for item in value)
    try:
        return not isinstance(value, int | float) or math.isfinite(value)
    except OverflowError:
        return False


def _number(value: Any) -> Any:
    """YAML reads 1e-3 as a text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        if not isinstance(value, list):
            return False
        every = [kinds[0]] * len(value) if kinds[-1] is ... else kinds
        pairs = zip(value, every, strict=False)
        return len(value) == len(every) and all(_fits(item, kind) for item, kind in pairs)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _words(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if get_origin(hint) is tuple:
        return f"list of {len(get_args(hint))} numbers"
    return {int: "whole number", float: "number", bool: "true or false"}.get(hint, str(hint))
