from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch

from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.errors import CheckpointError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.registry import build
from aum_edge.models.storage.directory import save
from aum_edge.training.initialise import initial_model, initial_model_key
from tests.small_run import FRONTEND, student, teacher


def with_labels(model: AudioClassifier, labels: tuple[str, ...]) -> AudioClassifier:
    model.labels = labels
    return model


def test_weights_and_lineage_are_taken_over_and_the_head_with_the_same_labels(tmp_path) -> None:
    source = teacher(seed=1)
    source.lineage = ({"step": "pretraining"},)
    save(source, tmp_path)
    model = teacher(seed=2)
    model.lineage = ({"step": "teacher", "seed": 2},)
    initial_model(model, tmp_path)
    for name, tensor in source.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=0)
    first, last = model.lineage
    assert first == {"step": "pretraining"}
    assert last == {
        "step": "teacher",
        "seed": 2,
        "init": str(tmp_path),
        "init_rule": "aum",
        "notes": [],
    }


def test_the_head_starts_fresh_for_other_labels_and_it_is_said(tmp_path, caplog) -> None:
    source = teacher(seed=1)
    save(source, tmp_path)
    model = with_labels(teacher(seed=2), ("a", "b", "c"))
    head = model.backbone.head.weight.clone()
    model.lineage = ({"step": "teacher"},)
    with caplog.at_level(logging.INFO):
        initial_model(model, tmp_path)
    torch.testing.assert_close(model.backbone.head.weight, head, rtol=0, atol=0)
    torch.testing.assert_close(
        model.backbone.layers[0].mixer.in_proj.weight,
        source.backbone.layers[0].mixer.in_proj.weight,
    )
    (note,) = model.lineage[-1]["notes"]
    assert "head starts fresh" in note
    assert note in caplog.text


@pytest.mark.parametrize(("rule", "word"), [("aum", "of aum"), ("ssamba", "of ssamba")])
def test_longer_clips_resize_positions_by_the_rule(tmp_path, rule: str, word: str) -> None:
    save(teacher(seed=1), tmp_path)
    longer = replace(FRONTEND, clip_seconds=2.0)
    config = replace(teacher().backbone.config, n_frames=longer.n_frames)
    model = AudioClassifier(
        build(config),
        frontend=longer,
        normalization=teacher().normalization,
        labels=teacher().labels,
        lineage=({"step": "teacher"},),
    )
    initial_model(model, tmp_path, rule)
    (note,) = model.lineage[-1]["notes"]
    assert note.startswith("Position table resized")
    assert word in note


def test_another_front_end_is_warned_of_by_name(tmp_path, caplog) -> None:
    source = teacher(seed=1)
    source.frontend = replace(FRONTEND, sample_rate=16000, hop_length=500)
    save(source, tmp_path)
    model = teacher(seed=2)
    model.lineage = ({"step": "teacher"},)
    with caplog.at_level(logging.WARNING):
        initial_model(model, tmp_path)
    assert "sample_rate 16000, here 8000; hop_length 500, here 250" in caplog.text
    assert "\n" not in caplog.records[-1].message
    assert "sample_rate" in model.lineage[-1]["notes"][0]


def test_another_network_and_no_model_are_refused_in_one_line(tmp_path) -> None:
    save(student(), tmp_path / "student")
    for folder in (tmp_path / "student", tmp_path / "nothing", tmp_path):
        with pytest.raises(CheckpointError) as caught:
            initial_model(teacher(), folder)
        assert "\n" not in str(caught.value)
        assert str(folder) in str(caught.value)


def test_int8_weights_are_no_start(tmp_path) -> None:
    save(quantize(student(), QuantizeConfig()), tmp_path)
    with pytest.raises(CheckpointError, match="quantized"):
        initial_model(student(), tmp_path)


def test_the_key_follows_the_weights(tmp_path) -> None:
    assert initial_model_key("") == initial_model_key(str(tmp_path / "nothing")) == ""
    save(teacher(seed=1), tmp_path / "a")
    save(teacher(seed=2), tmp_path / "b")
    first = initial_model_key(str(tmp_path / "a"))
    assert first != initial_model_key(str(tmp_path / "b"))
    assert len(first) == 64
