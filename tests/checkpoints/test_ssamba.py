"""SSAMBA: pretraining goes on, fine-tuning starts, fine-tuned models load."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from aum_edge.checkpoints import from_upstream
from aum_edge.checkpoints.initialise import initialise_from
from aum_edge.errors import CheckpointError, RecipeError
from aum_edge.models.architectures.audio_mamba import AudioMamba
from aum_edge.models.architectures.masked_patch import MaskedPatchModel, masked_patch_config
from aum_edge.models.classifier import load
from aum_edge.models.config import AudioMambaConfig
from aum_edge.models.storage.directory import save

ENCODER = AudioMambaConfig(
    n_classes=0,
    n_mels=64,
    n_frames=96,
    d_model=16,
    depth=2,
    direction="bi-bi",
    class_token="first",
    norm="layer",
    layer_pairs=True,
    final_norms=2,
    drop_path=0.1,
)
X = torch.randn(2, 1, 64, 96, generator=torch.manual_seed(3))


def pretrained() -> MaskedPatchModel:
    torch.manual_seed(0)
    return MaskedPatchModel(masked_patch_config(ENCODER)).eval()


def upstream(model: MaskedPatchModel) -> dict[str, Tensor]:
    """The model as SSAMBA saves it."""
    tensors = {}
    for name, tensor in model.state_dict().items():
        name = name.replace("encoder.pos_embed.pos_embed", "v.pos_embed")
        tensors[f"module.{name.replace('encoder.', 'v.', 1)}"] = tensor.clone()
    tensors["module.v.head.weight"] = torch.zeros(1000, 16)
    tensors["module.v.head.bias"] = torch.zeros(1000)
    sizes = {"module.p_input_fdim": torch.tensor(64), "module.p_input_tdim": torch.tensor(96)}
    return tensors | sizes


def test_a_pretraining_checkpoint_stays_one(tmp_path: Path) -> None:
    model = from_upstream(upstream(pretrained()), "ssamba", {"task": "pretrain_joint"})
    assert isinstance(model.backbone, MaskedPatchModel)
    assert model.labels == ()
    assert any("never uses" in note for note in model.lineage[-1]["notes"])
    torch.testing.assert_close(model.backbone(X), pretrained()(X))
    save(model, tmp_path / "m")
    torch.testing.assert_close(load(tmp_path / "m").backbone(X), pretrained()(X))


@pytest.mark.parametrize(("task", "pooling"), [("ft_avgtok", "mean"), ("ft_cls", "class")])
def test_fine_tuning_starts_with_a_fresh_head(task: str, pooling: str) -> None:
    flags = {
        "label_dim": "7",
        "task": task,
        "fstride": "10",
        "tstride": "10",
        "fshape": "16",
        "tshape": "16",
        "input_fdim": "64",
        "input_tdim": "160",
        "rms_norm": "false",
        "if_bidirectional": "true",
        "if_devide_out": "true",
        "embed_dim": "16",
        "lr": "1e-4",
        "num_classes": "1000",
    }
    model = from_upstream(upstream(pretrained()), "ssamba", flags)
    config = model.backbone.config
    assert (config.pooling, config.head, config.n_classes) == (pooling, "norm-linear", 7)
    assert (config.stride, config.n_frames, config.final_norms) == ((10, 10), 160, 2)
    assert "rule of ssamba" in str(model.lineage[-1]["notes"])
    assert model.normalization.std_factor == 2.0


def test_a_fine_tuned_model_loads_with_its_head() -> None:
    torch.manual_seed(1)
    config = replace(ENCODER, n_classes=5, head="norm-linear", pooling="mean")
    network = AudioMamba(config).eval()
    tensors = {}
    for name, tensor in network.state_dict().items():
        head = name.startswith("head.")
        name = name.replace("pos_embed.pos_embed", "pos_embed").replace("head.", "mlp_head.")
        tensors["module." + (name if head else f"v.{name}")] = tensor
    flags = {"input_fdim": 64, "input_tdim": 96, "task": "ft_avgtok"}
    model = from_upstream(tensors, "ssamba", flags)
    torch.testing.assert_close(model.backbone(X), network(X))


def test_pretraining_goes_on_at_another_length() -> None:
    model = from_upstream(upstream(pretrained()), "ssamba", {"input_tdim": 128})
    assert model.backbone.config.n_frames == 128
    torch.testing.assert_close(
        model.backbone.cpredlayer[2].weight, pretrained().cpredlayer[2].weight
    )
    with pytest.raises(RecipeError, match="keeps its patches"):
        from_upstream(upstream(pretrained()), "ssamba", {"fshape": 8})


def test_an_encoder_starts_a_classifier_of_another_stride() -> None:
    target = AudioMamba(replace(ENCODER, n_classes=3, stride=(8, 8)))
    notes = initialise_from(target, pretrained(), "ssamba")
    assert any("has none" in note for note in notes)
    inner = pretrained().encoder.layers[0].mixer.in_proj.weight
    torch.testing.assert_close(target.layers[0].mixer.in_proj.weight, inner)


@pytest.mark.parametrize(
    ("change", "flags", "words"),
    [
        (lambda t: t.pop("module.p_input_tdim"), {}, "lacks p_input_fdim or p_input_tdim"),
        (lambda t: t.pop("module.mask_embed"), {}, "neither mask_embed"),
        (lambda t: t.pop("module.cpredlayer.0.bias"), {}, "lacks cpredlayer.0.bias"),
        (lambda t: t.update({"module.v.extra": torch.ones(1)}), {}, "unexpected encoder.extra"),
        (lambda t: None, {"depth": 24}, "flags say depth 24"),
        (lambda t: None, {"rms_norm": "true"}, "flags say norm 'rms'"),
    ],
)
def test_checkpoints_of_other_models(change: Any, flags: dict[str, Any], words: str) -> None:
    tensors = upstream(pretrained())
    change(tensors)
    with pytest.raises(CheckpointError, match=words):
        from_upstream(tensors, "ssamba", flags)


def test_tasks_that_are_not_supported_are_named() -> None:
    with pytest.raises(RecipeError, match="ft_avgtok, ft_cls"):
        from_upstream(upstream(pretrained()), "ssamba", {"label_dim": 3, "task": "ft_avgtok_1sec"})


def fine_tuned_weights() -> dict[str, Tensor]:
    torch.manual_seed(1)
    network = AudioMamba(replace(ENCODER, n_classes=5, head="norm-linear", pooling="mean"))
    tensors = {}
    for name, tensor in network.state_dict().items():
        head = name.startswith("head.")
        name = name.replace("pos_embed.pos_embed", "pos_embed").replace("head.", "mlp_head.")
        tensors["module." + (name if head else f"v.{name}")] = tensor
    return tensors


def test_a_fine_tuned_model_starts_another() -> None:
    flags = {"input_fdim": 64, "input_tdim": 160, "label_dim": 3}
    stated = flags | {"checkpoint_spectrogram_size": [64, 96]}
    model = from_upstream(fine_tuned_weights(), "ssamba", stated)
    notes = str(model.lineage[-1]["notes"])
    assert "from 4 x 6 to 4 x 10" in notes
    assert "another number of classes" in notes
    kept = from_upstream(fine_tuned_weights(), "ssamba", {"input_fdim": 64, "input_tdim": 96})
    assert len(kept.labels) == 5


def test_tasks_without_classes_are_refused() -> None:
    with pytest.raises(RecipeError, match="needs the flag `label_dim`"):
        from_upstream(upstream(pretrained()), "ssamba", {"task": "ft_cls"})
    with pytest.raises(RecipeError, match="`task` must be one of"):
        from_upstream(upstream(pretrained()), "ssamba", {"task": "banana"})
