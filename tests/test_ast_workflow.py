"""recipes/ast_ssl.yaml on generated tones, from a checkpoint to a student, all made locally."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from aum_edge.cli.main import main
from aum_edge.core.files import read_json
from aum_edge.models.classifier import load
from tests.checkpoints.test_ast_ssl import HEADS, WIDTH, ssast
from tests.small_run import SIZES, tones

pytest.importorskip("transformers", reason="AST needs the transformers library")

RECIPE = Path(__file__).parent.parent / "recipes" / "ast_ssl.yaml"
MELS = 32
SMALL = [
    "teacher.train.epochs=6",
    "teacher.train.batch_size=12",
    "teacher.train.lr=5.0e-3",
    "teacher.train.augment.freq_mask=4",
    f"frontend.n_mels={MELS}",
]
AST = f"d_model: {WIDTH}, n_heads: {HEADS}, depth: 2"


def settings(*pairs: str) -> list[str]:
    return [part for pair in pairs for part in ("--set", pair)]


def test_an_encoder_is_fine_tuned_in_its_last_block(tmp_path: Path) -> None:
    root = tones(tmp_path / "tones")
    checkpoint = tmp_path / "ssast.pth"
    torch.save(ssast(12), checkpoint)
    encoder = tmp_path / "encoder"
    flags = ["--flag", f"num_heads={HEADS}"]
    assert main(["convert", str(checkpoint), str(encoder), "--kind", "ast-ssl", *flags]) == 0
    run = tmp_path / "run"
    overrides = f"{{{AST}, d_hidden: 40, stride: null, pooling: mean, head: linear}}"
    changes = settings(
        *SMALL,
        f"data.root={root}",
        f"teacher.model.init={encoder}",
        f"teacher.model.overrides={overrides}",
        "teacher.train.freeze.last_blocks=1",
    )
    assert main(["train", str(RECIPE), "--out", str(run), *changes]) == 0
    before, after = load(encoder).backbone, load(run / "teacher" / "model").backbone
    assert after.config.n_frames == 128
    old, new = before.layers.state_dict(), after.layers.state_dict()
    moved = {name.split(".")[0] for name in old if not torch.equal(old[name], new[name])}
    assert moved == {"1"}
    assert torch.equal(before.patch_embed.proj.weight, after.patch_embed.proj.weight)
    result = read_json(run / "teacher" / "stage.json")["result"]
    history = result["history"]
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert {"precision", "recall", "f1"} <= set(result["test"])


def test_an_ast_teaches_a_student(tmp_path: Path) -> None:
    root = tones(tmp_path / "tones", per_class=6)
    run = tmp_path / "run"
    overrides = f"{{{AST}, patch_size: [8, 16], stride: [8, 16]}}"
    changes = settings(
        *SMALL,
        f"data.root={root}",
        "teacher.model.preset=ast-mini",
        "teacher.model.init=",
        f"teacher.model.overrides={overrides}",
        "teacher.train.epochs=2",
        "teacher.train.freeze={trains: all}",
        f"student.model.overrides={SIZES}",
        "student.train.epochs=2",
        "student.train.augment.freq_mask=4",
    )
    assert main(["distill", str(RECIPE), "--out", str(run), *changes]) == 0
    assert type(load(run / "teacher" / "model").backbone).__name__ == "AudioSpectrogramTransformer"
    student = load(run / "distill" / "model")
    assert sum(p.numel() for p in student.parameters()) < 10_000
    # The teacher answers each split once: it teaches on one and is scored on the others.
    assert len(list((tmp_path / "cache").glob("logits-*.safetensors"))) == 3
