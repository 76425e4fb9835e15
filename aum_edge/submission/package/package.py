"""The inference package of 2025, in the layout of the challenge's kit."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from aum_edge.audio.wav import write_wav
from aum_edge.core.files import disk_errors, holds_files, read_json, write_json, write_text
from aum_edge.errors import DataError
from aum_edge.models.classifier import load
from aum_edge.models.storage.directory import stored_tensors
from aum_edge.submission.config import SubmissionConfig
from aum_edge.submission.label import Label
from aum_edge.submission.models import SubmissionModel, serving
from aum_edge.submission.package import vendor
from aum_edge.submission.package.module_text import (
    api_module,
    architecture_module,
    notice,
    readme,
    requirements,
    setup_text,
)
from aum_edge.submission.runtime.network import CONFIG, GRAPH, ONNX, WEIGHTS
from aum_edge.submission.runtime.scenes import PROBED

MARKER = "submission.json"
RUNTIME = "aum_edge.submission.runtime"
DUMMY_RATE = 44_100


def write_package(config: SubmissionConfig, members: dict[str, SubmissionModel], out: Path) -> Path:
    """Write one system of a team's package into ``out`` and return the package's folder.

    Other systems that ``out`` already holds stay as they are: each has its own weights and its
    own copy of the code.

    Raises:
        DataError: ``out`` holds something else, or cannot be written.
    """
    label = config.parsed
    claim(out, label)
    home = out / label.package
    with disk_errors(out, "the submission package"):
        (home / "models").mkdir(parents=True, exist_ok=True)
        write_text(home / "__init__.py", f'"""Systems of {label.package}."""\n')
        (home / "models" / "__init__.py").touch()
        runtime = _write_code(config, members, home)
        own = [name for name in members if name != "general"]
        write_text(home / f"{label.text}.py", api_module(label.text, own, runtime))
        write_weights(members, home / "ckpts" / label.text)
        _write_resources(home / "resources")
        _write_project(config, members, out)
    return home


def claim(out: Path, label: Label) -> None:
    """Make ``out`` this team's folder.

    Raises:
        DataError: It is another team's, or holds other files.
    """
    found = read_json(out / MARKER)
    if found and found.get("package") != label.package:
        raise DataError(
            f"{out} holds the submission {found.get('package')}, not {label.package}: give another "
            "folder."
        )
    if not found and out.exists() and (not out.is_dir() or holds_files(out)):
        raise DataError(f"{out} holds other files: give a new or an empty folder.")
    if not found:
        write_json(out / MARKER, {"package": label.package, "systems": {}})


def complexity_document(members: dict[str, SubmissionModel]) -> dict[str, object]:
    """complexity.json in the kit's form, where ``Params`` are bytes.

    An ONNX package states the count over its graph and says so, since the kit's script prints 0.
    """
    figures = {device: serving(members, device).figures for device in PROBED}
    document: dict[str, object] = {
        "per_device": {
            device: {"MACs": row.macs, "Params": row.param_bytes} for device, row in figures.items()
        },
        "max_MACs": max(row.macs for row in figures.values()),
        "max_Params": max(row.param_bytes for row in figures.values()),
    }
    other = {row.counted_by for row in figures.values()}
    if any("ONNX" in rule for rule in other):
        document["counted_by"] = sorted(other)
    return document


def _write_code(config: SubmissionConfig, members: dict[str, SubmissionModel], home: Path) -> str:
    """Copy what the system needs, and return where its module imports it from."""
    name = f"system_{config.parsed.index}"
    folder = home / "models" / name
    shutil.rmtree(folder, ignore_errors=True)
    if config.depend_on_aum_edge:
        return "aum_edge.submission"
    own = architecture_module(member.config["architecture"] for member in members.values())
    modules = vendor.needed([f"{RUNTIME}.api"], {f"{RUNTIME}.architecture": own})
    operators = f"{config.label}_ops".replace("-", "_").lower()
    vendor.copy_modules(modules, folder, operators)
    return f".models.{name}.submission"


def write_weights(members: dict[str, SubmissionModel], folder: Path) -> None:
    """A folder for each model: config.json, and its weights or its graph."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, member in members.items():
        target = folder / name
        target.mkdir(parents=True)
        # How the model came about may name folders of this machine, and running needs none of it.
        config = {key: value for key, value in member.config.items() if key != "lineage"}
        text = json.dumps(config, indent=1, allow_nan=False)
        write_text(target / CONFIG, text + "\n")
        if member.config["architecture"] == ONNX:
            shutil.copyfile(member.path, target / GRAPH)
        else:
            save_file(stored_tensors(load(member.path)), target / WEIGHTS)


def _write_resources(folder: Path) -> None:
    """dummy.wav: 1 s, 44.1 kHz, 24 bit, mono, of noise that no front end takes for silence."""
    folder.mkdir(exist_ok=True)
    noise = 0.1 * np.random.default_rng(0).standard_normal(DUMMY_RATE).clip(-4, 4)
    write_wav(folder / "dummy.wav", noise, DUMMY_RATE, bits=24)


def record(config: SubmissionConfig, members: dict[str, SubmissionModel], out: Path) -> list[str]:
    """Note a system in the folder's marker; return the requirements of all systems so far."""
    marker = read_json(out / MARKER)
    marker["systems"][str(config.parsed.index)] = {
        "year": config.year,
        "limits": config.limits_name,
        "requires": requirements(
            {member.architecture for member in members.values()},
            {str(member.config["architecture"]) for member in members.values()},
            config.depend_on_aum_edge,
        ),
        "models": {
            name: {
                "architecture": str(member.config["architecture"]),
                "macs": member.figures.macs,
                "bytes": member.figures.param_bytes,
            }
            for name, member in members.items()
        },
    }
    write_json(out / MARKER, marker)
    return sorted({line for system in marker["systems"].values() for line in system["requires"]})


def _write_project(
    config: SubmissionConfig, members: dict[str, SubmissionModel], out: Path
) -> None:
    """setup.py, requirements.txt, notice and licence."""
    label = config.parsed
    write_text(out / "requirements.txt", "\n".join(record(config, members, out)) + "\n")
    write_text(out / "setup.py", setup_text(label.package))
    write_text(out / "README.md", readme(label.package, read_json(out / MARKER)["systems"]))
    write_text(out / label.package / "NOTICE", notice())
    licence = _licence()
    if licence:
        write_text(out / label.package / "LICENSE", licence)


def _licence() -> str:
    """Our licence's text: from the sources, or from what pip installed."""
    beside = vendor.HOME.parent / "LICENSE"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    try:
        files = distribution("aum-edge").files or []
    except PackageNotFoundError:
        return ""
    found = [path for path in files if path.name == "LICENSE"]
    return found[0].read_text(encoding="utf-8") if found else ""
