from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from aum_edge.cli.main import main
from aum_edge.core.files import read_json
from aum_edge.models.classifier import load
from aum_edge.models.storage.directory import save
from tests.small_run import PITCH, teacher, tones

FRONT_END = "{sample_rate: 8000, n_fft: 256, win_length: 256, hop_length: 250, n_mels: 16}"
MODEL = "preset: aum-mini, overrides: {d_model: 16, depth: 2, d_state: 4, patch_size: [8, 8]}"
TRAIN = "epochs: 2, batch_size: 12, lr: 5.0e-3"


def recipe(folder: Path, data: str, model: str = "", train: str = "") -> str:
    path = folder / "r.yaml"
    path.write_text(
        f"name: tuned\ndata: {{{data}}}\nfrontend: {FRONT_END}\n"
        f"teacher:\n  model: {{{MODEL}{model}}}\n  train: {{{TRAIN}{train}}}\n"
    )
    return str(path)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="module")
def several(root, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest in which every low tone is labelled mid as well."""
    path = tmp_path_factory.mktemp("several") / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for split in ("train", "val", "test"):
            for label in PITCH:
                for clip in sorted((root / split / label).iterdir()):
                    writer.writerow([clip, "low;mid" if label == "low" else label, split])
    return path


def test_fine_tuning_starts_from_a_model_directory(root, tmp_path, capsys) -> None:
    start = tmp_path / "start"
    save(teacher(seed=5, direction="bi-bi"), start)
    path = recipe(tmp_path, f"corpus: folder, root: {root}", f", init: {start}")
    out = ["--out", str(tmp_path / "run")]
    assert main(["train", path, *out]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(tmp_path / "run" / "teacher")
    assert "teacher: epoch 1 of 2, val accuracy" in said.err
    (step,) = load(tmp_path / "run" / "teacher" / "model").lineage
    assert step["init"] == str(start)
    assert step["step"] == "teacher"

    record = tmp_path / "run" / "teacher" / "stage.json"
    first = read_json(record)["hash"]
    assert main(["train", path, *out]) == 0
    assert read_json(record)["hash"] == first
    save(teacher(seed=6, direction="bi-bi"), start)
    assert main(["train", path, *out]) == 0
    assert read_json(record)["hash"] != first


def test_a_start_that_is_no_model_is_one_line(root, tmp_path, capsys) -> None:
    path = recipe(tmp_path, f"corpus: folder, root: {root}", f", init: {tmp_path / 'gone'}")
    assert main(["train", path, "--out", str(tmp_path / "run")]) == 1
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("aum-edge:")]
    assert len(lines) == 1
    assert "gone" in lines[0]


def test_several_labels_are_trained_and_scored(several, root, tmp_path, capsys) -> None:
    data = f"corpus: manifest, root: {several}, label_separator: ';'"
    path = recipe(tmp_path, data, train=", loss: bce, monitor: map")
    assert main(["train", path, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr()
    assert "teacher: epoch 2 of 2, val map" in said.err
    assert "accuracy" not in said.err
    scores = read_json(tmp_path / "run" / "teacher" / "stage.json")["result"]["test"]
    assert {"map", "mean_auc", "d_prime", "log_loss", "n"} <= set(scores)
    assert "accuracy" not in scores

    assert main(["run", path, "--out", str(tmp_path / "whole")]) == 2
    assert "accuracies" in capsys.readouterr().err


def test_eval_shows_every_number(root, tmp_path, capsys) -> None:
    save(teacher(), tmp_path / "model")
    command = ["eval", str(tmp_path / "model"), "--data", f"folder={root}"]
    command += ["--cache", str(tmp_path / "cache")]
    assert main([*command, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    kept = {"n", "accuracy", "macro_accuracy", "log_loss", "per_class", "per_device"}
    assert kept | {"precision", "recall", "f1", "map", "mean_auc", "d_prime"} <= set(values)
    assert main(command) == 0
    text = capsys.readouterr().out
    for name in ("accuracy", "macro", "weighted precision", "f1", "mAP", "AUC", "d-prime"):
        assert f"{name} " in text


def test_several_devices_without_torchrun_name_the_command(root, tmp_path, capsys) -> None:
    path = recipe(
        tmp_path, f"corpus: folder, root: {root}", train=", trainer: {devices: 2, strategy: ddp}"
    )
    assert main(["train", path, "--out", str(tmp_path / "run")]) == 2
    assert "torchrun --standalone --nproc-per-node 2 -m aum_edge" in capsys.readouterr().err
