"""Damaged, foreign and half-written model directories: one line that names what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from aum_edge.errors import CheckpointError
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.storage.directory import save

Make = Callable[..., AudioClassifier]


@pytest.fixture
def saved(classifier: Make, small_configs: dict[str, BackboneConfig], tmp_path: Path) -> Path:
    save(classifier(small_configs["student_ssd"]), tmp_path / "m")
    return tmp_path / "m"


def message_of(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def rewrite_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def rewrite_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_missing_folder_or_file(saved: Path, tmp_path: Path) -> None:
    assert "no config.json" in message_of(tmp_path / "nowhere")
    (saved / "model.safetensors").unlink()
    assert "model.safetensors is missing" in message_of(saved)


@pytest.mark.parametrize("text", ["{", "[1, 2]", "3", "{}", "\xff\xfe", ""])
def test_config_that_is_not_ours(saved: Path, text: str) -> None:
    (saved / "config.json").write_bytes(text.encode("latin-1"))
    assert "damaged or not ours" in message_of(saved)


def test_other_format_versions(saved: Path) -> None:
    rewrite_config(saved, format_version=99)
    assert "format version 99, this aum-edge reads 2" in message_of(saved)


def test_foreign_architecture(saved: Path) -> None:
    rewrite_config(saved, architecture="WhisperForAudioClassification")
    message = message_of(saved)
    assert "WhisperForAudioClassification" in message
    assert "mamba_student" in message


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("model", {}, "n_classes"),
        ("model", {"n_classes": 3, "widgets": 4}, "widgets"),
        ("model", {"n_classes": 3, "d_model": "wide"}, "model"),
        ("model", {"n_classes": 3, "mixer": "lstm"}, "mixer"),
        ("model", [1, 2], "model"),
        ("frontend", {"sample_rate": -1}, "sample_rate"),
        ("normalization", {"std": 0.0}, "spread"),
        ("labels", ["a", "b"], "labels"),
        ("labels", None, "model"),
        ("quantization", {"layers": ["stem.nothing"]}, "nothing"),
        ("quantization", {"layers": ["norm_f"]}, "norm_f"),
        ("quantization", {"bits": 8}, "layers"),
        ("quantization", {"layers": 5}, "layers"),
        ("quantization", {"layers": [], "inputs": [3]}, "inputs"),
        ("quantization", 8, "layers"),
        ("model", {"n_classes": 3, "d_conv": 4.5}, "`d_conv` must be a whole number"),
        ("frontend", {"sample_rate": "high"}, "`sample_rate` must be a whole number"),
        ("frontend", {"clip_seconds": float("inf")}, "frontend"),
        ("normalization", {"mean": None}, "`mean` must be a number"),
        ("lineage", 3, "`lineage` must be a list"),
        ("architecture", ["ssd"], "names the architecture"),
        ("format_version", [2], "format version"),
    ],
)
def test_config_with_wrong_values(saved: Path, key: str, value: Any, word: str) -> None:
    rewrite_config(saved, **{key: value})
    assert word in message_of(saved)


@pytest.mark.parametrize("key", ["model", "frontend", "normalization", "lineage"])
def test_config_with_a_missing_entry(saved: Path, key: str) -> None:
    path = saved / "config.json"
    config = json.loads(path.read_text())
    del config[key]
    path.write_text(json.dumps(config))
    assert f"lacks the entry '{key}'" in message_of(saved)


@pytest.mark.parametrize("share", [0, 4, 0.5, 0.999])
def test_truncated_weights(saved: Path, share: float) -> None:
    path = saved / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(share if share > 1 else share * len(data))])
    assert "truncated or not safetensors" in message_of(saved)


def test_weights_that_are_a_pickle(saved: Path) -> None:
    torch.save({"head.bias": torch.zeros(3)}, saved / "model.safetensors")
    assert "truncated or not safetensors" in message_of(saved)


def test_missing_unexpected_and_different_tensors_are_named(saved: Path) -> None:
    rewrite_weights(saved, lambda tensors: tensors.update(extra=torch.zeros(2)))
    assert "has unexpected extra" in message_of(saved)
    rewrite_weights(saved, lambda tensors: tensors.pop("extra"))
    rewrite_weights(saved, lambda tensors: tensors.update({"head.bias": torch.zeros(4)}))
    assert "head.bias as float [4] instead of float [3]" in message_of(saved)
    rewrite_weights(saved, lambda tensors: tensors.pop("head.bias"))
    assert "lacks head.bias" in message_of(saved)


def test_many_missing_tensors_are_summed_up(saved: Path) -> None:
    rewrite_weights(saved, lambda tensors: tensors.clear())
    assert " more: it does not belong" in message_of(saved)


def test_int8_codes_are_never_taken_for_weights(saved: Path) -> None:
    codes = torch.ones(3, 8, dtype=torch.int8)
    rewrite_weights(saved, lambda tensors: tensors.update({"head.weight": codes}))
    assert "head.weight as int8 [3, 8] instead of float [3, 8]" in message_of(saved)


def test_weights_of_another_model(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    rewrite_config(saved, model=config["model"] | {"depth": 1})
    assert "has unexpected blocks.1" in message_of(saved)


def test_other_peoples_model_folders_are_not_overwritten(
    classifier: Make, small_configs: dict[str, BackboneConfig], tmp_path: Path
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "model.safetensors").write_bytes(b"precious")
    with pytest.raises(CheckpointError, match="is no model directory"):
        save(classifier(small_configs["student_ssd"]), folder)
    assert (folder / "model.safetensors").read_bytes() == b"precious"


def test_an_unknown_activation(saved: Path) -> None:
    rewrite_config(saved, activation="tanh")
    assert "softmax, sigmoid" in message_of(saved)


def test_our_own_mistakes_are_not_called_a_damaged_directory(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(config: Any) -> None:
        raise TypeError("a mistake of ours")

    monkeypatch.setattr("aum_edge.models.storage.read.build", broken)
    with pytest.raises(TypeError, match="a mistake of ours"):
        load(saved)


def test_what_is_no_json_is_not_saved(
    classifier: Make, small_configs: dict[str, BackboneConfig], tmp_path: Path
) -> None:
    model = classifier(small_configs["student_ssd"])
    model.lineage = ({"step": "train", "loss": float("nan")},)
    with pytest.raises(CheckpointError, match="its lineage or another entry is no JSON"):
        save(model, tmp_path / "m")
    assert not (tmp_path / "m").exists()
