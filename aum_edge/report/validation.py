"""Validation of a report against its schema."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import UnionType
from typing import Any, NotRequired, cast, get_args, get_origin, get_type_hints

from aum_edge.errors import AumEdgeError
from aum_edge.report.schema import SCHEMA_VERSION, Report

SHOWN = 8
"""Problems that a message names."""


def checked(document: Any) -> Report:
    """A report whose every required key is there, of the right kind, and finite.

    NaN and infinities become ``None`` first, which JSON does not have.

    Raises:
        AumEdgeError: If ``schema_version`` is another one, a required key is missing or a value is
            of another kind; the message names them.
    """
    if not isinstance(document, dict):
        raise AumEdgeError(
            f"A report is a JSON object, got {type(document).__name__}: "
            "give the contents of report.json."
        )
    found = document.get("schema_version")
    if found != SCHEMA_VERSION or isinstance(found, bool):
        raise AumEdgeError(
            f"The report's `schema_version` is {found!r}; this aum-edge reads {SCHEMA_VERSION}: "
            "make the report anew with `aum-edge run RECIPE --from report`."
        )
    finite = _finite(document)
    problems = [*_problems(finite, Report, "")]
    if not problems:
        problems = [*_contradictions(finite)]
    if problems:
        shown = "; ".join(problems[:SHOWN])
        rest = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise AumEdgeError(
            f"The report is not complete: {shown}{rest}. "
            "Make it anew with `aum-edge run RECIPE --from report`."
        )
    return cast(Report, finite)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _problems(value: Any, kind: Any, where: str) -> Iterator[str]:
    """Every way in which ``value`` is not of ``kind``, each with its path."""
    if isinstance(kind, type) and issubclass(kind, dict) and kind is not dict:
        yield from _key_problems(value, kind, where)
    elif get_origin(kind) is UnionType:
        others = [option for option in get_args(kind) if option is not type(None)]
        if value is not None:
            yield from _problems(value, others[0], where)
    elif get_origin(kind) is list and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(item, get_args(kind)[0], f"{where}[{index}]")
    elif get_origin(kind) is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from _problems(item, get_args(kind)[1], f"{where}.{key}")
    elif kind is not Any and not _is_plain(value, get_origin(kind) or kind):
        yield f"`{where}` is {type(value).__name__}, not {_word(kind)}"


def _key_problems(value: Any, kind: type, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"`{where}` is {type(value).__name__}, not an object"
        return
    for key, hint in get_type_hints(kind, include_extras=True).items():
        optional = get_origin(hint) is NotRequired
        path = f"{where}.{key}" if where else key
        if key in value:
            yield from _problems(value[key], get_args(hint)[0] if optional else hint, path)
        elif not optional:
            yield f"`{path}` is missing"


def _is_plain(value: Any, kind: type) -> bool:
    if kind in (int, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind)


def _word(kind: Any) -> str:
    words = {int: "a number", float: "a number", str: "text", bool: "true or false"}
    return words.get(kind) or ("a list" if get_origin(kind) is list else "an object")


def _contradictions(report: dict[str, Any]) -> Iterator[str]:
    keys = [model["key"] for model in report["models"]]
    if not keys:
        yield "`models` is empty"
    elif report["verdict"]["model"] not in keys:
        yield f"`verdict.model` is `{report['verdict']['model']}`, but `models` has {keys}"
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"`models` has `{key}` twice"
