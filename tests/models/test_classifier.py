"""What surrounds the network: normalisation, labels, front end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.audio.frontend import FrontEnd
from aum_edge.errors import AudioError, CheckpointError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.registry import build

Make = Callable[..., AudioClassifier]


def test_features_are_normalised_once(small: AudioClassifier) -> None:
    features = torch.randn(2, 1, 16, 12)
    expected = small.backbone((features + 3.5) / 2.0)
    torch.testing.assert_close(small(features), expected)


def test_std_factor_counts(classifier: Make, small_configs: dict[str, BackboneConfig]) -> None:
    normalization = Normalization(mean=1.0, std=2.0, std_factor=2.0)
    model = classifier(small_configs["cp_mobile"], normalization=normalization)
    features = torch.randn(2, 1, 16, 12)
    torch.testing.assert_close(model(features), model.backbone((features - 1) / 4))


def test_example_input_is_taken(small: AudioClassifier) -> None:
    assert small(small.example_input(3)).shape == (3, 3)


def test_waveforms_become_probabilities(small: AudioClassifier) -> None:
    waveform = torch.randn(2, small.frontend.clip_samples, generator=torch.manual_seed(3))
    probabilities = small.predict_waveform(waveform)
    features = FrontEnd(small.frontend)(waveform).unsqueeze(1)
    torch.testing.assert_close(probabilities, small(features).softmax(dim=1))
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(2))


def test_padding_is_told_from_sound_where_the_front_end_does(small: AudioClassifier) -> None:
    changed = replace(small.frontend, padding="zero", stft_padding="constant")
    model = AudioClassifier(
        small.backbone,
        frontend=changed,
        normalization=small.normalization,
        labels=small.labels,
    ).eval()
    waveform = torch.randn(2, changed.clip_samples, generator=torch.manual_seed(3))
    waveform[1, 60:] = 0
    lengths = torch.tensor([changed.clip_samples, 60])
    told = model.predict_waveform(waveform, lengths)
    features = FrontEnd(changed)(waveform, lengths).unsqueeze(1)
    torch.testing.assert_close(told, model(features).softmax(dim=1))
    assert not torch.allclose(told[1], model.predict_waveform(waveform)[1])


@pytest.mark.parametrize("shape", [(110,), (2, 109), (2, 111)])
def test_clips_of_another_length_are_refused(small: AudioClassifier, shape: tuple) -> None:
    with pytest.raises(AudioError, match=r"clips \(batch, 110\)"):
        small.predict_waveform(torch.zeros(shape))


def test_another_front_end_is_refused(
    small_configs: dict[str, BackboneConfig], frontend: Callable[[int, int], FrontEndConfig]
) -> None:
    for config in small_configs.values():
        for shape in ((17, 12), (16, 13)):
            with pytest.raises(CheckpointError, match="its front end gives"):
                AudioClassifier(
                    build(config),
                    frontend=frontend(*shape),
                    normalization=Normalization(),
                    labels=("a", "b", "c"),
                )


@pytest.mark.parametrize("labels", [("a", "b"), ("a", "b", "c", "d"), ("a", "b", "a")])
def test_labels_must_name_every_class_once(
    classifier: Make, small_configs: dict[str, BackboneConfig], labels: tuple[str, ...]
) -> None:
    with pytest.raises(CheckpointError, match="3 classes"):
        classifier(small_configs["cp_mobile"], labels=labels)


def test_another_backbone_joins_the_lineage(small: AudioClassifier) -> None:
    small.lineage = ({"step": "train"},)
    config = small.backbone.config
    other = small.with_backbone(build(replace(config)), {"step": "again"}, {"layers": []})
    assert [step["step"] for step in other.lineage] == ["train", "again"]
    assert other.quantization == {"layers": []}
    assert small.quantization is None
    assert other.with_backbone(build(config), {}).lineage == other.lineage
    assert not other.training
