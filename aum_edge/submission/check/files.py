"""Output tables, meta files, JSON files and zips against the rules of their year."""

from __future__ import annotations

import csv
import json
import math
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from aum_edge.core.text import few, one_line
from aum_edge.submission.check.findings import Finding, errors
from aum_edge.submission.file_list import Listing
from aum_edge.submission.label import Label
from aum_edge.submission.meta import problems
from aum_edge.submission.output import HEADER, listed_name
from aum_edge.submission.results import softmax
from aum_edge.submission.runtime.scenes import PROBED, SCENES

SUM_OFF = 1e-3
"""How far the probabilities of a row may be from 1."""
SAMPLE_OFF = 5e-3
"""How far two predictions of a file may be from each other."""
SHOWN = 3


def check_output(path: Path, year: int, listing: Listing | None) -> list[Finding]:
    """One output table: header, rows, scenes, probabilities; against the list where it is given."""
    if not path.is_file():
        return errors([f"{path.name} is missing"])
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    if not rows or tuple(rows[0]) != HEADER:
        head = rows[0] if rows else []
        return errors([f"{path.name} must begin with {' '.join(HEADER)}, by tabs; it has {head}"])
    found = _grouped(
        path.name, [(n, why) for n, row in enumerate(rows[1:], 2) for why in _bad(row)]
    )
    names = [row[0] for row in rows[1:] if row]
    if len(set(names)) != len(names):
        found.append(f"{path.name} has {len(names) - len(set(names))} files more than once")
    if listing is not None:
        found += _against(path.name, names, [listed_name(name, year) for name in listing.names])
    return errors(found)


def check_sample(path: Path, names: Sequence[str], logits: list[list[float]]) -> list[Finding]:
    """Some rows of an output table against what the package itself predicts for these files."""
    if not path.is_file() or not logits:
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row[0]: row[2:] for row in csv.reader(file, delimiter="\t") if row}
    shares = softmax(np.array(logits, dtype=np.float32))
    other = [
        name
        for name, share in zip(names, shares, strict=True)
        if name in rows and not _close(rows[name], share.tolist())
    ]
    if not other:
        return []
    return errors(
        [
            f"{path.name}: the package predicts otherwise for {len(other)} of {len(names)} files "
            f"tried: {few(other)}. Predict again with `aum-edge submit --predict`"
        ]
    )


def check_meta(path: Path, label: str, year: int) -> list[Finding]:
    """One meta file."""
    if not path.is_file():
        return errors([f"{path.name} is missing: give --info and --dev"])
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        return errors([f"{path.name} is not YAML: {one_line(error)}"])
    if not isinstance(document, dict):
        return errors([f"{path.name} holds no `submission:`"])
    return errors(f"{path.name}: {problem}" for problem in problems(document, label, year))


def check_complexity(path: Path, counted: dict[str, dict[str, int]]) -> list[Finding]:
    """complexity.json against what was counted in the fresh process."""
    stated = _json(path)
    if stated is None:
        return errors([f"{path.name} of {path.parent.name} is missing or no JSON"])
    if "counted_by" in stated:
        rules = "; ".join(map(str, stated["counted_by"]))
        return [Finding("note", f"{path.parent.name}/{path.name} is counted by {rules}")]
    per_device = stated.get("per_device", {})
    found = [
        f"complexity.json lacks device {device}" for device in PROBED if device not in per_device
    ]
    for device, figures in counted.items():
        row = per_device.get(device)
        if row is not None and row != figures:
            found.append(
                f"complexity.json states {row} for device {device}, the kit's way {figures}"
            )
    for key, name in (("max_MACs", "MACs"), ("max_Params", "Params")):
        highest = max((row.get(name, 0) for row in per_device.values()), default=None)
        if stated.get(key) != highest:
            found.append(f"complexity.json states {key} {stated.get(key)}, its devices {highest}")
    return errors(f"{path.parent.name}: {line}" for line in found)


def check_accuracy(path: Path) -> list[Finding]:
    """test_accuracy.json."""
    values = _json(path)
    if values is None:
        return [Finding("note", f"{path.parent.name}: no test_accuracy.json; give --dev")]
    value = values.get("Test Accuracy")
    if not isinstance(value, int | float) or not 0 <= value <= 100:
        return errors([f"{path.parent.name}: `Test Accuracy` must be a percentage, got {value!r}"])
    return []


def check_zip(
    path: Path, label: Label, labels: Sequence[str], outputs: dict[str, list[str]]
) -> list[Finding]:
    """``task1/<label>/``: meta file and outputs of every system, a report, and nothing else."""
    if not path.is_file():
        return [Finding("note", f"{path.name} is not there: it is made once outputs are")]
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            broken = archive.testzip()
    except zipfile.BadZipFile as error:
        return errors([f"{path.name} is no zip ({error})"])
    if broken:
        return errors([f"{path.name}: {broken} is damaged"])
    wanted = {
        f"task1/{name}/{file}" for name in labels for file in [f"{name}.meta.yaml", *outputs[name]]
    }
    found = errors(f"{path.name} lacks {name}" for name in sorted(wanted - names))
    report = f"task1/{label.package}.technical_report.pdf"
    rest = sorted(names - wanted - {report})
    found += errors(f"{path.name} has {name}, which is no part of a submission" for name in rest)
    if report not in names:
        found.append(Finding("note", f"{path.name} has no {report}: give --technical-report"))
    return found


def _bad(row: list[str]) -> Iterator[str]:
    """Every reason why a row is wrong."""
    if len(row) != len(HEADER):
        yield f"{len(row)} fields instead of {len(HEADER)}"
        return
    if row[1] not in SCENES:
        yield f"the scene `{row[1]}`"
    try:
        shares = [float(value) for value in row[2:]]
    except ValueError:
        yield "a probability that is no number"
        return
    if not all(math.isfinite(share) for share in shares):
        yield "NaN or infinity"
        return
    if min(shares) < 0 or abs(sum(shares) - 1) > SUM_OFF:
        yield "probabilities that do not sum to 1"
    elif row[1] in SCENES and shares[SCENES.index(row[1])] < max(shares):
        yield "a scene that is not the most probable one"


def _close(stated: Sequence[str], shares: Sequence[float]) -> bool:
    """Whether the texts are these probabilities, as far as 16-bit networks repeat themselves."""
    try:
        pairs = list(zip(map(float, stated), shares, strict=True))
    except ValueError:
        return False
    return all(abs(a - b) <= SAMPLE_OFF for a, b in pairs)


def _grouped(name: str, bad: list[tuple[int, str]]) -> list[str]:
    """One line for each kind of reason, with the first rows it is in."""
    by_reason: dict[str, list[int]] = {}
    for line, reason in bad:
        by_reason.setdefault(reason, []).append(line)
    return [
        f"{name}: {len(lines)} rows have {reason} (line {', '.join(map(str, lines[:SHOWN]))}"
        f"{' and more' if len(lines) > SHOWN else ''})"
        for reason, lines in by_reason.items()
    ]


def _against(name: str, names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    missing = sorted(set(wanted) - set(names))
    foreign = sorted(set(names) - set(wanted))
    found = []
    if missing:
        found.append(f"{name} lacks {len(missing)} files of the evaluation set: {few(missing)}")
    if foreign:
        found.append(f"{name} has {len(foreign)} files that are not in it: {few(foreign)}")
    if not found and list(names) != list(wanted):
        found.append(f"{name} is not in the order of the evaluation set's list")
    return found


def _json(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None
