from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from aum_edge.errors import BudgetError, DataError, RecipeError
from aum_edge.submission.build import Built, Sources, build_submission, predict_submission
from aum_edge.submission.check.files import check_meta, check_output
from aum_edge.submission.config import SPLITS, SubmissionConfig
from aum_edge.submission.file_list import Listing, evaluation_listing
from aum_edge.submission.package.module_text import readme
from aum_edge.submission.runtime.scenes import PROBED
from aum_edge.submission.runtime.system import Running, load_system
from tests.submission.scene_models import LABEL, write_info

PACKAGE = "Muster_AUM_task1"


def test_the_kits_layout(built: Built) -> None:
    home = built.out / PACKAGE
    for name in (
        f"{LABEL}.py", "__init__.py", "models/__init__.py", "resources/dummy.wav",
        "resources/test.csv", f"ckpts/{LABEL}/general/model.safetensors",
        f"ckpts/{LABEL}/a/config.json", "NOTICE", "LICENSE",
    ):  # fmt: skip
        assert (home / name).is_file(), name
    for name in ("complexity.json", "test_accuracy.json", "model_state_dict.pt", "output.csv"):
        assert (built.out / "predictions" / LABEL / name).is_file(), name
    assert built.notes == []
    text = (built.out / "README.md").read_text(encoding="utf-8")
    assert all(f"| {LABEL} | {name} |" in text for name in ("general", "a", "b"))
    assert "onnxruntime" not in text
    stored = json.loads((home / "ckpts" / LABEL / "general" / "config.json").read_text())
    assert "lineage" not in stored
    assert "safetensors" in (built.out / "requirements.txt").read_text()


def test_dummy_is_a_second_as_the_corpus_has_it(built: Built) -> None:
    path = built.out / PACKAGE / "resources" / "dummy.wav"
    facts = soundfile.info(path)
    assert (facts.samplerate, facts.frames, facts.channels) == (44_100, 44_100, 1)
    assert facts.subtype == "PCM_24"
    assert path.stat().st_size == 132_344


def test_complexity_is_in_the_kits_form(built: Built) -> None:
    document = json.loads((built.out / "predictions" / LABEL / "complexity.json").read_text())
    assert list(document["per_device"]) == list(PROBED)
    rows = document["per_device"]
    assert rows["s1"] == rows["s10"] != rows["a"]
    assert document["max_MACs"] == max(row["MACs"] for row in rows.values())
    assert document["max_Params"] == max(row["Params"] for row in rows.values())


def test_results_and_accuracy_are_those_of_the_package(built: Built, development: Path) -> None:
    path = built.out / "predictions" / LABEL / "test_accuracy.json"
    assert built.test_accuracy is not None
    assert json.loads(path.read_text()) == {"Test Accuracy": round(built.test_accuracy, 2)}
    assert built.results is not None
    assert set(built.results["device_wise"]) >= {"a", "s4", "s6"}
    meta = built.out / "task1" / LABEL / f"{LABEL}.meta.yaml"
    stored = yaml.safe_load(meta.read_text(encoding="utf-8"))["results"]["development_dataset"]
    assert stored == built.results


def test_the_stored_state_is_a_model_file(built: Built, tmp_path: Path) -> None:
    weights = built.out / PACKAGE / "ckpts" / LABEL
    state = built.out / "predictions" / LABEL / "model_state_dict.pt"
    system = load_system(weights, state)
    assert {p.dtype for p in system.parameters()} == {torch.int8, torch.float16, torch.float32}
    x = torch.randn(1, 1, 16, 33)
    for device in ("a", "b", "s9"):
        own = load_system(weights).model.for_device(device)
        torch.testing.assert_close(system.model.for_device(device)(x), own(x))
    torch.save({}, tmp_path / "empty.pt")
    with pytest.raises(RuntimeError):
        load_system(weights, tmp_path / "empty.pt")


def test_a_second_system_leaves_the_first_as_it_is(
    built: Built, config: SubmissionConfig, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(built.out, out)
    kept = [p for p in (out / PACKAGE).rglob("*") if p.is_file() and "_1" in p.name + p.parts[-3]]
    before = {path: path.read_bytes() for path in kept}
    assert len(before) > 5
    second = replace(config, label=f"{PACKAGE}_2", devices={}, depend_on_aum_edge=True)
    build_submission(second, out, Sources(), Running())
    assert all(path.read_bytes() == data for path, data in before.items())
    marker = json.loads((out / "submission.json").read_text())
    assert list(marker["systems"]) == ["1", "2"]
    assert "aum-edge>=" in (out / "requirements.txt").read_text()
    assert not (out / PACKAGE / "models" / "system_2").exists()
    with zipfile.ZipFile(out / f"{PACKAGE}_inference.zip") as archive:
        assert {f"{PACKAGE}/{LABEL}.py", f"{PACKAGE}/{PACKAGE}_2.py"} <= set(archive.namelist())


def test_nobody_elses_folder_is_touched(config: SubmissionConfig, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(DataError, match="holds other files"):
        build_submission(config, tmp_path, Sources(), Running())
    out = tmp_path / "out"
    build_submission(replace(config, devices={}), out, Sources(), Running())
    with pytest.raises(DataError, match="holds the submission Muster_AUM_task1"):
        build_submission(replace(config, label="X_Y_task1_1"), out, Sources(), Running())


def test_nothing_is_written_for_a_model_over_a_limit(
    config: SubmissionConfig, tmp_path: Path
) -> None:
    limits = tmp_path / "tight.yaml"
    limits.write_text("macs: 10\n")
    with pytest.raises(BudgetError):
        build_submission(
            replace(config, limits=str(limits)), tmp_path / "out", Sources(), Running()
        )
    assert not (tmp_path / "out").exists()


def test_what_is_not_given_is_said(config: SubmissionConfig, tmp_path: Path) -> None:
    made = build_submission(config, tmp_path / "out", Sources(), Running())
    assert any("--info and --dev" in note for note in made.notes)
    assert any("--eval" in note for note in made.notes)
    with pytest.raises(RecipeError, match="--new-info"):
        build_submission(config, tmp_path / "out", Sources(info=tmp_path / "no"), Running())
    with pytest.raises(DataError, match="report's PDF"):
        build_submission(
            config, tmp_path / "out", Sources(technical_report=tmp_path / "no"), Running()
        )


def test_predicting_again_writes_the_same_tables(
    built: Built, evaluation: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(built.out, out)
    table = out / "task1" / LABEL / f"{LABEL}.output.csv"
    text, archive = table.read_bytes(), (out / f"{PACKAGE}.zip").read_bytes()
    table.unlink()
    assert table in predict_submission(out, evaluation, Running())
    assert table.read_bytes() == text
    assert (out / f"{PACKAGE}.zip").read_bytes() == archive
    with pytest.raises(DataError, match="holds no submission"):
        predict_submission(tmp_path, evaluation, Running())


def test_the_same_call_goes_on(
    config: SubmissionConfig, evaluation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, sources = tmp_path / "out", Sources(evaluation=evaluation)
    build_submission(config, out, sources, Running())

    def never(*_: object) -> None:
        raise AssertionError("a file was decoded again")

    monkeypatch.setattr("aum_edge.submission.runtime.inputs._clip", never)
    build_submission(config, out, sources, Running())


def older(tmp_path: Path, development: Path, evaluation: Path) -> Sources:
    energy = {"training": 1.0, "inference": 0.1, "baseline_inference": 0.2}
    info = write_info(
        tmp_path / "info.yaml",
        description={"data_augmentation": "none"},
        energy_consumption=energy,
    )
    return Sources(info=info, development=development, evaluation=evaluation)


def bare(listing: Listing) -> list[str]:
    return [Path(name).name for name in listing.names]


@pytest.mark.parametrize("year", [2022, 2023])
def test_years_of_one_table(
    models: dict[str, Path], tmp_path: Path, development: Path, evaluation: Path, year: int
) -> None:
    config = SubmissionConfig(label=LABEL, general=models["general"], year=year)
    out = tmp_path / "out"
    build_submission(config, out, older(tmp_path, development, evaluation), Running())
    home = out / "task1" / LABEL
    assert not (out / PACKAGE).exists()
    listing = evaluation_listing(evaluation)
    table = home / f"{LABEL}.output.csv"
    assert check_output(table, year, listing) == []
    names = [row.split("\t")[0] for row in table.read_text().splitlines()[1:]]
    assert names == bare(listing)
    assert check_meta(home / f"{LABEL}.meta.yaml", LABEL, year) == []


def test_2024_has_a_table_and_results_for_each_split(
    models: dict[str, Path], tmp_path: Path, development: Path, evaluation: Path
) -> None:
    splits = {n: models["general" if n == 5 else "b"] for n in SPLITS}
    config = SubmissionConfig(label=LABEL, general=splits[25], year=2024, splits=splits)
    out = tmp_path / "out"
    build_submission(config, out, older(tmp_path, development, evaluation), Running())
    home = out / "task1" / LABEL
    tables = {n: home / f"{LABEL}.output.split_{n}.csv" for n in SPLITS}
    for table in tables.values():
        assert check_output(table, 2024, evaluation_listing(evaluation)) == []
    assert tables[5].read_text() != tables[10].read_text() == tables[25].read_text()
    document = yaml.safe_load((home / f"{LABEL}.meta.yaml").read_text())
    results = document["results"]["development_dataset"]
    assert set(results) == {f"split_{n}" for n in SPLITS}
    assert check_meta(home / f"{LABEL}.meta.yaml", LABEL, 2024) == []
    values = np.array(
        [row.split("\t")[2:] for row in tables[5].read_text().splitlines()[1:]], dtype=float
    )
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-6)


def test_the_readme_imports_names_with_hyphens() -> None:
    row = {"architecture": "x", "macs": 1, "bytes": 2}
    system = {"models": {"general": row}, "requires": []}
    text = readme("Muster-Mann_X_task1", {"3": system})
    lines = [line.strip()[4:] for line in text.splitlines() if line.strip().startswith(">>> ")]
    assert "Muster-Mann_X_task1.Muster-Mann_X_task1_3" in lines[1]
    compile("\n".join(lines), "README.md", "exec")
