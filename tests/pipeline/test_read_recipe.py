from __future__ import annotations

from pathlib import Path

import pytest

from aum_edge.data.corpora.esc import EscConfig
from aum_edge.errors import RecipeError
from aum_edge.pipeline.read_recipe import load_recipe

FOLDER = Path(__file__).parents[2] / "recipes"
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


def test_set_changes_one_place_and_not_its_aliases(tmp_path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        "name: x\nteacher: {train: &train {epochs: 7, augment: &augment {freq_mask: 8}}}\n"
        "student: {train: *train}\ncontrol: {train: {augment: *augment}}\n"
    )
    changes = ["student.train.epochs=3", "student.train.augment.freq_mask=4"]
    recipe = load_recipe(path, changes)
    assert recipe.control is not None
    assert (recipe.student.train.epochs, recipe.teacher.train.epochs) == (3, 7)
    made = (recipe.student, recipe.teacher, recipe.control)
    assert [one.train.augment.freq_mask for one in made] == [4, 8, 8]


def test_set_wins_over_the_file(tmp_path) -> None:
    text = "name: a\nseed: 1\ndata: {corpus: esc}\nteacher: {train: {lr: 1e-3}}\n"
    path = recipe(tmp_path, text)
    loaded = load_recipe(path, ["seed=7", "student.train.epochs=3", "data.esc.test_folds=[4]"])
    assert (loaded.seed, loaded.student.train.epochs) == (7, 3)
    assert loaded.data.settings == EscConfig(test_folds=(4,))
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
        (
            "name: a\ndata: {corpus: mars}\n",
            [],
            "must be one of audio, esc, folder, fsdd, manifest",
        ),
        ("name: a\ndata: {corpus: [esc]}\n", [], "r.yaml: Data `corpus` must be one of audio, esc"),
        (
            "name: a\ndata: {corpus: esc, esc: }\n",
            [],
            "`data.esc` holds settings of its own, got N",
        ),
        ("name: a\ndata: {corpus: esc, esc: {test_fold: [1]}}\n", [], "did you mean `test_folds`"),
        ("name: a\ndata: {corpus: esc, esc: {test_folds: [x]}}\n", [], "`data.esc.test_folds`"),
        ("name: a\ndata: {corpus: esc, esc: {segment_seconds: 0}}\n", [], "r.yaml: `segment_sec"),
        ("name: a\ndata: {corpus: esc, esc: 3}\n", [], "`data.esc` holds settings of its own"),
        ("name: a\ndata: {corpus: esc, settings: {a: 1}}\n", [], "holds settings of its own"),
        ("name: a\ndata: {corpus: esc, fsdd: {test_speakers: [x]}}\n", [], "of another corpus"),
        ("name: a\ndata: {corpus: esc, test_speakers: [x]}\n", [], "setting of the corpus `fsdd`"),
        ("name: a\ndata: {corpus: esc}\n", ["data.corpus=mars"], "mars"),
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


def test_unknown_limits_are_refused_when_the_recipe_is_read(tmp_path) -> None:
    (tmp_path / "r.yaml").write_text("name: x\n")
    with pytest.raises(
        RecipeError, match=r"r\.yaml: There are no limits `dcase1999`: give dcase2021"
    ):
        load_recipe(tmp_path / "r.yaml", ["limits=dcase1999"])


def test_a_missing_recipe_is_named(tmp_path) -> None:
    with pytest.raises(RecipeError, match=r"nothing\.yaml"):
        load_recipe(tmp_path / "nothing.yaml")


def test_an_override_that_the_preset_lacks_is_named(tmp_path) -> None:
    text = "name: a\nstudent: {model: {preset: cp-mobile, overrides: {d_state: 3}}}\n"
    with pytest.raises(RecipeError, match="d_state"):
        load_recipe(recipe(tmp_path, text))
