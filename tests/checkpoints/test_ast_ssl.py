"""SSAST's and transformers' checkpoints give their own numbers, and every tensor is accounted for.

The SSAST layout is checked against a plain forward pass over the state dict, written here from
timm's arithmetic; transformers' against its own ASTForAudioClassification. Nothing is downloaded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from aum_edge.checkpoints import from_upstream
from aum_edge.checkpoints.hf_folder import read_folder
from aum_edge.cli.main import main
from aum_edge.errors import CheckpointError, RecipeError
from aum_edge.models.classifier import load

transformers = pytest.importorskip("transformers", reason="AST needs the transformers library")

WIDTH, DEPTH, HEADS, HIDDEN = 16, 2, 2, 40
MELS, FRAMES, PATCH = 32, 96, 16
X = torch.randn(2, 1, MELS, FRAMES, generator=torch.manual_seed(3))
FLAGS = {"num_heads": HEADS, "input_fdim": MELS, "input_tdim": FRAMES}


def ssast(patches: int, classes: int = 0, tokens: int = 2, patch=(PATCH, PATCH), seed: int = 0):
    """The state dict of an SSAST with random weights; with classes a fine-tuned one."""
    generator = torch.manual_seed(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "v.cls_token": (1, 1, WIDTH),
        "v.pos_embed": (1, tokens + patches, WIDTH),
        "v.patch_embed.proj.weight": (WIDTH, 1, *patch),
        "v.patch_embed.proj.bias": (WIDTH,),
        "v.head.weight": (1000, WIDTH),
        "v.head.bias": (1000,),
    }
    if tokens == 2:
        shapes |= {"v.dist_token": (1, 1, WIDTH), "v.head_dist.weight": (1000, WIDTH)}
    layers = {"attn.qkv": (3 * WIDTH, WIDTH), "attn.proj": (WIDTH, WIDTH)}
    layers |= {"mlp.fc1": (HIDDEN, WIDTH), "mlp.fc2": (WIDTH, HIDDEN)}
    linears = {f"v.blocks.{i}.{name}": s for i in range(DEPTH) for name, s in layers.items()}
    norms = ["v.norm", *(f"v.blocks.{i}.norm{n}" for i in range(DEPTH) for n in (1, 2))]
    if classes:
        linears["mlp_head.1"] = (classes, WIDTH)
        norms.append("mlp_head.0")
    else:
        shapes |= {"mask_embed": (1, 1, WIDTH), "cpredlayer.0.weight": (WIDTH, WIDTH)}
        shapes |= {"gpredlayer.2.bias": (256,)}
    for name, shape in linears.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}
    tensors = {n: 0.3 * torch.randn(s, generator=generator) for n, s in shapes.items()}
    if not classes:
        tensors |= {"p_input_fdim": torch.tensor(MELS), "p_input_tdim": torch.tensor(FRAMES)}
    return {f"module.{name}": tensor for name, tensor in tensors.items()}


def plain_forward(tensors: dict[str, Tensor], x: Tensor, stride, average: bool) -> Tensor:
    """Pre-norm blocks of timm 0.4.5 on the named tensors themselves, in float64."""
    w = {name.removeprefix("module."): t.double() for name, t in tensors.items()}

    def linear(name: str, rows: Tensor) -> Tensor:
        return rows @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(name: str, rows: Tensor, eps: float = 1e-6) -> Tensor:
        centred = rows - rows.mean(-1, keepdim=True)
        spread = (centred.square().mean(-1, keepdim=True) + eps).sqrt()
        return centred / spread * w[f"{name}.weight"] + w[f"{name}.bias"]

    kernel, bias = w["v.patch_embed.proj.weight"], w["v.patch_embed.proj.bias"]
    patches = F.conv2d(x.double(), kernel, bias, stride).flatten(2).transpose(1, 2)
    tokens = [w[name] for name in ("v.cls_token", "v.dist_token") if name in w]
    special = [token.expand(len(x), 1, WIDTH) for token in tokens]
    h = torch.cat([*special, patches], dim=1) + w["v.pos_embed"]
    for i in range(DEPTH):
        name = f"v.blocks.{i}"
        qkv = linear(f"{name}.attn.qkv", norm(f"{name}.norm1", h))
        q, k, v = qkv.reshape(len(x), h.shape[1], 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) * (WIDTH // HEADS) ** -0.5).softmax(-1)
        h = h + linear(f"{name}.attn.proj", (weights @ v).transpose(1, 2).flatten(2))
        hidden = linear(f"{name}.mlp.fc1", norm(f"{name}.norm2", h))
        hidden = 0.5 * hidden * (1 + torch.erf(hidden / 2**0.5))
        h = h + linear(f"{name}.mlp.fc2", hidden)
    h = norm("v.norm", h)
    n = len(tokens)
    pooled = h[:, n:].mean(1) if average else h[:, :n].mean(1)
    return (
        linear("mlp_head.1", norm("mlp_head.0", pooled, 1e-5)) if "mlp_head.1.bias" in w else pooled
    )


@pytest.mark.parametrize("tokens", [1, 2])
@pytest.mark.parametrize("task", ["ft_avgtok", "ft_cls"])
def test_a_pretraining_checkpoint_becomes_an_encoder(task: str, tokens: int) -> None:
    tensors = ssast(12, tokens=tokens)
    model = from_upstream(tensors, "ast-ssl", {"num_heads": HEADS, "task": task})
    assert model.labels == ()
    config = model.backbone.config
    assert (config.n_mels, config.n_frames, config.stride) == (MELS, FRAMES, None)
    wanted = plain_forward(tensors, X, (PATCH, PATCH), task == "ft_avgtok")
    torch.testing.assert_close(model.backbone(X).double(), wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model.double().backbone(X.double()), wanted, atol=1e-9, rtol=0)
    notes = str(model.lineage[-1]["notes"])
    for word in ("v.head.weight", "mask_embed", "cpredlayer.0.weight", "gpredlayer.2.bias"):
        assert word in notes


@pytest.mark.parametrize("stride", [(16, 16), (10, 10)])
@pytest.mark.parametrize("task", ["ft_avgtok", "ft_cls"])
def test_a_fine_tuned_checkpoint_keeps_its_head(task: str, stride: tuple[int, int]) -> None:
    tensors = ssast(12 if stride == (16, 16) else 18, classes=5)
    flags = FLAGS | {"task": task, "label_dim": 5, "model_size": "base384", "lr": 1e-4}
    flags |= {"fstride": stride[0], "tstride": stride[1], "fshape": 16, "tshape": 16}
    model = from_upstream(tensors, "ast-ssl", flags)
    wanted = plain_forward(tensors, X, stride, task == "ft_avgtok")
    torch.testing.assert_close(model.backbone(X).double(), wanted, atol=1e-5, rtol=1e-5)
    assert len(model.labels) == 5


def test_the_overlap_of_published_models_is_found_without_a_flag() -> None:
    model = from_upstream(ssast(18, classes=5), "ast-ssl", FLAGS)
    assert model.backbone.config.stride == (10, 10)
    assert any("96 frames at stride (10, 10)" in note for note in model.lineage[-1]["notes"])


def test_frames_as_patches() -> None:
    tensors = ssast(48, patch=(MELS, 2))
    model = from_upstream(tensors, "ast-ssl", {"num_heads": HEADS})
    wanted = plain_forward(tensors, X, (MELS, 2), True)
    torch.testing.assert_close(model.backbone(X).double(), wanted, atol=1e-5, rtol=1e-5)


def test_another_length_stride_and_class_count_follow_ssast() -> None:
    tensors = ssast(12)
    flags = {"num_heads": HEADS, "label_dim": 4, "fstride": 16, "tstride": 16, "input_tdim": 64}
    model = from_upstream(tensors, "ast-ssl", flags)
    table = tensors["module.v.pos_embed"]
    grid = table[:, 2:].unflatten(1, (2, 6))[:, :, 1:5].flatten(1, 2)
    torch.testing.assert_close(
        model.backbone.pos_embed.pos_embed.detach(), torch.cat([table[:, :2], grid], 1)
    )
    notes = str(model.lineage[-1]["notes"])
    assert "2 x 6 to 2 x 4" in notes
    assert "head starts fresh" in notes
    longer = from_upstream(tensors, "ast-ssl", flags | {"input_tdim": 128, "tstride": 10})
    rows = table[:, 2:].unflatten(1, (2, 6)).permute(0, 3, 1, 2)
    rows = F.interpolate(rows, (2, 12), mode="bilinear").flatten(2).transpose(1, 2)
    torch.testing.assert_close(longer.backbone.pos_embed.pos_embed[:, 2:].detach(), rows)


def hugging_face(**values: Any):
    torch.manual_seed(1)
    config = transformers.ASTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        intermediate_size=HIDDEN,
        num_mel_bins=MELS,
        max_length=FRAMES,
        **({"num_labels": 3} | values),
    )
    model = transformers.ASTForAudioClassification(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


HF_FLAGS = {"num_attention_heads": HEADS, "num_mel_bins": MELS, "max_length": FRAMES}


@pytest.mark.parametrize(
    "values",
    [{}, {"frequency_stride": 4, "time_stride": 16}, {"qkv_bias": False, "layer_norm_eps": 0.1}],
    ids=str,
)
def test_a_transformers_folder_gives_its_logits(tmp_path: Path, values: dict[str, Any]) -> None:
    theirs = hugging_face(**values)
    theirs.config.id2label = {0: "rain", 1: "wind", 2: "sea"}
    theirs.save_pretrained(tmp_path / "hf")
    front = {"mean": -5.0, "std": 3.0, "sampling_rate": 16000, "num_mel_bins": MELS}
    (tmp_path / "hf" / "preprocessor_config.json").write_text(json.dumps(front))
    out = tmp_path / "ours"
    assert main(["convert", str(tmp_path / "hf"), str(out), "--kind", "ast-ssl"]) == 0
    ours = load(out)
    assert ours.labels == ("rain", "wind", "sea")
    assert (ours.normalization.mean, ours.normalization.scale) == (-5.0, 6.0)
    wanted = theirs(X[:, 0].transpose(1, 2)).logits
    torch.testing.assert_close(ours.backbone(X), wanted, atol=1e-5, rtol=1e-5)
    wanted = theirs.double()(X[:, 0].transpose(1, 2).double()).logits
    torch.testing.assert_close(ours.double().backbone(X.double()), wanted, atol=1e-9, rtol=0)


def test_names_in_memory_and_pytorch_bin_are_read_too(tmp_path: Path) -> None:
    theirs = hugging_face()
    state = theirs.state_dict()
    torch.save(state, tmp_path / "pytorch_model.bin")
    theirs.config.save_pretrained(tmp_path)
    tensors, flags = read_folder(tmp_path)
    ours = from_upstream(tensors, "ast-ssl", flags)
    wanted = theirs(X[:, 0].transpose(1, 2)).logits
    torch.testing.assert_close(ours.backbone(X), wanted, atol=1e-5, rtol=1e-5)


def test_an_encoder_alone_and_one_inside_another_module_are_found() -> None:
    theirs = hugging_face()
    inner = theirs.audio_spectrogram_transformer
    wanted = inner(X[:, 0].transpose(1, 2)).pooler_output
    alone = from_upstream(inner.state_dict(), "ast-ssl", HF_FLAGS)
    torch.testing.assert_close(alone.backbone(X), wanted, atol=1e-5, rtol=1e-5)
    wrapped = {f"model.encoder.{name}": t for name, t in inner.state_dict().items()}
    wrapped |= {"model.classifier.weight": torch.randn(4, WIDTH)}
    wrapped |= {"model.classifier.bias": torch.randn(4)}
    model = from_upstream(wrapped, "ast-ssl", HF_FLAGS | {"task": "ft_cls"})
    logits = F.linear(wanted, wrapped["model.classifier.weight"], wrapped["model.classifier.bias"])
    torch.testing.assert_close(model.backbone(X), logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "flags", "words"),
    [
        (lambda t: t.pop("module.v.norm.bias"), {}, "lacks layernorm.bias"),
        (lambda t: t.pop("module.v.cls_token"), {}, "lacks v.cls_token"),
        (lambda t: t.pop("module.v.pos_embed"), {}, "lacks pos_embed"),
        (lambda t: t.pop("module.p_input_tdim"), {}, "lacks p_input_tdim"),
        (lambda t: t.update({"module.v.extra": torch.ones(1)}), {}, "unexpected v.extra"),
        (
            lambda t: t.update({"module.v.blocks.1.attn.qkv.weight": torch.ones(47, WIDTH)}),
            {},
            "47 rows, not three equal parts",
        ),
        (
            lambda t: t.update({"module.v.blocks.1.norm1.bias": torch.ones(3)}),
            {},
            r"layers.1.layernorm_before.bias is \(3,\) instead of \(16,\)",
        ),
        (
            lambda t: t.update({"module.v.patch_embed.proj.weight": torch.ones(16, 3, 16, 16)}),
            {},
            "another model: its patch kernel",
        ),
        (lambda t: None, {"fshape": 8}, "flags say patch_size"),
        (lambda t: None, {"num_hidden_layers": 12}, "flags say depth 12"),
    ],
)
def test_checkpoints_of_other_models(change: Any, flags: dict[str, Any], words: str) -> None:
    tensors = ssast(12)
    change(tensors)
    with pytest.raises(CheckpointError, match=words):
        from_upstream(tensors, "ast-ssl", {"num_heads": HEADS} | flags)


def test_a_position_table_that_fits_no_size_is_named() -> None:
    with pytest.raises(CheckpointError, match="positions for 11 patches"):
        from_upstream(ssast(11, classes=5), "ast-ssl", FLAGS)
    with pytest.raises(CheckpointError, match="num_mel_bins, max_length"):
        from_upstream(hugging_face().state_dict(), "ast-ssl", HF_FLAGS | {"max_length": 200})


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"task": "ft_mean"}, "ft_avgtok or ft_cls"),
        ({"hidden_act": "relu"}, "`hidden_act` = 'relu'"),
        ({"n_clas": 3}, "did you mean `n_class`"),
    ],
)
def test_wrong_flags_are_refused(flags: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        from_upstream(ssast(12), "ast-ssl", {"num_heads": HEADS} | flags)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda f: None, "There is no .*config.json"),
        (lambda f: (f / "config.json").write_text("{"), "damaged"),
        (lambda f: (f / "config.json").write_text('{"model_type": "vit"}'), "type 'vit'"),
        (
            lambda f: (f / "config.json").write_text(
                '{"model_type": "audio-spectrogram-transformer"}'
            ),
            "no weights",
        ),
    ],
)
def test_wrong_folders_are_refused(tmp_path: Path, write: Any, words: str) -> None:
    write(tmp_path)
    with pytest.raises(CheckpointError, match=words):
        read_folder(tmp_path)
