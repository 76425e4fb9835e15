"""AuM, Vim and audio-mamba-asc by their own flags."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from aum_edge.audio.config import Normalization
from aum_edge.checkpoints import from_upstream
from aum_edge.errors import CheckpointError, DataError, RecipeError
from aum_edge.models.architectures.audio_mamba import AudioMamba
from aum_edge.models.classifier import load
from aum_edge.models.config import AudioMambaConfig
from aum_edge.models.storage.directory import save
from tests.checkpoints.made import AUM, FLAGS, network, weights

X = torch.randn(2, 1, 128, 64, generator=torch.manual_seed(3))


def config_of(flags: dict[str, Any], config: AudioMambaConfig = AUM) -> AudioMambaConfig:
    return from_upstream(weights(config), "aum", FLAGS | flags).backbone.config


def test_a_published_script_as_it_stands() -> None:
    script = {
        "model": "aum",
        "dataset": "vggsound",
        "imagenet_pretrain": "False",
        "bal": "full",
        "lr": "1e-5",
        "epoch": "20",
        "freqm": "48",
        "timem": "192",
        "mixup": "0",
        "fstride": "16",
        "tstride": "16",
        "batch_size": "12",
        "dataset_mean": "-5.0767093",
        "dataset_std": "4.4533687",
        "audio_length": "64",
        "noise": "False",
        "metrics": "acc",
        "loss": "BCE",
        "warmup": "True",
        "skip_norm": "False",
        "n_class": "5",
        "aum_type": "Bi-Bi",
    }
    model = from_upstream({f"module.{k}": v for k, v in weights().items()}, "aum", script)
    assert model.backbone.config == AUM
    assert model.normalization == Normalization(mean=-5.0767093, std=4.4533687, std_factor=2.0)
    assert (model.frontend.sample_rate, model.frontend.n_frames) == (16_000, 64)
    torch.testing.assert_close(model.backbone(X), network()(X))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"direction": "fo-fo"}, {"aum_type": "Fo-Fo"}),
        ({"direction": "fo-bi"}, {"aum_type": None, "bimamba_type": "v1"}),
        ({"direction": "fo-bi"}, {"aum_type": None, "if_bimamba": "true"}),
        ({"class_token": "first"}, {"use_middle_cls_token": False}),
        ({"class_token": "last"}, {"use_middle_cls_token": False, "use_end_cls_token": True}),
        ({"class_token": "middle"}, {"use_end_cls_token": True}),
        ({"class_token": "double"}, {"use_double_cls_token": True}),
        ({"class_token": "none", "pooling": "mean"}, {"if_cls_token": False}),
        ({"class_token": "none", "pooling": "last"}, {"final_pool_type": "none"}),
        ({"class_token": "none", "pooling": "max"}, {"final_pool_type": "max"}),
        ({"token_order": "time"}, {"transpose_token_sequence": True}),
        ({"position_embedding": False}, {"if_abs_pos_embed": False}),
        ({"norm": "layer"}, {"rms_norm": False}),
        ({"norm_eps": 1e-3}, {"norm_epsilon": 1e-3}),
        ({"halve_directions": False}, {"if_devide_out": False}),
        ({"layer_pairs": True}, {"if_bidirectional": True}),
        ({"layer_scale": 1.0}, {"init_layer_scale": 1e-4}),
        ({"drop_path": 0.1}, {"aum_drop_path": 0.1}),
        ({"stride": (10, 10)}, {"fstride": 10, "tstride": 10}),
        ({"patch_size": (8, 16)}, {"fpatch_size": 8, "fstride": 8}),
        ({"n_mels": 64}, {"melbins": 64}),
    ],
    ids=str,
)
def test_each_flag_is_one_field(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    wanted = replace(AUM, **ours)
    assert config_of(theirs, wanted) == wanted


def test_the_length_is_found_where_it_is_not_given() -> None:
    flags = {name: value for name, value in FLAGS.items() if name != "audio_length"}
    assert from_upstream(weights(), "aum", flags).backbone.config.n_frames == 64


def test_another_length_patch_and_class_count_than_the_checkpoint() -> None:
    flags = FLAGS | {"audio_length": 128, "n_class": 3, "aum_pretrain": True}
    model = from_upstream(weights(), "aum", flags)
    notes = model.lineage[-1]["notes"]
    assert any("from 8 x 4 to 8 x 8" in note for note in notes)
    assert any("another number of classes" in note for note in notes)
    x = torch.randn(1, 1, 128, 128)
    torch.testing.assert_close(model.backbone.features(x), network().features(x))


def test_the_checkpoints_size_can_be_stated() -> None:
    odd = replace(AUM, n_mels=64, n_frames=48)
    flags = FLAGS | {"aum_pretrain": True, "checkpoint_spectrogram_size": [64, 48]}
    model = from_upstream(weights(odd), "aum", flags)
    assert "from 4 x 3 to 8 x 4" in str(model.lineage[-1]["notes"])
    with pytest.raises(CheckpointError, match="checkpoint_spectrogram_size"):
        from_upstream(weights(odd), "aum", FLAGS)


def test_labels_by_name_and_by_table(tmp_path: Path) -> None:
    names = list("abcde")
    assert from_upstream(weights(), "aum", FLAGS | {"labels": names}).labels == tuple(names)
    table = tmp_path / "labels.csv"
    rows = [f'{i},/m/{i},"{name}, {name}"' for i, name in enumerate(names)]
    table.write_text("\n".join(["index,mid,display_name", *rows]))
    model = from_upstream(weights(), "aum", FLAGS | {"label_csv": str(table)})
    assert model.labels == ("a, a", "b, b", "c, c", "d, d", "e, e")
    with pytest.raises(RecipeError, match="5 classes and needs as many"):
        from_upstream(weights(), "aum", FLAGS | {"labels": names[:3]})
    table.write_text("\n".join(["index,mid,display_name", *rows, rows[0]]))
    with pytest.raises(DataError, match="more than once"):
        from_upstream(weights(), "aum", FLAGS | {"label_csv": str(table)})


def test_epic_sounds_has_its_own_front_end() -> None:
    model = from_upstream(weights(), "aum", FLAGS | {"dataset": "epic_sounds"})
    assert (model.frontend.sample_rate, model.normalization.scale) == (24_000, 1.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("layers.1.mixer.D"), "lacks layers.1.mixer.D"),
        (lambda t: t.update(extra=torch.ones(1)), "has unexpected extra"),
        (lambda t: t.update({"norm_f.weight": torch.ones(8)}), "differs: "),
        (lambda t: t.pop("norm_f.weight"), "is no Audio Mamba: it lacks norm_f.weight"),
        (lambda t: t.pop("pos_embed.pos_embed"), "flags say position_embedding True"),
    ],
)
def test_every_tensor_is_accounted_for(change: Any, words: str) -> None:
    tensors = weights()
    change(tensors)
    with pytest.raises(CheckpointError, match=words):
        from_upstream(tensors, "aum", FLAGS | {"if_abs_pos_embed": True})


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"model_type": "base"}, "flags say d_model 768, its tensors 16"),
        ({"depth": 24}, "flags say depth 24, its tensors 2"),
        ({"aum_type": "Fo-Bi"}, "flags say direction 'fo-bi', its tensors 'bi-bi'"),
        ({"rms_norm": False}, "flags say norm 'layer'"),
        ({"use_double_cls_token": True}, "has 1 class tokens, the flags ask for 2"),
    ],
)
def test_flags_of_another_model(flags: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        from_upstream(weights(), "aum", FLAGS | flags)


def test_kinds_and_flags_that_do_not_exist() -> None:
    with pytest.raises(RecipeError, match="`kind` must be one of aum, ssamba, vim, asc, ast-ssl"):
        from_upstream(weights(), "whisper", {})  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="Unknown flag audio_len"):
        from_upstream(weights(), "aum", FLAGS | {"audio_len": 3})


def test_a_converted_model_survives_its_directory(tmp_path: Path) -> None:
    model = from_upstream(weights(), "aum", FLAGS)
    save(model, tmp_path / "m")
    again = load(tmp_path / "m")
    torch.testing.assert_close(again(X), model(X))
    assert json.loads((tmp_path / "m" / "config.json").read_text())["lineage"][0]["kind"] == "aum"


def vim_weights(side: int = 4, double: bool = False) -> dict[str, torch.Tensor]:
    """A Vim of RGB patches on a square grid, its rows in sequence order."""
    kind = "double" if double else "middle"
    config = replace(AUM, n_mels=16 * side, n_frames=16 * side, class_token=kind)
    tensors = weights(config)
    table = tensors.pop("pos_embed.pos_embed")
    k = 1 + side * side // 2
    order = (
        [0, *range(2, side * side + 2), 1] if double else [*range(1, k), 0, *range(k, side**2 + 1)]
    )
    tensors["pos_embed"] = table[:, order]
    kernel = tensors["patch_embed.proj.weight"]
    tensors["patch_embed.proj.weight"] = torch.cat([0.5 * kernel, kernel, 1.5 * kernel], dim=1)
    tensors["head.weight"], tensors["head.bias"] = torch.ones(1000, 16), torch.ones(1000)
    return tensors


@pytest.mark.parametrize("double", [False, True])
def test_vim_becomes_an_aum(double: bool) -> None:
    flags = FLAGS | {"use_double_cls_token": double, "imagenet_load_double_cls_token": double}
    model = from_upstream(vim_weights(double=double), "vim", flags | {"imagenet_pretrain": True})
    kind = "double" if double else "middle"
    square = network(replace(AUM, n_mels=64, n_frames=64, class_token=kind))
    square.config = replace(square.config, n_mels=128)
    torch.testing.assert_close(model.backbone.features(X), square.features(X))
    assert "ImageNet classes" in str(model.lineage[-1]["notes"])


def test_vim_needs_to_know_the_audio() -> None:
    with pytest.raises(RecipeError, match="give the flag `n_class`"):
        from_upstream(vim_weights(), "vim", {"audio_length": 64})
    with pytest.raises(RecipeError, match="give the flag `audio_length`"):
        from_upstream(vim_weights(), "vim", {"n_class": 5})
    tensors = vim_weights()
    tensors["pos_embed"] = tensors["pos_embed"][:, :-1]
    with pytest.raises(CheckpointError, match="no square grid"):
        from_upstream(tensors, "vim", FLAGS)


def asc_weights() -> tuple[AudioMamba, dict[str, torch.Tensor]]:
    config = AudioMambaConfig(
        n_classes=10,
        n_mels=256,
        n_frames=65,
        d_model=16,
        depth=2,
        direction="bi-bi",
        layer_pairs=True,
        position_embedding=False,
        head="mlp",
    )
    made = network(config)
    tensors = {}
    for name, tensor in made.state_dict().items():
        own = name.removeprefix("head.")
        tensors["model." + (f"aum_model.{name}" if own == name else f"classifier.{own}")] = tensor
    return made, tensors | {"mel.1.mel_scale.fb": torch.zeros(2049, 256)}


def test_asc_loads_with_its_front_end_and_classes() -> None:
    made, tensors = asc_weights()
    model = from_upstream(tensors, "asc", {"n_mels": 256, "embed_dim": 16, "target_length": 1024})
    x = torch.randn(2, 1, 256, 65)
    torch.testing.assert_close(model.backbone(x), made(x))
    assert model.labels[0] == "airport"
    assert model.frontend.sample_rate == 32_000
    assert "Left out mel.1.mel_scale.fb" in model.lineage[-1]["notes"][0]


def test_asc_with_another_front_end_is_refused() -> None:
    _, tensors = asc_weights()
    with pytest.raises(RecipeError, match="`n_mels` = 128 is not supported"):
        from_upstream(tensors, "asc", {"n_mels": 128})
    tensors["mel.1.mel_scale.fb"] = torch.zeros(1025, 128)
    with pytest.raises(CheckpointError, match=r"filter bank of \(1025, 128\)"):
        from_upstream(tensors, "asc", {})


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"model_type": "huge"}, "must name tiny, small or base"),
        ({"aum_type": None, "bimamba_type": "v9"}, "`bimamba_type` must be one of"),
        ({"final_pool_type": "banana"}, "`final_pool_type` must be one of"),
        ({"init_layer_scale": 1e-4}, "flags say layer_scale"),
        ({"spectrogram_size": [128, 128]}, "disagree"),
        ({"patch_size": 16, "fpatch_size": 8}, "disagree"),
        ({"loss": "MSE"}, "`loss` must be BCE or CE"),
        ({"sample_rate": 0}, "must be in Hz"),
        ({"n_class": 10**12}, "at most 1,000,000"),
        ({"dataset_mean": float("nan")}, "is NaN"),
    ],
    ids=str,
)
def test_flags_that_make_no_sense(flags: dict[str, Any], words: str) -> None:
    with pytest.raises((RecipeError, CheckpointError), match=words):
        from_upstream(weights(), "aum", FLAGS | flags)


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("layers.0.mixer.A_log", torch.ones(4), "must have 2 axes"),
        ("norm_f.weight", torch.ones(()), "must have 1 axes"),
        ("pos_embed.pos_embed", torch.ones(4), "must have 3 axes"),
        ("layers.90000.norm.weight", torch.ones(16), "has unexpected layers.90000"),
        ("norm_f.weight", torch.ones(16, dtype=torch.int64), "is int64"),
    ],
    ids=str,
)
def test_tensors_that_make_no_sense(name: str, tensor: torch.Tensor, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        from_upstream(weights() | {name: tensor}, "aum", FLAGS)


def test_wrappers_around_wrappers_are_stripped() -> None:
    wrapped = {f"module._orig_mod.module.{name}": t for name, t in weights().items()}
    torch.testing.assert_close(from_upstream(wrapped, "aum", FLAGS).backbone(X), network()(X))


def test_probabilities_are_those_of_the_loss() -> None:
    x = torch.zeros(1, from_upstream(weights(), "aum", FLAGS).frontend.clip_samples)
    shares = from_upstream(weights(), "aum", FLAGS | {"loss": "CE"}).predict_waveform(x)
    assert abs(float(shares.sum()) - 1) < 1e-5
    model = from_upstream(weights(), "aum", FLAGS | {"loss": "BCE"})
    assert model.activation == "sigmoid"
    assert abs(float(model.predict_waveform(x).sum()) - 1) > 0.1


def test_stated_sizes_must_fit_and_given_mels_are_kept() -> None:
    flags = FLAGS | {"aum_pretrain": True, "checkpoint_spectrogram_size": [128, 640]}
    with pytest.raises(CheckpointError, match="position table has 32"):
        from_upstream(weights(), "aum", flags)
    half = replace(AUM, n_mels=64, n_frames=128)
    found = {"melbins": 64, "n_class": 5, "aum_type": "Bi-Bi"}
    assert from_upstream(weights(half), "aum", found).backbone.config.n_frames == 128


def test_what_is_no_vim_is_said() -> None:
    with pytest.raises(CheckpointError, match="no ImageNet Vim"):
        from_upstream(weights(), "vim", FLAGS)
    tensors = vim_weights()
    del tensors["pos_embed"]
    with pytest.raises(CheckpointError, match="no ImageNet Vim"):
        from_upstream(tensors, "vim", FLAGS | {"aum_pretrain": False})
