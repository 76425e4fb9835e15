"""`aum-edge export MODEL OUT`: a file that runs elsewhere; its ending names the target."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

from aum_edge.core.progress import stderr_progress
from aum_edge.errors import RecipeError

UNVERIFIED = 1
"""Exit code of a file that is there, and that nothing has proven."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command: those of every target's config."""
    from aum_edge.export.registry import export_targets

    targets = export_targets()
    parser.add_argument("model", metavar="MODEL", help="model directory or run directory")
    parser.add_argument("out", type=Path, metavar="|".join(f"OUT{ending}" for ending in targets))
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    known: dict[str, Any] = {}
    for target in targets.values():
        group = parser.add_argument_group(target.ending, target.description)
        for name, text in target.options.items():
            if name in known:
                known[name].help += f" (also {target.ending})"
            else:
                known[name] = _add_option(group, target.config, name, text)


def run(options: argparse.Namespace) -> int:
    """Export and verify; prints what was written and how it compares."""
    from aum_edge.export.registry import export, target_of

    target = target_of(options.out)
    config = target.config(**_given(options, target.ending))
    report = export(options.model, options.out, config, stderr_progress())
    print(json.dumps(report.to_dict(), indent=1) if options.json else report)
    if report.warning:
        print(f"aum-edge: {report.warning}", file=sys.stderr)
        return UNVERIFIED
    return 0


def _add_option(group: Any, config: type[Any], name: str, text: str) -> argparse.Action:
    """One field of a config as an option; what is not given is left to the config's default."""
    default = next(field.default for field in fields(config) if field.name == name)
    kind = get_type_hints(config)[name]
    how: dict[str, Any] = {"action": "store_true"}
    if kind is not bool:
        how = {"type": kind if kind in (int, float) else str}
        text += "" if default is None else f" (default: {default})"
    return group.add_argument(
        f"--{name.replace('_', '-')}", dest=name, default=argparse.SUPPRESS, help=text, **how
    )


def _given(options: argparse.Namespace, ending: str) -> dict[str, Any]:
    """The options that were given, all of them this target's.

    Raises:
        RecipeError: If one is another target's.
    """
    from aum_edge.export.registry import export_targets

    targets = export_targets()
    owners: dict[str, list[str]] = {}
    for target in targets.values():
        for name in target.options:
            owners.setdefault(name, []).append(target.ending)
    given = {name: getattr(options, name) for name in owners if hasattr(options, name)}
    for name in given:
        if ending not in owners[name]:
            own = ", ".join(f"--{x.replace('_', '-')}" for x in targets[ending].options)
            raise RecipeError(
                f"`--{name.replace('_', '-')}` is for {' and '.join(owners[name])} files; a "
                f"{ending} file takes {own or 'no options'}: {targets[ending].description}."
            )
    return given
