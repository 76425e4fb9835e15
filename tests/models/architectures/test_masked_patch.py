"""The masked-patch model: what it hides, what it predicts, how it is kept."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from aum_edge.audio.config import Normalization, aum_fbank
from aum_edge.errors import RecipeError
from aum_edge.models.architectures.masked_patch import (
    MaskedPatchConfig,
    MaskedPatchModel,
    masked_patch_config,
)
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.models.config import AudioMambaConfig
from aum_edge.models.storage.directory import save

SIZES = {
    "n_mels": 128,
    "n_frames": 50,
    "patch_size": (32, 16),
    "d_model": 16,
    "depth": 2,
    "d_state": 4,
    "direction": "bi-bi",
}
MASKED = torch.tensor([[0, 5, 7], [1, 2, 11]])


def model(**values) -> MaskedPatchModel:
    torch.manual_seed(0)
    return MaskedPatchModel(MaskedPatchConfig(**SIZES | values)).eval()


def clips() -> torch.Tensor:
    return torch.randn(2, 1, 128, 50, generator=torch.Generator().manual_seed(1))


def patch_of(index: int) -> tuple[slice, slice]:
    row, column = divmod(index, 3)
    return slice(32 * row, 32 * row + 32), slice(16 * column, 16 * column + 16)


def test_patches_are_cut_frequency_major() -> None:
    x = clips()
    found = model().masked_patches(x, MASKED)
    assert found.shape == (2, 3, 512)
    for clip in range(2):
        for place, index in enumerate(MASKED[clip].tolist()):
            assert torch.equal(found[clip, place], x[clip, 0][patch_of(index)].flatten())


def test_what_is_hidden_does_not_matter() -> None:
    network, x = model(), clips()
    tokens = network.masked_tokens(x, MASKED)
    other = x.clone()
    for clip in range(2):
        for index in MASKED[clip].tolist():
            other[clip, 0][patch_of(index)] = 7.0
    assert torch.equal(network.masked_tokens(other, MASKED), tokens)
    other[0, 0][patch_of(1)] = 7.0
    assert not torch.allclose(network.masked_tokens(other, MASKED)[0], tokens[0])


@pytest.mark.parametrize("order", ["frequency", "time"])
@pytest.mark.parametrize("token", ["none", "first", "middle", "last", "double"])
def test_each_prediction_stands_at_its_patch(token, order) -> None:
    # Without mixers every token stays its own: the hidden one is mask embedding plus position.
    network = model(class_token=token, token_order=order, pooling="mean")
    with torch.no_grad():
        for layer in network.encoder.layers:
            layer.mixer.out_proj.weight.zero_()
    table = network.encoder.pos_embed.pos_embed[0, len(network.encoder.class_index) :]
    expected = network.encoder.norm_f(network.mask_embed[0] + table[MASKED])
    torch.testing.assert_close(network.masked_tokens(clips(), MASKED), expected)


def test_as_a_network_it_is_its_encoder() -> None:
    network, x = model(pooling="mean"), clips()
    assert network(x).shape == (2, 16)
    assert torch.equal(network(x), network.encoder(x))


def test_predictors_are_as_wide_as_a_patch() -> None:
    network = model()
    assert network.cpredlayer(torch.zeros(1, 16)).shape == (1, 512)
    assert network.gpredlayer[2].out_features == 512


def test_a_model_directory_keeps_it(tmp_path: Path) -> None:
    network = model(pooling="mean")
    whole = AudioClassifier(
        network,
        frontend=aum_fbank(n_frames=50),
        normalization=Normalization(mean=-4.0, std=4.5, std_factor=2.0),
        labels=(),
    )
    save(whole, tmp_path / "m")
    card = (tmp_path / "m" / "README.md").read_text()
    assert "An audio encoder without classes" in card
    assert "teacher.model.init" in card
    again = load(tmp_path / "m")
    assert isinstance(again.backbone, MaskedPatchModel)
    assert asdict(again.backbone.config) == asdict(network.config)
    assert torch.equal(again(clips()), whole.eval()(clips()))
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.backbone.state_dict()[name], tensor), name


def test_the_config_of_an_encoder_loses_its_classes_and_its_overlap() -> None:
    encoder = AudioMambaConfig(n_classes=4, stride=(8, 8), **SIZES)
    made = masked_patch_config(encoder)
    assert (made.n_classes, made.stride, made.d_model) == (0, None, 16)
    assert type(made.encoder) is AudioMambaConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_classes": 3}, "`n_classes` must be 0, got 3"),
        ({"stride": (16, 16)}, r"must not overlap.*\(32, 16\), got \(16, 16\)"),
        ({"depth": 3, "layer_pairs": True}, "even `depth`"),
    ],
)
def test_a_wrong_config_is_refused(values, message) -> None:
    with pytest.raises(RecipeError, match=message):
        MaskedPatchConfig(**SIZES | values)
