"""Whole submissions, installed by pip and run in a process that has no aum_edge."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from aum_edge.errors import DataError
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.classifier import load
from aum_edge.submission.build import Built, Sources, build_submission
from aum_edge.submission.check import check
from aum_edge.submission.check.check import check_submission
from aum_edge.submission.check.findings import exit_code
from aum_edge.submission.config import SubmissionConfig
from aum_edge.submission.file_list import evaluation_listing
from aum_edge.submission.runtime.system import Running
from tests.submission.scene_models import LABEL

PACKAGE = "Muster_AUM_task1"


@pytest.fixture
def uninstalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the sources: pip is tried in the test of the whole package."""
    monkeypatch.setattr(check, "_install", lambda out, package, work: (out, []))


def test_what_was_built_passes(built: Built, evaluation: Path) -> None:
    findings = check_submission(built.out, evaluation_listing(evaluation))
    assert findings == []
    # Nothing is left behind in the folder that will be zipped.
    assert not list(built.out.rglob("*.egg-info"))
    assert not (built.out / "build").exists()


def test_what_is_wrong_is_found_in_one_run(
    built: Built, evaluation: Path, tmp_path: Path, uninstalled: None
) -> None:
    out = tmp_path / "out"
    shutil.copytree(built.out, out)
    module = out / PACKAGE / f"{LABEL}.py"
    text = module.read_text(encoding="utf-8")
    text = text.replace("return api.predict(file_paths, device_ids, model, running)",
                        "rows, order = api.predict(file_paths, device_ids, model, running)\n"
                        "    return rows, order[::-1]")  # fmt: skip
    module.write_text(text, encoding="utf-8")
    (out / PACKAGE / f"{PACKAGE}_7.py").write_text("")
    (out / PACKAGE / "resources" / "test.csv").unlink()
    limits = tmp_path / "tight.yaml"
    sizes = {n: row["model_size"] for n, row in built.complexity["per_model"].items()}
    limits.write_text(f"macs: 30e6\nparam_bytes: {sizes['b'] - 1}\n")
    marker = json.loads((out / "submission.json").read_text())
    marker["systems"]["1"]["limits"] = str(limits)
    (out / "submission.json").write_text(json.dumps(marker))
    stated = out / "predictions" / LABEL / "complexity.json"
    stated.write_text(stated.read_text().replace('"Params": ', '"Params": 1'))
    table = out / "predictions" / LABEL / "output.csv"
    head, first, *rows = table.read_text().splitlines()
    other = [*first.split("\t")[:1], *rows[0].split("\t")[1:]]
    table.write_text("\n".join([head, "\t".join(other), *rows]))
    findings = check_submission(out, evaluation_listing(evaluation))
    lines = [f"{finding.level} {finding.what}" for finding in findings]
    for part in (
        "error The number `7`", "class order", "over Muster_AUM_task1_1: device b is over",
        "note resources/test.csv", "complexity.json states", "predicts otherwise for 1 of 24",
    ):  # fmt: skip
        assert any(part in line for line in lines), (part, lines)
    named = {line.split(": ")[1] for line in lines if line.startswith("over")}
    over = {name for name, size in sizes.items() if size >= sizes["b"]}
    assert named == {
        f"device {name} is over the tight limits by the official count" for name in over
    }
    assert "general" not in over
    assert exit_code(findings) == 3


def test_an_onnx_package_runs_and_says_what_the_kit_cannot_see(
    models: dict[str, Path], config: SubmissionConfig, tmp_path: Path, uninstalled: None
) -> None:
    graph = tmp_path / "b.onnx"
    export_onnx(load(models["b"]), graph)
    mixed = replace(config, devices={"b": graph})
    out = tmp_path / "out"
    made = build_submission(mixed, out, Sources(), Running())
    row = made.complexity["per_model"]["b"]
    assert row["macs"] == row["exact_macs"] > 0
    assert row["model_size"] > 0
    assert "onnxruntime" in (out / "requirements.txt").read_text()
    assert "prints 0 MACs" in (out / "README.md").read_text()
    findings = check_submission(out)
    assert [finding for finding in findings if finding.level != "note"] == []
    lines = [finding.what for finding in findings]
    assert f"{LABEL}: the kit's script sees 0 MACs of the models of b" in lines
    assert any("counted by" in line and "ONNX graph" in line for line in lines)


def test_leaning_on_aum_edge_is_a_note_when_it_is_asked_for(
    config: SubmissionConfig, tmp_path: Path, uninstalled: None
) -> None:
    out = tmp_path / "out"
    one = replace(config, devices={}, depend_on_aum_edge=True)
    build_submission(one, out, Sources(), Running())
    # As in a clone of the kit with a package in it: no marker, nothing predicted yet.
    (out / "submission.json").unlink()
    shutil.rmtree(out / "predictions")
    findings = check_submission(out)
    assert exit_code(findings) == 0
    assert any("the kit's scripts write it" in finding.what for finding in findings)
    assert any("imports aum_edge" in finding.what for finding in findings)


def test_folders_without_a_submission_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no submission"):
        check_submission(tmp_path)
    with pytest.raises(DataError, match="There is no folder"):
        check_submission(tmp_path / "none")
