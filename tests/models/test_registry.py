"""Config to network and back to a name; a new architecture is one config and one network.

Presets, files, counts, export and training follow what it declares, with no edit elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from aum_edge.audio.config import Normalization
from aum_edge.complexity.limits import get_limits
from aum_edge.complexity.report import analyse
from aum_edge.compression.pruning.slicing import prunable
from aum_edge.errors import CompressionError, ExportError, RecipeError, UnsupportedOperatorError
from aum_edge.export.c.generate import generate
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models import registry
from aum_edge.models.architectures.base import Backbone, NetworkParts
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.models.config import CPMobileConfig
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.presets import preset
from aum_edge.models.registry import (
    architecture_of,
    architectures,
    build,
    register_architecture,
)
from aum_edge.models.storage.directory import save
from aum_edge.models.streaming import StreamingStudent
from aum_edge.training.distillation.features import FeatureHooks
from aum_edge.training.optim.freezing import parts_of
from tests.small_run import FRONTEND, LABELS


@dataclass(frozen=True, kw_only=True)
class ToyConfig(BackboneConfig):
    n_mels: int = 16
    n_frames: int = 33
    d_model: int = 8


class ToyNetwork(Backbone):
    """Two linear layers over each frame, and their mean."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config: ToyConfig = config
        size = config.d_model
        self.steps = nn.ModuleList([nn.Linear(config.n_mels, size), nn.Linear(size, size)])
        self.head = nn.Linear(size, config.n_classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.squeeze(1).transpose(1, 2)
        for layer in self.steps:
            tokens = torch.relu(layer(tokens))
        return self.head(tokens.mean(dim=1))

    def parts(self) -> NetworkParts:
        return NetworkParts(tuple(self.steps), (), self.head)


@pytest.fixture
def model() -> Iterator[AudioClassifier]:
    presets = {"toy-wide": lambda **sizes: ToyConfig(d_model=12, **sizes)}
    register_architecture("toy", ToyConfig, role="control", presets=presets)(ToyNetwork)
    torch.manual_seed(0)
    config = preset("toy-wide", n_classes=3, n_mels=FRONTEND.n_mels, n_frames=FRONTEND.n_frames)
    yield AudioClassifier(
        build(config), frontend=FRONTEND, normalization=Normalization(), labels=LABELS
    ).eval()
    del registry._KNOWN["toy"]


def clips() -> Tensor:
    return torch.randn(4, 1, FRONTEND.n_mels, FRONTEND.n_frames, generator=torch.manual_seed(1))


def test_every_config_builds_its_own_network(small_configs: dict[str, BackboneConfig]) -> None:
    kinds = {name: type(build(config)).__name__ for name, config in small_configs.items()}
    assert kinds == {
        "audio_mamba": "AudioMamba",
        "student_ssd": "MambaStudent",
        "student_s6": "MambaStudent",
        "cp_mobile": "CPMobile",
    }


def test_the_network_carries_its_config(small_configs: dict[str, BackboneConfig]) -> None:
    for config in small_configs.values():
        assert build(config).config is config


def test_names_lead_back_to_the_config(small_configs: dict[str, BackboneConfig]) -> None:
    for config in small_configs.values():
        assert architectures()[architecture_of(config)].config is type(config)


def test_its_files_name_it(model: AudioClassifier, tmp_path: Path) -> None:
    save(model, tmp_path / "m")
    assert '"architecture": "toy"' in (tmp_path / "m" / "config.json").read_text()
    again = load(tmp_path / "m")
    assert again.backbone.config == ToyConfig(n_classes=3, n_frames=33, d_model=12)
    assert torch.equal(again(clips()), model(clips()))


def test_it_is_counted_and_becomes_onnx(model: AudioClassifier, tmp_path: Path) -> None:
    found = analyse(model, get_limits("dcase2025"))
    assert found.counts.macs == 33 * (16 * 12 + 12 * 12) + 12 * 3
    assert found.streaming_state is None
    report = export_onnx(model, tmp_path / "m.onnx", clips=clips())
    assert report.max_abs_diff < 1e-5


def test_its_blocks_are_read_and_frozen_by_depth(model: AudioClassifier) -> None:
    assert len(parts_of(model.backbone).blocks) == 2
    hooks = FeatureHooks(model, [1, 2])
    with hooks.recording() as taken:
        model(clips())
    assert [tuple(tokens.shape) for tokens in taken] == [(4, 32, 12), (4, 32, 12)]


def test_what_it_does_not_declare_is_refused_in_one_line(model: AudioClassifier) -> None:
    for error, work in (
        (CompressionError, lambda: prunable(model.backbone)),
        (ExportError, lambda: StreamingStudent(model)),
        (UnsupportedOperatorError, lambda: generate(model, "toy")),
    ):
        with pytest.raises(error) as caught:
            work()
        assert "\n" not in str(caught.value)


def test_two_architectures_of_one_name_or_config_are_refused(model: AudioClassifier) -> None:
    with pytest.raises(ValueError, match="of that name or config"):
        register_architecture("toy", CPMobileConfig, role="control")(ToyNetwork)
    with pytest.raises(ValueError, match="of that name or config"):
        register_architecture("other", ToyConfig, role="control")(ToyNetwork)


def test_without_its_registration_there_is_no_such_preset() -> None:
    assert "toy" not in architectures()
    with pytest.raises(RecipeError, match="There is no preset `toy-wide`"):
        preset("toy-wide", n_classes=3, n_mels=16, n_frames=33)
