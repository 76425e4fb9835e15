"""The information file of a submission: authors, names, external data, as YAML."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aum_edge.core.text import one_line
from aum_edge.errors import RecipeError

LONGEST_ABBREVIATION = 10
PLACEHOLDER = "FILL IN"
AUTHOR = ("lastname", "firstname", "email")
AFFILIATION = ("abbreviation", "institute", "department", "location")
ENERGY = ("training", "inference", "baseline_inference")
GROUPS = ("submission", "description", "external_datasets", "source_code", "energy_consumption")

TEMPLATE = f"""\
# What a run cannot tell about a submission. Replace every {PLACEHOLDER!r}.
submission:
  name: {PLACEHOLDER}                # of the system, for the result table
  abbreviation: {PLACEHOLDER}        # at most {LONGEST_ABBREVIATION} characters
  authors:                     # exactly one is corresponding
    - lastname: {PLACEHOLDER}
      firstname: {PLACEHOLDER}
      email: {PLACEHOLDER}
      corresponding: true
      affiliation:
        abbreviation: {PLACEHOLDER}
        institute: {PLACEHOLDER}
        department: {PLACEHOLDER}
        location: {PLACEHOLDER}

# Everything learnt from beyond the challenge's data: corpora, pretrained models, impulse responses.
# What the recipe declares is known already and only completed here, by its name. [] says that
# there is nothing more. Length in minutes, 0 where there is no audio:
#   - {{name: MicIRP, url: "...", total_audio_length: 1, licence: CC0, used_for: augmentation}}
external_datasets: {PLACEHOLDER}

source_code: null              # a link, if the code is public

# Words for the meta file that take the place of those made from the run, for example:
#   description: {{data_augmentation: "mixup, freq-mixstyle"}}
description: {{}}

# 2023 only, in kWh by the organisers' tool:
#   energy_consumption: {{training: 1.2, inference: 0.1, baseline_inference: 0.2}}
energy_consumption: {{}}
"""


@dataclass(frozen=True, kw_only=True)
class Info:
    """The file's contents, complete."""

    name: str
    abbreviation: str
    authors: list[dict[str, Any]]
    external_datasets: list[dict[str, Any]]
    source_code: str | None = None
    description: dict[str, str] = field(default_factory=dict)
    energy_consumption: dict[str, float] = field(default_factory=dict)


def read_info(path: Path, year: int) -> Info:
    """The information file.

    Raises:
        RecipeError: One line for everything that is missing or wrong.
    """
    values = _yaml(path)
    problems = [
        f"there is no `{key}`; allowed are {', '.join(GROUPS)}"
        for key in values
        if key not in GROUPS
    ]
    submission = values.get("submission")
    submission = submission if isinstance(submission, dict) else {}
    problems += _submission_problems(submission)
    problems += _dataset_problems(values.get("external_datasets"))
    description = values.get("description") or {}
    if not isinstance(description, dict):
        problems.append("`description` must hold `field: words`")
    energy = values.get("energy_consumption") or {}
    if year == 2023:
        problems += [
            f"`energy_consumption.{name}` is missing: kWh, a number"
            for name in ENERGY
            if not _number((energy if isinstance(energy, dict) else {}).get(name))
        ]
    if problems:
        raise RecipeError("\n".join(f"{path}: {problem}." for problem in problems))
    return Info(
        name=str(submission["name"]),
        abbreviation=str(submission["abbreviation"]),
        authors=submission["authors"],
        external_datasets=values["external_datasets"],
        source_code=values.get("source_code") or None,
        description={str(key): str(words) for key, words in description.items()},
        energy_consumption={name: float(energy[name]) for name in ENERGY if name in energy},
    )


def _yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(
            f"There is no {path}: `aum-edge submit --new-info {path}` writes one to fill in."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not YAML: {one_line(error)}.") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path} must hold `submission:`, `external_datasets:` and so on.")
    return values


def _submission_problems(values: dict[str, Any]) -> list[str]:
    found = [
        f"`submission.{name}` is missing"
        for name in ("name", "abbreviation")
        if _blank(values, name)
    ]
    short = str(values.get("abbreviation", ""))
    if not _blank(values, "abbreviation") and len(short) > LONGEST_ABBREVIATION:
        found.append(
            f"`submission.abbreviation` may have {LONGEST_ABBREVIATION} characters, `{short}` has "
            f"{len(short)}"
        )
    authors = values.get("authors")
    if not isinstance(authors, list) or not all(isinstance(author, dict) for author in authors):
        return [*found, "`submission.authors` is missing: a list, each with lastname and so on"]
    for number, author in enumerate(authors):
        found += _author_problems(f"submission.authors[{number}]", author)
    corresponding = sum(author.get("corresponding") is True for author in authors)
    if corresponding != 1:
        found.append(
            "`submission.authors` must have exactly one with `corresponding: true`, got "
            f"{corresponding}"
        )
    return found


def _author_problems(place: str, author: dict[str, Any]) -> list[str]:
    found = [f"`{place}.{name}` is missing" for name in AUTHOR if _blank(author, name)]
    if not _blank(author, "email") and "@" not in str(author["email"]):
        found.append(f"`{place}.email` is `{author['email']}`, no address")
    home = author.get("affiliation")
    home = home if isinstance(home, dict) else {}
    found += [
        f"`{place}.affiliation.{name}` is missing" for name in AFFILIATION if _blank(home, name)
    ]
    return found


def _dataset_problems(datasets: Any) -> list[str]:
    if not isinstance(datasets, list) or not all(isinstance(row, dict) for row in datasets):
        return ["`external_datasets` is missing: [] if nothing from outside was used, else a list"]
    return [
        f"`external_datasets[{number}].name` is missing"
        for number, row in enumerate(datasets)
        if _blank(row, "name")
    ]


def _blank(values: dict[str, Any], name: str) -> bool:
    value = values.get(name)
    return value is None or str(value).strip() in ("", PLACEHOLDER)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
