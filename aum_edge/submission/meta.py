"""``<label>.meta.yaml`` by year: every field from the run or from the information file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from aum_edge.errors import RecipeError
from aum_edge.submission.config import SPLITS, SubmissionConfig
from aum_edge.submission.description import Run, description
from aum_edge.submission.info import Info
from aum_edge.submission.models import SubmissionModel

_COMMON = (
    "input_sampling_rate", "acoustic_features", "embeddings", "data_augmentation",
    "machine_learning_method", "ensemble_method_subsystem_count", "decision_making",
    "external_data_usage", "complexity_management", "pipeline", "framework",
)  # fmt: skip
_SHORT = (
    "input_sampling_rate", "acoustic_features", "data_augmentation", "machine_learning_method",
    "external_data_usage", "complexity_management", "pipeline", "framework",
)  # fmt: skip
DESCRIPTION = {
    2022: _COMMON,
    2023: _COMMON,
    2024: (*_SHORT, "split_adaptations", "system_adaptations"),
    2025: (*_SHORT, "device_information"),
}
"""Fields of ``system.description``; those of 2025 are 2024's without its splits."""
COMPLEXITY = {
    2022: ("total_parameters", "total_parameters_non_zero", "memory_use", "macs"),
    2023: (
        "total_model_size", "total_parameters", "total_parameters_non_zero", "memory_use", "macs",
    ),
    2024: ("total_model_size", "total_parameters", "macs"),
    2025: ("total_model_size", "total_parameters", "macs"),
}  # fmt: skip
Row = dict[str, Any]
NEEDED = ("name", "url", "total_audio_length", "licence")
"""Fields of an external data set; the length is in minutes, 0 where there is no audio."""


def meta_document(
    config: SubmissionConfig,
    members: dict[str, SubmissionModel],
    info: Info,
    run: Run,
    results: dict[str, Any],
) -> dict[str, Any]:
    """The whole meta file.

    Args:
        config: Label and year.
        members: The models.
        info: Values of the information file.
        run: The recipe that made the models.
        results: ``development_dataset``: of 2024 by ``split_5`` and so on.

    Raises:
        RecipeError: One line for each field that neither the run nor ``info`` fills.
    """
    year = config.year
    described, outside = _description(year, members, info, run)
    system: dict[str, Any] = {
        "description": described,
        "complexity": complexity(year, members),
    }
    if year == 2023:
        system["energy_consumption"] = dict(info.energy_consumption)
    system["external_datasets"] = outside
    system["source_code"] = info.source_code
    return {
        "submission": {
            "label": config.label,
            "name": info.name,
            "abbreviation": info.abbreviation,
            "authors": info.authors,
        },
        "system": system,
        "results": {"development_dataset": results},
    }


def meta_text(document: dict[str, Any]) -> str:
    """As YAML, without anchors, in the order of the document."""

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump(document, Dumper=Plain, sort_keys=False, allow_unicode=True, width=100)


def complexity(year: int, members: dict[str, SubmissionModel]) -> dict[str, Any]:
    """The costliest model's figures; 2025 lists every model beside them."""
    figures = [member.figures for member in members.values()]
    values = {
        "total_model_size": max(row.param_bytes for row in figures),
        "total_parameters": max(row.n_params for row in figures),
        "total_parameters_non_zero": max(row.n_non_zero for row in figures),
        "memory_use": max(row.param_bytes for row in figures),
        "macs": max(row.macs for row in figures),
    }
    block: dict[str, Any] = {name: values[name] for name in COMPLEXITY[year]}
    if year >= 2025:
        block["per_model"] = {
            name: {
                "macs": member.figures.macs,
                "model_size": member.figures.param_bytes,
                "parameters": member.figures.n_params,
                "exact_macs": member.figures.exact_macs,
            }
            for name, member in members.items()
        }
        block["counted_by"] = sorted({row.counted_by for row in figures})
    return block


def problems(document: dict[str, Any], label: str, year: int) -> list[str]:
    """What a year's validator would find wrong, and empty fields, each in one line."""
    found = []
    submission = document.get("submission") or {}
    system, results = document.get("system") or {}, document.get("results") or {}
    if submission.get("label") != label:
        found.append(f"`submission.label` is `{submission.get('label')}`, not `{label}`")
    for name in ("name", "abbreviation", "authors"):
        if not submission.get(name):
            found.append(f"`submission.{name}` is missing")
    if len(str(submission.get("abbreviation") or "")) > 10:
        found.append("`submission.abbreviation` has more than 10 characters")
    authors = submission.get("authors") or []
    if sum(author.get("corresponding") is True for author in authors) != 1:
        found.append("`submission.authors` needs exactly one with `corresponding: true`")
    described = system.get("description") or {}
    found += [
        f"`system.description.{name}` is missing"
        for name in DESCRIPTION[year]
        if described.get(name) in (None, "")
    ]
    counted = system.get("complexity") or {}
    found += [
        f"`system.complexity.{name}` must be a whole number"
        for name in COMPLEXITY[year]
        if type(counted.get(name)) is not int
    ]
    if "external_datasets" not in system:
        found.append("`system.external_datasets` is missing; [] if there are none")
    development = results.get("development_dataset") or {}
    blocks = [development.get(f"split_{n}") for n in SPLITS] if year == 2024 else [development]
    for block in blocks:
        for group in ("overall", "class_wise", "device_wise"):
            if not (block or {}).get(group):
                found.append(f"`results.development_dataset` lacks `{group}`")
    return found


def _description(
    year: int, members: dict[str, SubmissionModel], info: Info, run: Run
) -> tuple[dict[str, str | None], list[Row]]:
    """The fields of a year and the outside data; one line for each that is empty."""
    fields = DESCRIPTION[year]
    foreign = [name for name in info.description if name not in fields]
    if foreign:
        raise RecipeError(
            f"The meta file of {year} has no `description.{foreign[0]}`; it has "
            f"{', '.join(fields)}."
        )
    outside, lines = external_datasets(info.external_datasets, members, run)
    if run.impulse_folders and not outside:
        lines.append(
            f"the recipe uses impulse responses of {', '.join(run.impulse_folders)}: name them "
            "under `external_datasets`, with their licence"
        )
    made = {**description(members, run), "external_data_usage": usage(outside)}
    filled = {name: info.description.get(name, made[name]) for name in fields}
    lines += [
        f"`description.{name}` is not known from the run: give it in the information file"
        for name, words in filled.items()
        if not words
    ]
    if lines:
        raise RecipeError("\n".join(f"Meta file: {line}." for line in lines))
    return filled, outside


def external_datasets(
    stated: Iterable[Mapping[str, Any]], members: Mapping[str, SubmissionModel], run: Run
) -> tuple[list[Row], list[str]]:
    """Every data set once, and a line for each field that nobody filled.

    Models carry in their lineage what their recipe declared; the information file fills what is
    empty there, by name, and adds what is lacking.
    """
    declared = [
        *(row for member in members.values() for row in _lineage_rows(member)),
        *(run.recipe.get("external_data") or ()),
        *stated,
    ]
    rows: dict[str, Row] = {}
    for entry in declared:
        filled = {key: value for key, value in entry.items() if value not in (None, "")}
        rows.setdefault(str(entry["name"]), {}).update(filled)
    lines = [
        f"external data `{name}` lacks `{field}`: give it under `external_datasets`"
        for name, row in rows.items()
        for field in NEEDED
        if field not in row
    ]
    return list(rows.values()), lines


def usage(rows: Sequence[Row]) -> str | None:
    """What external data was used for, in words; None where an entry does not say."""
    if not rows:
        return "none"
    if any(not row.get("used_for") for row in rows):
        return None
    return "; ".join(f"{row['name']}: {row['used_for']}" for row in rows)


def _lineage_rows(member: SubmissionModel) -> list[Row]:
    return [row for step in member.lineage for row in step.get("external_data") or ()]
