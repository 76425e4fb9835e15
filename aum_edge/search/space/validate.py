"""Refuses values of a space that no model and no training can have, before a study is opened."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from aum_edge.audio.augment.pipeline import Augment
from aum_edge.audio.config import FrontEndConfig
from aum_edge.core.text import one_line
from aum_edge.errors import RecipeError
from aum_edge.models.presets import STUDENTS
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.pipeline.recipe import StudentConfig
from aum_edge.search.space.dimensions import Dimension, Params
from aum_edge.search.space.student_settings import settings_of

PLAIN: Params = {"mixer": "none", "bidirectional": False, "sharing": "shared"}
"""The student whose other fields may have the most values: no heads, no centred kernels."""
ROWS: tuple[Params, ...] = ({"frequency_groups": 1}, {"stem": "conv"}, {"stem": "patch"})
"""What else a value may go with, such as a number of groups with one of the stems."""
POINTS = 64
"""Points of the space that a value is tried in, where it fits none of the plain ones."""
CLASSES = 2
"""The corpus is not read yet, and no value depends on its classes."""


def require_student(student: StudentConfig, frontend: FrontEndConfig) -> None:
    """Refuse a start that is no student.

    Raises:
        RecipeError: If the preset is another model, or its overrides do not fit.
    """
    name = student.model.preset
    if name not in STUDENTS:
        raise RecipeError(
            f"A search is over the student family and `student.model.preset` is {name}: give one "
            f"of {', '.join(STUDENTS)}."
        )
    known = [field.name for field in fields(MambaStudentConfig)]
    unknown = [field for field in student.model.overrides if field not in known]
    if unknown:
        raise RecipeError(
            f"`student.model.overrides` has `{unknown[0]}`, which no student has; there are "
            f"{', '.join(known)}."
        )
    _build(student, frontend, {})


def validate_space(
    student: StudentConfig, frontend: FrontEndConfig, dimensions: Sequence[Dimension]
) -> None:
    """Try every choice and both ends of every range.

    A value is refused when it builds in none of: the recipe's own student, the plainest one, and
    points of the space. Cost: less than a millisecond for each.

    Raises:
        RecipeError: With the field, the value and what is wrong with it.
    """
    for dimension in dimensions:
        for value in dimension.ends():
            reason = _refusal(student, frontend, dimensions, dimension, value)
            if reason:
                raise RecipeError(
                    f"`space.{dimension.name}` holds {value!r}, which cannot be: {reason}"
                )


def _refusal(
    student: StudentConfig,
    frontend: FrontEndConfig,
    dimensions: Sequence[Dimension],
    one: Dimension,
    value: Any,
) -> str:
    """Why the value builds nowhere; empty if it builds."""
    if isinstance(value, int | float) and value < 0:
        return "no field that can be searched may be below 0."
    mine = {one.name: value}
    near = [mine] if one.training else [mine, *({**PLAIN, **more, **mine} for more in ROWS)]
    reason = ""
    for params in (*near, *_points(dimensions, one, value)):
        try:
            _build(student, frontend, params)
        except (RecipeError, TypeError, ArithmeticError) as error:
            reason = reason or one_line(error) + "."
        else:
            return ""
    return reason


def _points(dimensions: Sequence[Dimension], one: Dimension, value: Any) -> list[Params]:
    """Points with the value, of the fields that it may have to do with."""
    draw = random.Random(0)
    same = [d for d in dimensions if d.training == one.training]
    found = []
    for _ in range(POINTS):
        point: Params = {}
        for dimension in same:
            allowed = one.when.get(dimension.name, dimension.ends())
            point[dimension.name] = draw.choice(allowed)
        found.append({**point, one.name: value})
    return found


def _build(student: StudentConfig, frontend: FrontEndConfig, params: Params) -> None:
    made = settings_of(student, params)
    made.model.config(CLASSES, frontend)
    if any(name.startswith("train.augment.") for name in params):
        # Without the responses, which may be a folder to be read.
        Augment(replace(made.train.augment, ir_p=0.0), frontend)
