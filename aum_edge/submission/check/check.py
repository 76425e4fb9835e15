"""``submit --check``: a package installed and run without aum_edge, and all files beside it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aum_edge.audio.wav import write_wav
from aum_edge.complexity.limits import Limits, get_limits
from aum_edge.complexity.verdict import verdict_of
from aum_edge.core.files import read_json
from aum_edge.core.progress import Progress
from aum_edge.core.text import one_line
from aum_edge.errors import DataError, RecipeError
from aum_edge.submission.check.files import (
    check_accuracy,
    check_complexity,
    check_meta,
    check_output,
    check_sample,
    check_zip,
)
from aum_edge.submission.check.findings import Finding, errors
from aum_edge.submission.config import SPLITS
from aum_edge.submission.file_list import Listing
from aum_edge.submission.label import Label, parse_label
from aum_edge.submission.output import output_names
from aum_edge.submission.package.package import MARKER

ISOLATED_RUN = Path(__file__).with_name("isolated_run.py")
SECONDS = 900
"""How long a package may take for one module."""
RATE = 44_100
SAMPLE = 24
"""Files of the evaluation set that the package predicts again."""


def check_submission(
    out: Path, listing: Listing | None = None, progress: Progress | None = None
) -> list[Finding]:
    """Everything that is wrong or worth knowing about a submission's folder.

    Args:
        out: The folder that ``aum-edge submit`` wrote, or a clone of the kit with a package in it.
        listing: The evaluation set, to hold the output tables against.
        progress: Called with steps done, all steps and what is done.

    Raises:
        DataError: There is no submission in that folder.
    """
    labels, findings = _labels(out)
    systems = read_json(out / MARKER).get("systems", {})
    modules = [label for label in labels if (out / label.package / f"{label.text}.py").is_file()]
    with tempfile.TemporaryDirectory(prefix="aum-edge-check-") as folder:
        work = Path(folder)
        root = out
        if modules:
            root, installed = _install(out, modules[0].package, work)
            findings += installed
            findings += _resources(root / modules[0].package)
        for number, label in enumerate(labels):
            if progress:
                progress(number, len(labels), f"checking {label.text}")
            system = systems.get(str(label.index), {})
            if label in modules:
                findings += _run(_Job(root, label, _limits(system), work), out, listing)
            findings += _files(out, label, int(system.get("year", 2025)), listing)
    findings += _zip(out, labels, systems)
    if progress:
        progress(len(labels), len(labels), "systems checked")
    return findings


def _labels(out: Path) -> tuple[list[Label], list[Finding]]:
    """Every system by its module or its folder of outputs; names that break the rule are found."""
    if not out.is_dir():
        raise DataError(f"There is no folder {out}: give what `aum-edge submit --out` wrote.")
    names = {path.stem for path in out.glob("*_task1/*_task1_*.py")}
    names |= {path.name for path in out.glob("task1/*") if path.is_dir()}
    package = read_json(out / MARKER).get("package")
    names |= {f"{package}_{index}" for index in read_json(out / MARKER).get("systems", {})}
    labels, findings = [], []
    for name in sorted(names):
        try:
            labels.append(parse_label(name))
        except RecipeError as error:
            findings.append(Finding("error", str(error)))
    if not names:
        raise DataError(f"{out} holds no submission: no `*_task1` package and no `task1` folder.")
    if len({label.package for label in labels}) > 1:
        findings += errors(["systems of several teams are in one folder"])
    return labels, findings


def _install(out: Path, package: str, work: Path) -> tuple[Path, list[Finding]]:
    """Where pip put the package; its sources, and why, where it did not."""
    missing = [name for name in ("setup.py", "requirements.txt") if not (out / name).is_file()]
    if missing:
        return out, errors([f"{missing[0]} is missing: pip cannot install the package"])
    if importlib.util.find_spec("pip") is None or importlib.util.find_spec("setuptools") is None:
        return out, [Finding("note", "not installed by pip, which is not here: sources checked")]
    copy, target = work / "sources", work / "installed"
    copy.mkdir()
    shutil.copytree(out / package, copy / package)
    for name in ("setup.py", "requirements.txt"):
        shutil.copy2(out / name, copy / name)
    words = "-m pip install --quiet --no-deps --no-index --no-build-isolation --target"
    done = subprocess.run(
        [sys.executable, *words.split(), str(target), str(copy)],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    if done.returncode:
        reason = one_line(done.stderr)[-300:]
        return out, errors([f"pip cannot install the package: {reason}"])
    return target, []


def _resources(package: Path) -> list[Finding]:
    found = []
    if not (package / "resources" / "dummy.wav").is_file():
        found += errors(["resources/dummy.wav is missing"])
    if not (package / "resources" / "test.csv").is_file():
        note = "resources/test.csv is missing, which evaluate_submission.py reads: give --dev"
        found.append(Finding("note", note))
    return found


@dataclass(frozen=True)
class _Job:
    """One module, and where it is run."""

    root: Path
    label: Label
    limits: Limits
    work: Path


def _run(job: _Job, out: Path, listing: Listing | None) -> list[Finding]:
    """One module in its fresh process, and the files that it should have made."""
    rows = sample_rows(len(listing.names)) if listing else []
    sample = {
        "files": [listing.paths[row] for row in rows] if listing else [],
        "devices": [listing.devices[row] for row in rows] if listing else [],
    }
    findings, answer = _isolated_run(job, sample)
    folder = out / "predictions" / job.label.text
    if not folder.is_dir():
        note = (
            f"{job.label.text} has no predictions/{job.label.text} yet: the kit's scripts write it"
        )
        return [*findings, Finding("note", note)]
    findings += check_complexity(folder / "complexity.json", answer.get("per_device", {}))
    findings += check_accuracy(folder / "test_accuracy.json")
    if listing:
        names = [listing.names[row] for row in rows]
        findings += check_sample(folder / "output.csv", names, answer.get("sample", []))
    return findings


def sample_rows(count: int) -> list[int]:
    """Rows spread over a list, the first and the last among them."""
    last = min(SAMPLE, count) - 1
    return sorted({round(number * (count - 1) / max(1, last)) for number in range(last + 1)})


def _isolated_run(job: _Job, sample: dict[str, list[str]]) -> tuple[list[Finding], dict[str, Any]]:
    """Findings, counts and predictions of a fresh process that cannot import aum_edge."""
    label, ours = job.label, _depends(job.root, job.label)
    answer, job_file = job.work / f"{label.text}.json", job.work / "job.json"
    values: dict[str, Any] = {
        "root": str(job.root.resolve()),
        "package": label.package,
        "index": label.index,
        "allow": ours,
        "answer": str(answer),
        "sounds": _sounds(job.work / "sounds"),
        "sample": {**sample, "files": [str(Path(path).resolve()) for path in sample["files"]]},
    }
    job_file.write_text(json.dumps(values if sample["files"] else {**values, "sample": None}))
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(ISOLATED_RUN), str(job_file)],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        return errors([f"{label.text} is not done after {SECONDS} s"]), {}
    if not answer.is_file():
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return errors([f"{label.text} ends its process with code {done.returncode}: {reason}"]), {}
    told: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    findings = [Finding(row["level"], row["what"]) for row in told["findings"]]
    findings += over_limits(label.text, told, job.limits)
    if ours:
        note = f"{label.text} imports aum_edge: whoever runs it must install that first"
        findings.append(Finding("note", note))
    return findings, told


def over_limits(system: str, counted: dict[str, Any], limits: Limits) -> list[Finding]:
    """A finding for each device whose model is over a limit, as the fresh process counted it."""
    findings = []
    for device, row in counted["per_device"].items():
        weights = counted["weights"][device]
        size = weights["nonzero_bytes"] if limits.rule == "nonzero" else row["Params"]
        figures = {"macs": row["MACs"], "param_bytes": size, "n_params": weights["n_params"]}
        verdict = verdict_of(limits, {"official": figures})
        if verdict.over:
            line = verdict.line(f"{system}: device {device}", "official")
            findings.append(Finding("over", line.removesuffix(".")))
    return findings


def _sounds(folder: Path) -> list[str]:
    """Eight different clips of 1 s as the corpus has them: 44.1 kHz, 24 bit, mono."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    time = np.arange(RATE) / RATE
    files = []
    for number in range(8):
        level = 10.0 ** (-number / 4)
        tone = 0.3 * np.sin(2 * np.pi * 110 * 2**number * time)
        sound = level * (tone + 0.1 * rng.standard_normal(RATE))
        files.append(str(folder / f"{number}.wav"))
        write_wav(files[-1], sound, RATE, bits=24)
    return files


def _depends(root: Path, label: Label) -> bool:
    """Whether the system's module says itself that it needs aum_edge."""
    text = (root / label.package / f"{label.text}.py").read_text(encoding="utf-8")
    return re.search(r"^from aum_edge", text, re.MULTILINE) is not None


def _environment() -> dict[str, str]:
    """Ours without what would lead Python elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "ORT_DISABLE_TELEMETRY": "1"}


def _limits(system: dict[str, Any]) -> Limits:
    return get_limits(str(system.get("limits", "dcase2025")))


def _files(out: Path, label: Label, year: int, listing: Listing | None) -> list[Finding]:
    """Outputs and meta file of one system."""
    home = out / "task1" / label.text
    if not home.is_dir():
        return [Finding("note", f"{label.text} has no outputs yet: give --eval, --dev and --info")]
    findings = []
    for name in output_names(label.text, year, SPLITS):
        findings += check_output(home / name, year, listing)
    kit = out / "predictions" / label.text / "output.csv"
    if kit.is_file() and year >= 2025:
        findings += check_output(kit, year, listing)
    findings += check_meta(home / f"{label.text}.meta.yaml", label.text, year)
    return findings


def _zip(out: Path, labels: list[Label], systems: dict[str, Any]) -> list[Finding]:
    outputs = {
        label.text: output_names(
            label.text, int(systems.get(str(label.index), {}).get("year", 2025)), SPLITS
        )
        for label in labels
    }
    if not labels:
        return []
    path = out / f"{labels[0].package}.zip"
    return check_zip(path, labels[0], [label.text for label in labels], outputs)
