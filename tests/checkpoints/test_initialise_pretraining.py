"""Pretraining goes on in a network of another length or patch."""

from __future__ import annotations

import torch

from aum_edge.checkpoints.initialise import initialise_from
from aum_edge.models.architectures.audio_mamba import AudioMamba
from aum_edge.models.architectures.masked_patch import MaskedPatchConfig, MaskedPatchModel

SIZES = {"n_mels": 32, "d_model": 16, "depth": 2, "d_state": 4}


def model(seed: int, n_frames: int = 32, patch: int = 8) -> MaskedPatchModel:
    torch.manual_seed(seed)
    config = MaskedPatchConfig(n_frames=n_frames, patch_size=(patch, patch), **SIZES)
    return MaskedPatchModel(config)


def own(network: MaskedPatchModel) -> dict[str, torch.Tensor]:
    """Mask embedding and predictors."""
    state = network.state_dict()
    return {name: t.clone() for name, t in state.items() if not name.startswith("encoder.")}


def test_predictors_are_taken_over_at_another_length() -> None:
    source, target = model(0), model(1, n_frames=64)
    notes = initialise_from(target, source)
    assert len(own(target)) == 9
    for name, tensor in own(source).items():
        assert torch.equal(target.state_dict()[name], tensor), name
    assert [note.split()[0] for note in notes] == ["Position"]


def test_predictors_of_other_patches_start_fresh_and_a_note_says_so() -> None:
    source, target = model(0), model(1, patch=4)
    before = own(target)
    notes = initialise_from(target, source)
    for name, tensor in before.items():
        assert torch.equal(target.state_dict()[name], tensor), name
    assert any("predictors start fresh" in note for note in notes)
    encoder = target.encoder.state_dict()
    assert torch.equal(encoder["norm_f.weight"], source.encoder.norm_f.weight)


def test_an_encoder_takes_nothing_but_the_encoder() -> None:
    source = model(0)
    target = AudioMamba(model(1).config.encoder)
    assert initialise_from(target, source) == []
    for name, tensor in source.encoder.state_dict().items():
        assert torch.equal(target.state_dict()[name], tensor), name
