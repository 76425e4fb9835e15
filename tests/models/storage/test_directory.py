"""Model directories: what is written is what is read, and nothing else is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from aum_edge.errors import CheckpointError
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.fold import fold_batch_norm
from aum_edge.models.quantized import replace_layer
from aum_edge.models.storage.directory import payload_bytes, save

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
        "label2id",
        "activation",
        "lineage",
        "quantization",
    ]
    assert config["id2label"] == {"0": "class 0", "1": "class 1", "2": "class 2"}
    assert config["label2id"] == {"class 0": 0, "class 1": 1, "class 2": 2}


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

        monkeypatch.setattr("aum_edge.models.storage.directory.save_file", full)
    else:
        move = Path.replace

        def refuse(self: Path, target: Path) -> Path:
            if self.name == ".m.draft":
                raise OSError(5, "Input/output error")
            return move(self, target)

        monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(CheckpointError, match="Cannot save a model"):
        save(small, folder)
    monkeypatch.undo()
    assert torch.equal(load(folder)(features()), before)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_version_1_pooled_the_class_token_whatever_it_said(
    classifier: Make, small_configs: dict[str, BackboneConfig], tmp_path: Path
) -> None:
    model = classifier(small_configs["audio_mamba"])
    save(model, tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config["format_version"] = 1
    config["model"]["pooling"] = "mean"
    for name in ("head", "final_norms"):
        del config["model"][name]
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    torch.testing.assert_close(load(tmp_path / "m")(features()), model(features()))
