"""Model directories: what is written is what is read, and nothing else is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from aum_edge.errors import CheckpointError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import BackboneConfig
from aum_edge.models.directory import load, payload_bytes, save
from aum_edge.models.fold import fold_batch_norm
from aum_edge.models.quantized import replace_layer

Make = Callable[..., AudioClassifier]
FILES = {"config.json", "model.safetensors", "README.md"}


def features() -> torch.Tensor:
    return torch.randn(2, 1, 16, 12, generator=torch.manual_seed(8)) - 3


def int8(model: AudioClassifier, float16: tuple[str, ...] = ()) -> AudioClassifier:
    """Every projection in int8, by the largest weight."""
    model = fold_batch_norm(model)
    names = [
        name
        for name, module in model.backbone.named_modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
    ]
    for name in names:
        weight = model.backbone.get_submodule(name).get_parameter("weight").detach()
        scale = weight.flatten(1).abs().amax(dim=1) / 127
        small = replace_layer(model.backbone, name)
        with torch.no_grad():
            small.scale.copy_(scale)
            small.weight.copy_((weight / scale.view(-1, *[1] * (weight.ndim - 1))).round())
    with torch.no_grad():
        for name in float16:
            parameter = model.backbone.get_parameter(name)
            parameter.copy_(parameter.half())
    description: dict[str, Any] = {"bits": 8, "layers": names, "float16": list(float16)}
    return model.with_backbone(model.backbone, {"step": "quantize"}, description)


def payload_of(folder: Path) -> int:
    """Bytes of tensors in the file, by the file's own header."""
    data = (folder / "model.safetensors").read_bytes()
    return len(data) - 8 - int.from_bytes(data[:8], "little")


def test_round_trip_is_exact(small: AudioClassifier, tmp_path: Path) -> None:
    small.lineage = ({"step": "train", "seed": 3},)
    save(small, tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert torch.equal(loaded(features()), small(features()))
    assert loaded.backbone.config == small.backbone.config
    assert loaded.frontend == small.frontend
    assert loaded.normalization == small.normalization
    assert loaded.labels == small.labels
    assert loaded.lineage == small.lineage
    assert not loaded.training
    assert {path.name for path in (tmp_path / "m").iterdir()} == FILES


def test_quantized_round_trip_is_exact(small: AudioClassifier, tmp_path: Path) -> None:
    quantized = int8(small)
    assert not torch.equal(quantized(features()), small(features()))
    save(quantized, tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert torch.equal(loaded(features()), quantized(features()))
    assert loaded.quantization == quantized.quantization
    assert {t.dtype for t in load_file(tmp_path / "m" / "model.safetensors").values()} == {
        torch.int8,
        torch.float32,
    }


def test_float16_tensors_are_stored_in_half(
    classifier: Make, small_configs: dict[str, BackboneConfig], tmp_path: Path
) -> None:
    model = int8(classifier(small_configs["student_ssd"]), ("norm_f.weight", "head.bias"))
    save(model, tmp_path / "m")
    stored = load_file(tmp_path / "m" / "model.safetensors")
    assert [name for name, t in stored.items() if t.dtype == torch.float16] == [
        "head.bias",
        "norm_f.weight",
    ]
    loaded = load(tmp_path / "m")
    assert loaded.backbone.get_parameter("norm_f.weight").dtype == torch.float32
    assert torch.equal(loaded(features()), model(features()))
    assert sum(payload_bytes(model)) == sum(payload_bytes(loaded)) == payload_of(tmp_path / "m")


@pytest.mark.parametrize("form", ["trained", "folded", "int8"])
def test_payload_is_what_is_reported(small: AudioClassifier, form: str, tmp_path: Path) -> None:
    forms = {"trained": lambda m: m, "folded": fold_batch_norm, "int8": int8}
    model = forms[form](small)
    save(model, tmp_path / "m")
    parameters, buffers = payload_bytes(model)
    assert parameters + buffers == payload_of(tmp_path / "m")
    assert parameters == sum(p.numel() * p.element_size() for p in model.parameters())
    statistics = [b for b in model.buffers() if b.is_floating_point()]
    assert buffers == sum(b.numel() * b.element_size() for b in statistics)


def test_config_json_says_what_outsiders_need(small: AudioClassifier, tmp_path: Path) -> None:
    save(small, tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert list(config) == [
        "format_version",
        "architecture",
        "model",
        "frontend",
        "normalization",
        "labels",
        "id2label",
        "lineage",
        "quantization",
    ]
    assert config["id2label"] == {"0": "class 0", "1": "class 1", "2": "class 2"}


def test_card_is_short_and_honest_or_the_callers(small: AudioClassifier, tmp_path: Path) -> None:
    save(small, tmp_path / "m")
    card = (tmp_path / "m" / "README.md").read_text()
    assert f"{payload_bytes(small)[0]:,} bytes" in card
    assert "not measured" in card
    save(small, tmp_path / "m", card="# Mine\n")
    assert (tmp_path / "m" / "README.md").read_text() == "# Mine\n"


def test_loading_leaves_the_random_state_alone(small: AudioClassifier, tmp_path: Path) -> None:
    save(small, tmp_path / "m")
    state = torch.get_rng_state()
    load(tmp_path / "m")
    assert torch.equal(torch.get_rng_state(), state)


def test_saving_replaces_the_model_and_keeps_other_files(
    small: AudioClassifier, tmp_path: Path
) -> None:
    folder = tmp_path / "m"
    save(small, folder)
    (folder / "notes.txt").write_text("mine")
    with torch.no_grad():
        next(small.parameters()).add_(1)
    save(small, folder)
    assert torch.equal(load(folder)(features()), small(features()))
    assert (folder / "notes.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_saving_never_replaces_something_else(small: AudioClassifier, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for place in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(CheckpointError, match="no model directory"):
            save(small, place)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("moment", ["weights", "last"])
def test_a_failed_save_keeps_the_old_model(
    small: AudioClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    folder = tmp_path / "m"
    save(small, folder)
    before = small(features())
    with torch.no_grad():
        next(small.parameters()).add_(1)
    if moment == "weights":

        def full(*_: Any, **__: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("aum_edge.models.directory.save_file", full)
    else:
        move = Path.replace

        def refuse(self: Path, target: Path) -> Path:
            if self.name.endswith(".tmp"):
                raise OSError(5, "Input/output error")
            return move(self, target)

        monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(CheckpointError, match="Cannot save a model"):
        save(small, folder)
    monkeypatch.undo()
    assert torch.equal(load(folder)(features()), before)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


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
    rewrite_config(saved, format_version=2)
    assert "format version 2, this aum-edge reads 1" in message_of(saved)


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
    ],
)
def test_config_with_wrong_values(saved: Path, key: str, value: Any, word: str) -> None:
    rewrite_config(saved, **{key: value})
    assert word in message_of(saved)


@pytest.mark.parametrize("key", ["model", "frontend", "normalization", "labels", "lineage"])
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
