"""One network's weights as the start of another."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from aum_edge.checkpoints.initialise import crop_positions, initialise_from
from aum_edge.errors import CheckpointError
from aum_edge.models.architectures.audio_mamba import AudioMamba
from aum_edge.models.config import CPMobileConfig
from aum_edge.models.registry import build
from aum_edge.models.student_config import MambaStudentConfig
from tests.checkpoints.made import AUM, network

X = torch.randn(2, 1, 128, 64, generator=torch.manual_seed(3))


def test_the_same_network_gives_the_same_logits() -> None:
    source, target = network(), network(seed=1)
    assert initialise_from(target, source) == []
    torch.testing.assert_close(target(X), source(X))


def test_another_class_count_keeps_all_but_the_head() -> None:
    source, target = network(), network(replace(AUM, n_classes=3), seed=1)
    head = target.head.weight.clone()
    notes = initialise_from(target, source)
    assert notes == ["The head starts fresh: the starting model has another number of classes."]
    assert torch.equal(target.head.weight, head)
    torch.testing.assert_close(target.features(X), source.features(X))


def test_other_classes_of_the_same_number_start_fresh_on_request() -> None:
    source, target = network(), network(seed=1)
    assert "classes are others" in initialise_from(target, source, keep_head=False)[0]
    assert not torch.equal(target.head.weight, source.head.weight)


def test_an_encoder_gives_and_takes_no_head() -> None:
    encoder = network(replace(AUM, n_classes=0))
    assert "has none" in initialise_from(network(seed=1), encoder)[0]
    assert "left out" in initialise_from(encoder, network(seed=1))[0]


def test_other_lengths_and_patches_are_resized_as_at_run_time() -> None:
    source = network()
    longer = AudioMamba(replace(AUM, n_frames=128)).eval()
    assert "from 8 x 4 to 8 x 8" in initialise_from(longer, source)[0]
    x = torch.randn(1, 1, 128, 128)
    torch.testing.assert_close(longer(x), source(x))
    finer = AudioMamba(replace(AUM, patch_size=(8, 8))).eval()
    notes = initialise_from(finer, source)
    assert "from (16, 16) to (8, 8)" in notes[0]
    torch.testing.assert_close(finer(X), source(X, (8, 8), (8, 8)))


def test_differences_in_meaning_are_noted() -> None:
    target = network(replace(AUM, token_order="time"), seed=1)
    assert "`token_order` is 'time'" in initialise_from(target, network())[0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"d_model": 32}, "differs: "),
        ({"depth": 3}, "has unexpected layers.2"),
        ({"depth": 1}, "lacks layers.1"),
        ({"direction": "fo-fo"}, "lacks layers.0.mixer.A_b_log"),
        ({"class_token": "double"}, "lacks cls_token"),
    ],
)
def test_other_networks_are_refused_and_nothing_is_changed(values: dict, words: str) -> None:
    target, source = network(seed=1), network(replace(AUM, **values))
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    with pytest.raises(CheckpointError, match=words):
        initialise_from(target, source)
    assert all(torch.equal(before[name], t) for name, t in target.state_dict().items())


@pytest.mark.parametrize("kind", ["student", "cnn"])
def test_students_and_the_control_start_from_their_kind(kind: str) -> None:
    sizes = {"n_mels": 16, "n_frames": 12}
    student = {"d_model": 8, "depth": 1, "d_state": 4, "head_dim": 4, "stem_channels": (2, 4)}
    made = {
        "student": lambda n: MambaStudentConfig(n_classes=n, **sizes, **student),
        "cnn": lambda n: CPMobileConfig(n_classes=n, base_channels=8, **sizes),
    }
    source, target = build(made[kind](3)).eval(), build(made[kind](5)).eval()
    assert "another number" in initialise_from(target, source)[0]
    again = build(made[kind](3)).eval()
    assert initialise_from(again, source) == []
    x = torch.randn(2, 1, 16, 12)
    torch.testing.assert_close(again(x), source(x))


def test_ssamba_cuts_the_middle_and_stretches_without_low_pass() -> None:
    grid = torch.arange(24.0).view(1, 24, 1)
    table = torch.cat([torch.full((1, 1, 1), -1.0), grid], dim=1)
    cut = crop_positions(table, 1, (4, 6), (4, 2))
    assert cut.flatten().tolist() == [-1, 2, 3, 8, 9, 14, 15, 20, 21]
    rows = crop_positions(table, 1, (4, 6), (2, 6))
    assert rows.flatten().tolist() == [-1, *range(6, 18)]
    longer = crop_positions(table, 1, (4, 6), (4, 12))[0, 1:, 0].view(4, 12)
    expected = torch.nn.functional.interpolate(grid.view(1, 1, 4, 6), (4, 12), mode="bilinear")
    torch.testing.assert_close(longer, expected[0, 0])
