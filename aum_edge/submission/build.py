"""Building a submission: package, predictions, meta file and zips, as far as the inputs allow."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from aum_edge.complexity.limits import get_limits
from aum_edge.core.files import read_json, write_atomically, write_json, write_text
from aum_edge.core.progress import Progress
from aum_edge.errors import DataError
from aum_edge.submission.config import SPLITS, SubmissionConfig
from aum_edge.submission.description import Run, find_run
from aum_edge.submission.file_list import (
    Listing,
    development_listing,
    evaluation_listing,
    test_table,
)
from aum_edge.submission.info import Info, read_info
from aum_edge.submission.label import Label, parse_label
from aum_edge.submission.meta import complexity, meta_document, meta_text
from aum_edge.submission.models import SubmissionModel, read_models, truth_warnings
from aum_edge.submission.output import listed_name, output_names, write_output
from aum_edge.submission.package.archive import inference_zip, submission_zip
from aum_edge.submission.package.package import (
    MARKER,
    claim,
    complexity_document,
    record,
    write_package,
    write_weights,
)
from aum_edge.submission.prediction import Logits, predict_listing, weights_key
from aum_edge.submission.results import development_results, plain_accuracy
from aum_edge.submission.runtime.network import load_network
from aum_edge.submission.runtime.scenes import GENERAL
from aum_edge.submission.runtime.system import DeviceModels, Running, System, load_system

WORK = ".work"
"""Beside the package: logits as they are made, and weights of years without a package."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Inputs of a submission; parts that lack theirs are left out with a note."""

    info: Path | None = None
    run: Path | None = None
    """Folder of the recipe run; without it, the one above the general model."""
    development: Path | None = None
    evaluation: Path | None = None
    technical_report: Path | None = None


@dataclass(kw_only=True)
class Built:
    """What was made."""

    label: str
    out: Path
    complexity: dict[str, Any]
    results: dict[str, Any] | None = None
    test_accuracy: float | None = None
    files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**vars(self), "out": str(self.out)}


def build_submission(
    config: SubmissionConfig,
    out: Path,
    sources: Sources,
    running: Running,
    progress: Progress | None = None,
) -> Built:
    """Make everything that the given sources allow; the same call goes on where it was stopped.

    Raises:
        AumEdgeError: A model, list, file or field is wrong; nothing is predicted before models,
            limits, lists and the information file are checked.
    """
    members = read_models(config)
    info = read_info(sources.info, config.year) if sources.info else None
    development = development_listing(sources.development) if sources.development else None
    evaluation = evaluation_listing(sources.evaluation) if sources.evaluation else None
    if sources.technical_report and not sources.technical_report.is_file():
        raise DataError(f"There is no {sources.technical_report}: give the report's PDF.")
    run = find_run(next(iter(config.members.values())), sources.run)
    if info:
        # Every missing field is named before anything is predicted.
        meta_document(config, members, info, run, {})
    label = config.parsed
    built = Built(label=label.text, out=out, complexity=complexity(config.year, members))
    built.notes += truth_warnings(members.values(), get_limits(config.limits_name))
    claim(out, label)
    weights = _weights(config, members, out)
    if config.year >= 2025:
        _kit_files(members, weights, out / "predictions" / label.text)
        if sources.development:
            target = out / label.package / "resources" / "test.csv"
            shutil.copyfile(test_table(sources.development), target)
    work = _Work(
        label=label, year=config.year, weights=weights, out=out, running=running, progress=progress
    )
    if evaluation:
        _write_outputs(work, evaluation)
    if development:
        built.results, built.test_accuracy = _development(work, development)
    _meta(config, members, info, run, built)
    _finish(work, sources, built)
    return built


def predict_submission(
    out: Path, root: Path, running: Running, progress: Progress | None = None
) -> list[Path]:
    """Predict the evaluation set with every system that ``out`` holds, and write its outputs.

    Raises:
        DataError: ``out`` holds no submission, or the list or its files are missing.
    """
    marker = read_json(out / MARKER)
    if not marker.get("systems"):
        raise DataError(
            f"{out} holds no submission: `aum-edge submit MODEL --out {out}` makes one."
        )
    listing = evaluation_listing(root)
    written = []
    for index, system in sorted(marker["systems"].items()):
        label = parse_label(f"{marker['package']}_{index}")
        year = int(system["year"])
        work = _Work(
            label=label,
            year=year,
            weights=_weights_folder(out, label, year),
            out=out,
            running=running,
            progress=progress,
        )
        written += _write_outputs(work, listing)
        submission_zip(out, label)
    return written


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What the steps share."""

    label: Label
    year: int
    weights: Path
    out: Path
    running: Running
    progress: Progress | None

    @property
    def home(self) -> Path:
        """The system's folder in the zip."""
        return self.out / "task1" / self.label.text

    def systems(self) -> dict[str, System]:
        """What predicts: one system, or 2024's five by ``split_5`` and so on."""
        if self.year != 2024:
            return {"": load_system(self.weights)}
        return {
            f"split_{percent}": System(
                DeviceModels({GENERAL: load_network(self.weights / f"split{percent}")})
            )
            for percent in SPLITS
        }

    def logits(self, name: str, system: System, listing: Listing, what: str) -> Logits:
        """Predictions of one system for one list, kept between calls."""
        store = self.out / WORK / "-".join(filter(None, (self.label.text, name, what)))
        key = weights_key(self.weights) + name
        return predict_listing(system, key, listing, store, self.running, self.progress)


def _weights_folder(out: Path, label: Label, year: int) -> Path:
    """In the package, or beside it where the year has none."""
    home = out / label.package / "ckpts" if year >= 2025 else out / WORK / "weights"
    return home / label.text


def _weights(config: SubmissionConfig, members: dict[str, SubmissionModel], out: Path) -> Path:
    """Write the package, or for a year without one the weights alone; return their folder."""
    folder = _weights_folder(out, config.parsed, config.year)
    if config.year >= 2025:
        write_package(config, members, out)
    else:
        write_weights(members, folder)
        record(config, members, out)
    return folder


def _kit_files(members: dict[str, SubmissionModel], weights: Path, folder: Path) -> None:
    """complexity.json and model_state_dict.pt, where the kit's scripts put them."""
    write_json(folder / "complexity.json", complexity_document(members))
    state = load_system(weights).model.state_dict()
    write_atomically(folder / "model_state_dict.pt", lambda file: torch.save(state, file))


def _write_outputs(work: _Work, listing: Listing) -> list[Path]:
    names = [listed_name(name, work.year) for name in listing.names]
    label = work.label.text
    written = []
    files = output_names(label, work.year, SPLITS)
    for (name, system), file in zip(work.systems().items(), files, strict=True):
        logits = work.logits(name, system, listing, "evaluation")
        written.append(work.home / file)
        write_output(written[-1], names, logits)
        if work.year >= 2025:
            written.append(work.out / "predictions" / label / "output.csv")
            write_output(written[-1], names, logits)
    return written


def _development(work: _Work, listing: Listing) -> tuple[dict[str, Any], float]:
    """Results of the development set's test split, by 2024's splits where there are some."""
    labels = listing.labels or ()
    found, plain = {}, 0.0
    for name, system in work.systems().items():
        logits = work.logits(name, system, listing, "development")
        found[name] = development_results(logits, labels, listing.devices)
        plain = plain_accuracy(logits, labels)
    if work.year >= 2025:
        path = work.out / "predictions" / work.label.text / "test_accuracy.json"
        write_json(path, {"Test Accuracy": round(plain, 2)})
    return (found if work.year == 2024 else found[""]), plain


def _meta(
    config: SubmissionConfig,
    members: dict[str, SubmissionModel],
    info: Info | None,
    run: Run,
    built: Built,
) -> None:
    """The meta file, once information and results are there."""
    lacking = [
        option for option, value in (("--info", info), ("--dev", built.results)) if value is None
    ]
    if info is None or built.results is None:
        built.notes.append(f"No meta file yet: give {' and '.join(lacking)}.")
        return
    document = meta_document(config, members, info, run, built.results)
    if run.outside_starts and not document["system"]["external_datasets"]:
        built.notes.append(
            f"The recipe starts from {', '.join(run.outside_starts)}: if that was trained on "
            "outside data, name it under `external_datasets`."
        )
    home = built.out / "task1" / config.label
    write_text(home / f"{config.label}.meta.yaml", meta_text(document))


def _finish(work: _Work, sources: Sources, built: Built) -> None:
    """Report, zips, and the list of files."""
    out, label = work.out, work.label
    if sources.evaluation is None:
        built.notes.append("No output table yet: give --eval.")
    if sources.technical_report:
        target = out / "task1" / f"{label.package}.technical_report.pdf"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sources.technical_report, target)
    if work.year >= 2025:
        built.files.append(inference_zip(out, label).name)
    if work.home.is_dir():
        built.files.append(submission_zip(out, label).name)
