"""`aum-edge pretrain`: recipes, the run, and what it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import aum_edge
from aum_edge.checkpoints.initialise import initialise_from
from aum_edge.cli.main import main
from aum_edge.core.files import read_json
from aum_edge.errors import RecipeError
from aum_edge.models.architectures.audio_mamba import AudioMamba
from aum_edge.models.architectures.masked_patch import MaskedPatchModel
from aum_edge.pipeline.pretrain_recipe import PretrainRecipe
from aum_edge.pipeline.read_recipe import load_recipe_as
from aum_edge.pipeline.stages.pretrain import check
from tests.small_run import tones

RECIPES = Path(__file__).parents[3] / "recipes"
EVERY = sorted(RECIPES.glob("pretrain_*.yaml"))


@dataclass(frozen=True)
class Published:
    """One row of the sizes of SSAMBA."""

    parameters: int
    """With two stored scalars and the head of 1,000 classes that is never called."""
    d_model: int
    masked: int


SSAMBA = {
    "tiny": Published(7_288_298, 192, 400),
    "small": Published(26_224_106, 384, 300),
    "base": Published(99_042_794, 768, 250),
}


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_every_recipe_loads_and_its_masks_fit(path: Path) -> None:
    check(load_recipe_as(PretrainRecipe, path))


@pytest.mark.parametrize("size", SSAMBA)
def test_the_published_recipes_have_the_published_sizes(size: str) -> None:
    recipe = load_recipe_as(PretrainRecipe, RECIPES / f"pretrain_ssamba_{size}.yaml")
    with torch.device("meta"):
        network = MaskedPatchModel(recipe.network())
    published = SSAMBA[size]
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count + 1000 * (published.d_model + 1) + 2 == published.parameters
    assert network.encoder.grid == (8, 64)
    assert recipe.pretrain.masked_patches == published.masked
    assert (recipe.pretrain.masks, recipe.pretrain.passes) == ("published", "two")


def recipe_file(folder: Path, root: Path, more: str = "") -> Path:
    path = folder / "pre.yaml"
    path.write_text(
        f"""
name: tones
data: {{corpus: audio, root: {root}}}
frontend: {{sample_rate: 8000, n_fft: 256, win_length: 256, hop_length: 250, n_mels: 16}}
model: {{preset: aum-mini, overrides: {{d_model: 16, depth: 2, d_state: 4}}}}
pretrain: {{epochs: 2, batch_size: 12, lr: 5.0e-3}}
{more}"""
    )
    return path


def test_pretrain_leaves_an_encoder_to_start_from(tmp_path, capsys) -> None:
    root = tones(tmp_path / "audio", per_class=6)
    out = tmp_path / "run"
    arguments = ["pretrain", str(recipe_file(tmp_path, root)), "--out", str(out)]
    assert main(arguments) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[-1] == str(out / "pretrain" / "model")
    assert "accuracy" in shown[0]

    encoder = aum_edge.load(out / "pretrain" / "model")
    assert isinstance(encoder.backbone, MaskedPatchModel)
    assert encoder.labels == ()
    assert encoder.lineage[0]["step"] == "pretraining"
    assert encoder(encoder.example_input(2)).shape == (2, 16)
    recipe = load_recipe_as(PretrainRecipe, tmp_path / "pre.yaml")
    classifier = AudioMamba(recipe.model.config(3, recipe.frontend))
    notes = initialise_from(classifier, encoder.backbone)
    assert torch.equal(classifier.norm_f.weight, encoder.backbone.encoder.norm_f.weight)
    assert any("head starts fresh" in note for note in notes)


def test_a_finished_pretraining_is_kept_and_a_changed_one_made_anew(tmp_path) -> None:
    root = tones(tmp_path / "audio", per_class=6)
    path, out = recipe_file(tmp_path, root), tmp_path / "run"
    arguments = ["pretrain", str(path), "--out", str(out)]
    record = out / "pretrain" / "stage.json"
    assert main(arguments) == 0
    first = read_json(record)
    assert main(arguments) == 0
    assert read_json(record) == first
    assert main([*arguments, "--set", "pretrain.masked_patches=5"]) == 0
    assert read_json(record)["hash"] != first["hash"]
    assert read_json(out / "data" / "stage.json")["seconds"] >= 0


def test_pretraining_goes_on_from_an_encoder(tmp_path) -> None:
    root = tones(tmp_path / "audio", per_class=6)
    path, first, second = recipe_file(tmp_path, root), tmp_path / "first", tmp_path / "second"
    assert main(["pretrain", str(path), "--out", str(first)]) == 0
    init = first / "pretrain" / "model"
    # A learning rate of next to nothing shows what the second one started with.
    changes = ["--set", f"model.init={init}", "--set", "pretrain.lr=1.0e-12"]
    assert main(["pretrain", str(path), "--out", str(second), *changes]) == 0
    old, new = aum_edge.load(init), aum_edge.load(second / "pretrain" / "model")
    for name, tensor in old.backbone.state_dict().items():
        torch.testing.assert_close(new.backbone.state_dict()[name], tensor, atol=1e-6, rtol=1e-4)
    assert [step["step"] for step in new.lineage] == ["pretraining", "pretraining"]


def test_an_init_that_is_no_model_is_refused(tmp_path, capsys) -> None:
    path = recipe_file(tmp_path, tones(tmp_path / "audio", per_class=6))
    arguments = ["pretrain", str(path), "--out", str(tmp_path / "run")]
    assert main([*arguments, "--set", f"model.init={tmp_path / 'nowhere'}"]) == 1
    assert "nowhere is no model directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("pretrain.masked_patches=32", "`masked_patches` must be 2 to 31 of the 32 patches"),
        ("pretrain.epoch=3", "did you mean `epochs`"),
        ("model.preset=student-ssd", "Only an AuM has patches to hide"),
        ("model.overrides.stride=[2, 2]", "Masked patches must not overlap"),
        ("model.overrides.patch_size=[16, 99]", "does not fit"),
        ("teacher.train.epochs=3", "There is no key `teacher`"),
    ],
)
def test_a_wrong_recipe_gives_one_line_and_leaves_nothing(
    tmp_path, capsys, change: str, message: str
) -> None:
    path = recipe_file(tmp_path, tmp_path)
    assert main(["pretrain", str(path), "--out", str(tmp_path / "run"), "--set", change]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not (tmp_path / "run").exists()


def test_a_wrong_network_is_refused_in_python_too() -> None:
    recipe = load_recipe_as(PretrainRecipe, RECIPES / "pretrain_esc10.yaml", ["seed=1"])
    assert recipe.network().pooling == "mean"
    overlapping = ["model.overrides.stride=[16, 8]"]
    with pytest.raises(RecipeError, match="must not overlap"):
        load_recipe_as(PretrainRecipe, RECIPES / "pretrain_esc10.yaml", overlapping).network()
