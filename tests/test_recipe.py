from __future__ import annotations

from pathlib import Path

import pytest

from aum_edge.errors import RecipeError
from aum_edge.recipe import load_recipe

FOLDER = Path(__file__).parent.parent / "recipes"
OTHERS = {*FOLDER.glob("pretrain_*.yaml"), *FOLDER.glob("search_*.yaml")}
RECIPES = sorted(set(FOLDER.glob("*.yaml")) - OTHERS)
"""Those of runs; test_pretraining.py loads the others."""


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_loads_and_its_models_can_be_described(path: Path) -> None:
    recipe = load_recipe(path)
    for choice in (recipe.teacher.model, recipe.student.model, recipe.control.model):
        assert choice.config(10, recipe.frontend).n_mels == recipe.frontend.n_mels


def recipe(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    return path


def test_set_wins_over_the_file(tmp_path) -> None:
    path = recipe(tmp_path, "name: a\nseed: 1\nteacher: {train: {lr: 1e-3}}\n")
    loaded = load_recipe(path, ["seed=7", "student.train.epochs=3", "data.test_folds=[4]"])
    assert (loaded.seed, loaded.student.train.epochs, loaded.data.test_folds) == (7, 3, (4,))
    assert loaded.teacher.train.lr == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("name: a\nsed: 1\n", [], "sed"),
        ("name: a\nteacher: {trian: {}}\n", [], "trian"),
        ("name: a\nteacher: {train: {epoch: 3}}\n", [], "did you mean `epochs`"),
        ("name: a\nteacher: 3\n", [], "settings of its own"),
        ("name: a\nseed: many\n", [], "seed"),
        ("name: a\nteacher: {train: {epochs: 0}}\n", [], "epochs"),
        ("name: a\nfrontend: {n_mels: 0}\n", [], "n_mels"),
        ("name: a\ndata: {corpus: mars}\n", [], "mars"),
        ("name: a\ndata: {normalization: {men: 1}}\n", [], "`data.normalization.men`; did you"),
        ("name: a\ndata: {normalization: none}\n", [], "holds settings of its own or is null"),
        ("name: a\ndata: {normalization: {std: 0}}\n", [], "r.yaml: Normalisation needs a spread"),
        ("name: a\ndata: {normalization: {std: x}}\n", [], "std"),
        ("seed: 1\n", [], "name"),
        ("name: a/b\n", [], "name"),
        ("- 1\n- 2\n", [], "key: value"),
        ("name: [\n", [], "not YAML"),
        ("name: a\n", ["seed"], "key=value"),
        ("name: a\n", ["seed.x.y=1"], "seed"),
    ],
)
def test_a_wrong_recipe_gives_one_line_that_names_the_key(
    tmp_path, text: str, overrides: list[str], message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe(tmp_path, text), overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_missing_recipe_is_named(tmp_path) -> None:
    with pytest.raises(RecipeError, match=r"nothing\.yaml"):
        load_recipe(tmp_path / "nothing.yaml")


def test_an_override_that_the_preset_lacks_is_named(tmp_path) -> None:
    text = "name: a\nstudent: {model: {preset: cp-mobile, overrides: {d_state: 3}}}\n"
    with pytest.raises(RecipeError, match="d_state"):
        load_recipe(recipe(tmp_path, text))
