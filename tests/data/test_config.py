"""Settings of the data: corpora register, and the flat form is read as before."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from aum_edge.audio.wav import write_wav
from aum_edge.data.config import DataConfig
from aum_edge.data.corpora import registry
from aum_edge.data.corpora.esc import EscConfig
from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.corpora.registry import CorpusConfig, CorpusSource, register
from aum_edge.data.corpora.synthetic.generate import SyntheticConfig
from aum_edge.data.datamodule import AudioData
from aum_edge.data.manifest import Clip, Manifest, make_manifest
from aum_edge.errors import RecipeError
from aum_edge.pipeline.read_recipe import load_recipe
from aum_edge.pipeline.recipe import Recipe, plain
from aum_edge.pipeline.stages.registry import stages_of


def digest(values: object) -> str:
    return hashlib.sha256(json.dumps(plain(values), sort_keys=True).encode()).hexdigest()[:16]


def data_hash(recipe: Recipe) -> str:
    return digest(stages_of("run")[0].settings(recipe))


def read(tmp_path: Path, data: str, *overrides: str) -> Recipe:
    (tmp_path / "r.yaml").write_text(f"name: a\ndata: {data}\n")
    return load_recipe(tmp_path / "r.yaml", overrides)


ESC = (
    "{corpus: esc, root: DIR, esc: {test_folds: [4], val_folds: [1], silent_segments: keep}}",
    "{corpus: esc, root: DIR, test_folds: [4], val_folds: [1], silent_segments: keep}",
    "c520fe2e39824876",
)
MANIFEST = (
    "{corpus: manifest, root: a.json, manifest: {test_root: b.json, label_separator: ;}}",
    "{corpus: manifest, root: a.json, test_root: b.json, label_separator: ;}",
    "2fd85d911dcb1514",
)
TAU = (
    "{corpus: tau2022, tau2022: {subset: split5}}",
    "{corpus: tau2022, subset: split5}",
    "028e683e9fc16968",
)
FOLDER = (
    "{corpus: folder, folder: {test_fraction: 0.3}, val_fraction: 0.1}",
    "{corpus: folder, test_fraction: 0.3, val_fraction: 0.1}",
    "3712a7a915181765",
)


@pytest.mark.parametrize(("new", "old", "key"), [ESC, MANIFEST, TAU, FOLDER])
def test_the_flat_form_reads_the_same_and_keeps_the_keys_of_finished_stages(
    tmp_path: Path, caplog, new: str, old: str, key: str
) -> None:
    """The keys were taken when all settings were flat: a run made then goes on."""
    nested = read(tmp_path, new)
    assert not caplog.records
    flat = read(tmp_path, old)
    assert flat == nested
    assert len(caplog.records) == 1
    line = caplog.records[0].getMessage()
    settings = new.split(", ", 1)[1]
    assert "\n" not in line
    assert "write `data: {" in line
    assert nested.data.corpus in settings
    assert data_hash(nested) == key
    again = tmp_path / "again.yaml"
    again.write_text(json.dumps(nested.resolved()))
    assert load_recipe(again) == nested


def test_keys_of_the_generated_corpus_stay(tmp_path: Path) -> None:
    assert data_hash(Recipe(name="a")) == "6bc09036aa6055bf"
    recipe = read(tmp_path, "{synthetic: {n_train: 1600, n_test: 540}}")
    assert recipe.data.settings == SyntheticConfig(n_train=1600, n_test=540)
    assert data_hash(recipe) == "93a3c5d9b376784a"


def test_a_recipe_that_an_older_run_wrote_is_read(tmp_path: Path, caplog) -> None:
    """It holds every key of every corpus at its default."""
    old = (
        "{corpus: esc, root: DIR, val_root: '', test_root: '', label_separator: '', "
        "test_fraction: 0.2, segment_seconds: 1.0, silent_segments: drop, test_folds: [2], "
        "val_folds: [], test_speakers: [], val_speakers: [], subset: split25, "
        "synthetic: {seed: 0, n_train: 1200, n_test: 450, pieces: 2, spread: 1.0}}"
    )
    assert read(tmp_path, old).data == DataConfig.of("esc", "DIR", test_folds=(2,))
    assert len(caplog.records) == 1
    assert "write `data: {esc: {test_folds: [2]}}`" in caplog.text


def test_set_reaches_the_settings_of_the_corpus_in_either_form(tmp_path: Path) -> None:
    data = "{corpus: esc, esc: {test_folds: [1], val_folds: [2]}}"
    want = EscConfig(test_folds=(4,), val_folds=(2,))
    assert read(tmp_path, data, "data.esc.test_folds=[4]").data.settings == want
    assert read(tmp_path, data, "data.test_folds=[4]").data.settings == want
    with pytest.raises(RecipeError, match=r"give `data.esc.test_folds` or `data.test_folds`"):
        read(tmp_path, "{corpus: esc, esc: {test_folds: [1]}, test_folds: [2]}")


def test_settings_of_another_corpus_are_refused() -> None:
    with pytest.raises(RecipeError, match="`settings` are those of the corpus `esc`"):
        DataConfig(corpus="fsdd", settings=EscConfig())
    with pytest.raises(RecipeError, match="`test_folds` is for the corpus `esc`, got it with"):
        DataConfig.of("fsdd", "x", test_folds=(1,))
    with pytest.raises(RecipeError, match="no such setting: `fold`; those of the corpus `esc` are"):
        DataConfig.of("esc", "x", fold=1)
    with pytest.raises(RecipeError, match=r"must be one of audio, esc, .*; got 'mars'"):
        DataConfig.of("mars", "x")


@pytest.fixture
def toy(monkeypatch) -> type[CorpusConfig]:
    """A corpus as one file of the folder, or a notebook, would add it."""
    registry.corpus_names()
    monkeypatch.setattr(registry, "_CORPORA", dict(registry._CORPORA))

    @register("toy")
    @dataclass(frozen=True, kw_only=True)
    class ToyConfig(CorpusConfig):
        held_out: tuple[int, ...] = (3,)
        ending: str = ".wav"

        def load(self, source: CorpusSource) -> Manifest:
            paths = sorted(Path(source.root).glob(f"*{self.ending}"))
            return make_manifest(
                "toy",
                [
                    Clip(
                        path=path,
                        label=path.stem[0],
                        split="test" if int(path.stem[1:]) in self.held_out else "train",
                    )
                    for path in paths
                ],
            )

    return ToyConfig


def test_a_new_corpus_is_one_class(toy, tmp_path: Path, frontend) -> None:
    for index in range(8):
        noise = np.random.default_rng(index).uniform(-0.1, 0.1, 8000)
        write_wav(tmp_path / f"{'ab'[index % 2]}{index // 2}.wav", noise, 8000)
    data = AudioData.of(
        "toy", str(tmp_path), frontend, cache_dir=tmp_path / "c", held_out=(1, 2), val_fraction=0.3
    )
    data.setup()
    assert len(data.arrays["test"]) == 4
    assert data.labels == ("a", "b")
    recipe = read(
        tmp_path, f"{{corpus: toy, root: {tmp_path}, val_fraction: 0.3, toy: {{held_out: [1, 2]}}}}"
    )
    assert recipe.data == data.config
    assert load_manifest(recipe.data, tmp_path) == data.manifest
    assert recipe.resolved()["data"]["toy"] == {"held_out": [1, 2], "ending": ".wav"}
    with pytest.raises(RecipeError, match=r"`data.toy.held_in`; did you mean `held_out`"):
        read(tmp_path, "{corpus: toy, toy: {held_in: [1]}}")
    other = read(tmp_path, "{corpus: toy, toy: {held_out: [1]}}")
    assert data_hash(other) != data_hash(recipe)


def test_a_corpus_that_lacks_a_part_cannot_register(toy) -> None:
    with pytest.raises(TypeError, match="a corpus `toy` already"):
        register("toy")(toy)
    with pytest.raises(TypeError, match="must be a frozen dataclass"):
        register("bare")(type("Bare", (CorpusConfig,), {}))

    @dataclass(frozen=True)
    class Needy(CorpusConfig):
        path: str

        def load(self, source: CorpusSource) -> Manifest:
            raise NotImplementedError

    with pytest.raises(TypeError, match="need defaults: path"):
        register("needy")(Needy)


def test_every_corpus_reads_and_says_what_its_settings_are() -> None:
    names = registry.corpus_names()
    assert {"audio", "esc", "folder", "fsdd", "manifest", "speech_commands"} < set(names)
    for name in names:
        kind = registry.corpus_class(name)
        assert kind.corpus == name
        assert not getattr(kind.load, "__isabstractmethod__", False)
        assert not str(kind.__doc__).startswith(f"{kind.__name__}("), "it has words of its own"
        assert kind().title.startswith(name)
