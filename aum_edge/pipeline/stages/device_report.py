"""Section of the report on device-specific models: scores and cost by device."""

from __future__ import annotations

from typing import Any

from aum_edge.complexity.limits import Limits
from aum_edge.complexity.report import analyse
from aum_edge.complexity.verdict import UNITS, WITHIN, state_of, worst
from aum_edge.pipeline.run import Run
from aum_edge.training.metrics.by_device import device_groups

FAMILIES = {
    "student": ("", "quantize", "Student"),
    "control": ("control", "control", "CNN control"),
}
"""Sub-folder of the stage, stage of the general model, title."""


def device_report(run: Run, limits: Limits) -> dict[str, Any] | None:
    """The report's ``device_models``; None where the recipe asks for none."""
    if not run.recipe.devices.names:
        return None
    result = run.result("devices")
    trained = set(run.result("data")["devices"]["train"])
    families = []
    for key, (folder, general, title) in FAMILIES.items():
        found = result if key == "student" else result.get(key)
        if not found:
            continue
        home = run.folder("devices") / folder
        rows = _device_rows(found, trained)
        base = _cost(run, limits, general, "model")
        for row in rows:
            own = row["device"] in found["models"]
            name = f"{home.relative_to(run.out)}/{row['device']}"
            row["complexity"] = _cost(run, limits, name, "model") if own else base
        families.append(
            {
                "key": key,
                "title": title,
                "overall": {name: found[name]["overall"] for name in ("general", "specific")},
                "groups": _group_rows(found),
                "devices": rows,
                "general_complexity": base,
                "within": _within(rows),
            }
        )
    return {"limits": limits.name, "families": families}


def _device_rows(found: dict[str, Any], trained: set[str]) -> list[dict[str, Any]]:
    general, specific = (found[name]["devices"] for name in ("general", "specific"))
    rows = []
    for group, devices in device_groups(general, trained).items():
        for device in devices:
            own = found["models"].get(device, {})
            rows.append(
                {
                    "device": device,
                    "group": group,
                    "kept": own.get("kept", "general"),
                    "train_clips": own.get("train_clips", 0),
                    "general": general[device],
                    "specific": specific[device],
                }
            )
    return rows


def _group_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    general, specific = (found[name]["groups"] for name in ("general", "specific"))
    return [
        {"group": group, "general": general[group], "specific": specific[group]}
        for group in general
    ]


def _cost(run: Run, limits: Limits, stage: str, name: str) -> dict[str, Any]:
    counted = analyse(run.model(stage, name), limits).to_dict()
    return {
        "exact": {key: counted["exact"][key] for key in UNITS},
        "official": {key: counted["official"][key] for key in UNITS},
        "within_limits": counted["within_limits"],
        "unsupported": counted["unsupported"],
    }


def _within(rows: list[dict[str, Any]]) -> bool | None:
    """Whether every device's model is inside by both counts; ``None`` where that is not known."""
    found = [value for row in rows for value in row["complexity"]["within_limits"].values()]
    return WITHIN[worst(map(state_of, found))]
