"""The report stage: results of all stages as report.json and its pages."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aum_edge.complexity.limits import Limits, get_limits
from aum_edge.complexity.report import analyse
from aum_edge.complexity.verdict import verdict_of_document
from aum_edge.core.files import read_json, write_json
from aum_edge.errors import RecipeError
from aum_edge.models.storage.directory import save
from aum_edge.pipeline.run import Run, Stage, environment
from aum_edge.pipeline.stages.device_report import device_report
from aum_edge.report.build import write_report
from aum_edge.report.card import model_card
from aum_edge.report.view import file_key

NEEDS = tuple("data teacher distill prune quantize control devices export bench".split())
"""The stages in the report, in the order in which they run."""
FINAL = "student_int8"
MODELS = {
    "teacher": ("teacher", "Teacher"),
    "student_distilled": ("distill", "Student, distilled"),
    "student_pruned": ("prune", "Student, pruned"),
    "student_int8": ("quantize", "Student, int8"),
    "control": ("control", "CNN control"),
}
FILES = {"student": "student_pruned", "student_int8": "student_int8", "control": "control"}


def build_report(run: Run, folder: Path) -> dict[str, Any]:
    """Gather every stage into report.json, report.md and report.html; refresh the model cards."""
    limits = get_limits(run.recipe.limits)
    models = [_model(run, limits, key, *MODELS[key]) for key in MODELS]
    report: dict[str, Any] = {
        "schema_version": 1,
        "title": run.recipe.title or run.recipe.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipe": {
            "name": run.recipe.name,
            "path": str(run.out / "recipe.yaml"),
            "resolved": run.recipe.resolved(),
        },
        "corpus": _corpus(run),
        "models": models,
        "limits": asdict(limits) | limits.figures,
        "verdict": report_verdict(limits, next(m for m in models if m["key"] == FINAL)),
        "export": _export_rows(run),
        "export_notes": run.result("export").get("notes", []),
        "bench": _bench(run),
        "pruning": _pruning(run),
        "quantization": run.result("quantize").get("sensitivity"),
        "device_models": device_report(run, limits),
        "stages": _stage_times(run),
        "environment": environment(),
    }
    write_report(report, folder)
    final = run.model("quantize")
    save(final, run.folder("quantize") / "model", card=model_card(report, FINAL))
    write_json(folder / "summary.json", summary(report))
    return {"verdict": report["verdict"]["lines"], "within": report["verdict"]["within"]}


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """One small row a model, for tables over many runs."""
    return {
        "name": report["recipe"]["name"],
        "seed": report["recipe"]["resolved"]["seed"],
        "models": {
            model["key"]: {
                "accuracy": model["eval"]["accuracy"],
                "macro_accuracy": model["eval"]["macro_accuracy"],
                "log_loss": model["eval"]["log_loss"],
                "n_params": model["n_params"],
                "param_bytes": model["complexity"]["exact"]["param_bytes"],
                "macs": model["complexity"]["exact"]["macs"],
                "official_macs": model["complexity"]["official"]["macs"],
                "official_bytes": model["complexity"]["official"]["param_bytes"],
            }
            for model in report["models"]
        },
        "device_models": report["device_models"],
        "export": report["export"],
        "ratios": report["bench"]["ratios"],
    }


def _model(run: Run, limits: Limits, key: str, stage: str, title: str) -> dict[str, Any]:
    model = run.model(stage)
    result = run.result(stage)
    counted = analyse(model, limits).to_dict()
    return {
        "key": key,
        "title": title,
        "stage": stage,
        "architecture": type(model.backbone).__name__,
        "n_params": counted["exact"]["n_params"],
        "eval": result["test"],
        "validation": result["val"],
        "complexity": counted,
        "history": result.get("history", []),
        "lineage": list(model.lineage),
    }


def _corpus(run: Run) -> dict[str, Any]:
    data = run.result("data")
    return {
        "name": data["corpus"],
        "labels": data["labels"],
        "n_train": data["clips"]["train"],
        "n_val": data["clips"]["val"],
        "n_test": data["clips"]["test"],
        "train_devices": data["devices"]["train"],
        "test_devices": data["devices"]["test"],
    }


def report_verdict(limits: Limits, final: dict[str, Any]) -> dict[str, Any]:
    """The report's ``verdict``: inside, over or not known (null), and the sentences that say so."""
    verdict = verdict_of_document(final["complexity"], limits.figures | {"name": limits.name})
    lines = verdict.lines(final["title"])
    return {"model": FINAL, "within": verdict.within, "lines": lines, **verdict.to_dict()}


def _export_rows(run: Run) -> list[dict[str, Any]]:
    rows = []
    for row in run.result("export")["files"]:
        name = row["model"]
        key, file = FILES.get(name, name), row.get("file", "")
        if file.endswith(".c"):
            rows.append({**row, "model": f"{key}_c"})
        else:
            rows.append({**row, "model": key, "file": f"{name}.onnx"})
    return rows


def _bench(run: Run) -> dict[str, Any]:
    values = run.result("bench")
    rows = [{**row, "model": file_key(Path(row["model"]).name)} for row in values["rows"]]
    control = next((row["p50_ms"] for row in rows if row["model"] == "control"), None)
    ratios = {row["model"]: row["p50_ms"] / control for row in rows} if control else {}
    return {"host": values["host"], "rows": rows, "control": "control", "ratios": ratios}


def _pruning(run: Run) -> dict[str, Any]:
    result = run.result("prune")
    return {key: result[key] for key in ("unpruned", "rounds", "sensitivity")}


def _stage_times(run: Run) -> list[dict[str, Any]]:
    times = []
    for name in NEEDS:
        record = read_json(run.folder(name) / "stage.json")
        times.append({"name": name, "seconds": record["seconds"], "resumed": False})
    return times


def require_one_label(run: Run) -> None:
    """Refuse a corpus with several labels a clip, which the report cannot show.

    Raises:
        RecipeError: If clips of the corpus have several labels.
    """
    if run.data.arrays["train"].targets is not None:
        raise RecipeError(
            "`aum-edge run` ends with a report of accuracies, which clips with several labels do "
            "not have: `aum-edge train`, `distill`, `prune` and `quantize` work with this corpus."
        )


STAGES = (
    Stage(
        name="report",
        needs=NEEDS,
        settings=lambda r: {"limits": r.limits, "title": r.title},
        work=build_report,
        check=require_one_label,
    ),
)
