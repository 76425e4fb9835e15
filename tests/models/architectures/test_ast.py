"""AST: shapes, fields, storage, other lengths, freezing, a missing library."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from importlib.util import find_spec
from typing import Any

import pytest
import torch

from aum_edge.checkpoints.initialise import initialise_from
from aum_edge.errors import AudioError, AumEdgeError, CheckpointError, RecipeError
from aum_edge.models.classifier import load
from aum_edge.models.config import AstConfig
from aum_edge.models.fold import fold_batch_norm
from aum_edge.models.presets import preset
from aum_edge.models.registry import architecture_of, build
from aum_edge.models.storage.directory import save
from aum_edge.training.config import FreezeConfig
from aum_edge.training.optim.freezing import apply_freeze, count_trained
from tests.models.conftest import trained_classifier
from tests.models.test_fields import behaviour

needs_transformers = pytest.mark.skipif(
    find_spec("transformers") is None, reason="AST needs the transformers library"
)
AST = AstConfig(
    n_classes=3, n_mels=16, n_frames=12, patch_size=(8, 4), d_model=16, depth=3, n_heads=2
)
CHANGES: dict[str, Any] = {
    "n_classes": 4,
    "n_mels": 24,
    "n_frames": 16,
    "patch_size": (4, 4),
    "stride": (4, 2),
    "d_model": 32,
    "depth": 2,
    "n_heads": 4,
    "d_hidden": 24,
    "class_tokens": 1,
    "pooling": "mean",
    "head": "norm-linear",
    "norm_eps": 1e-2,
    "head_norm_eps": 1e-1,
    "qkv_bias": False,
    "dropout": 0.5,
    "attention_dropout": 0.5,
}


@needs_transformers
@pytest.mark.parametrize("name", [field.name for field in fields(AstConfig)])
def test_every_field_changes_the_network(name: str) -> None:
    base = replace(AST, head="norm-linear") if name == "head_norm_eps" else AST
    old_shapes, old = behaviour(base)
    new_shapes, new = behaviour(replace(base, **{name: CHANGES[name]}))
    alike = all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(old, new, strict=True))
    assert old_shapes != new_shapes or not alike


@needs_transformers
def test_a_model_directory_gives_the_same_logits(tmp_path) -> None:
    model = trained_classifier(replace(AST, stride=(4, 2)))
    save(model, tmp_path / "m")
    twin = load(tmp_path / "m")
    x = torch.randn(2, 1, 16, 12)
    assert torch.equal(twin(x), model(x))
    assert twin.backbone.config == model.backbone.config
    assert architecture_of(twin.backbone.config) == "ast"
    assert torch.equal(fold_batch_norm(model)(x), model(x))


@needs_transformers
def test_an_encoder_gives_what_its_head_would_see() -> None:
    encoder = build(replace(AST, n_classes=0)).eval()
    assert not hasattr(encoder, "head")
    assert encoder(torch.randn(2, 1, 16, 12)).shape == (2, 16)


@needs_transformers
def test_other_lengths_have_their_positions_resized() -> None:
    network = build(AST).eval()
    longer = torch.randn(2, 1, 16, 28)
    target = build(replace(AST, n_frames=28)).eval()
    notes = initialise_from(target, network)
    assert "resized from 2 x 3 to 2 x 7" in str(notes)
    torch.testing.assert_close(network(longer), target(longer))
    with pytest.raises(AudioError, match="does not fit"):
        network(torch.zeros(1, 1, 16, 3))


@needs_transformers
def test_starting_from_another_width_is_refused() -> None:
    with pytest.raises(CheckpointError, match="cls_tokens is"):
        initialise_from(build(replace(AST, d_model=32)), build(AST))


@needs_transformers
def test_the_last_blocks_the_norm_and_the_head_can_be_trained_alone() -> None:
    network = build(AST)
    apply_freeze(network, FreezeConfig(trains="last-blocks", last_blocks=1))
    learning = {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad}
    assert learning == {"layers", "layernorm", "head"}
    block = sum(p.numel() for p in network.layers[2].parameters())
    assert count_trained(network)[0] == block + 2 * 16 + 16 * 3 + 3


@needs_transformers
def test_gradients_reach_every_weight() -> None:
    network = build(replace(AST, head="norm-linear"))
    network(torch.randn(2, 1, 16, 12)).square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == []


def test_a_missing_library_is_one_clear_line(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(AumEdgeError, match=r"pip install 'aum-edge\[ast\]'"):
        build(AST)


@needs_transformers
def test_the_published_size() -> None:
    """AST for AudioSet: 86.6 M in its paper's repository and on the hub."""
    sizes = {"n_classes": 527, "n_mels": 128, "n_frames": 1024}
    with torch.device("meta"):
        network = build(preset("ast-base", **sizes, head="norm-linear"))
    assert sum(p.numel() for p in network.parameters()) == 86_594_063


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_heads": 3}, "must divide into `n_heads` 3"),
        ({"class_tokens": 3}, "`class_tokens` must be 1 or 2, got 3"),
        ({"pooling": "max"}, "one of class, mean"),
        ({"patch_size": (32, 4)}, "does not fit"),
        ({"dropout": 1.0}, "`dropout`"),
        ({"d_hidden": 0}, "`d_hidden`"),
        ({"norm_eps": 0.0}, "`norm_eps`"),
        ({"n_classes": -1}, "`n_classes`"),
    ],
)
def test_wrong_configs_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        replace(AST, **change)
