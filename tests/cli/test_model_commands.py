"""`train`, `distill`, `prune` and `quantize` with MODEL OUT in the place of a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from aum_edge.cli.main import main
from aum_edge.complexity.torch_counter import count
from aum_edge.models.classifier import load
from aum_edge.models.storage.directory import save
from tests.small_run import student, teacher, tones


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"folder={tones(tmp_path_factory.mktemp('commands'))}"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save(student(), tmp_path / "model")
    return tmp_path / "model"


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, list[str]]:
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, [x for x in said.err.splitlines() if x.startswith("aum-edge: ")]


def data(corpus: str, tmp_path: Path) -> list[object]:
    return ["--data", corpus, "--cache", tmp_path / "cache"]


def test_train_fine_tunes_a_model(
    corpus: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--set", "epochs=1", "--set", "batch_size=12", "--set", "lr=1e-3"]
    code, out, said = call(
        capsys, "train", model, tmp_path / "tuned", *data(corpus, tmp_path), *quick
    )
    assert (code, out.strip(), said) == (0, str(tmp_path / "tuned"), [])
    assert load(tmp_path / "tuned").lineage[-1]["step"] == "fit"


@pytest.mark.parametrize("command", ["train", "distill", "prune", "quantize"])
def test_a_place_that_is_taken_is_refused_before_any_work(
    command: str,
    corpus: str,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    taken = tmp_path / "notes.txt"
    taken.write_text("mine")
    words: list[object] = [command, model, taken]
    words += ["--macs-share", "0.5"] if command == "prune" else data(corpus, tmp_path)
    words += ["--teacher", model] if command == "distill" else []
    assert main([str(word) for word in words]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1, "no epoch, no cut, no features before it"
    assert "notes.txt exists and is no model directory" in said[0]
    assert not (tmp_path / "cache").exists()


def test_distill_takes_a_teacher(
    corpus: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(teacher(), tmp_path / "teacher")
    words = ["distill", model, tmp_path / "taught", *data(corpus, tmp_path)]
    quick = ["--set", "train.epochs=1", "--set", "train.batch_size=12"]
    code, _, said = call(capsys, *words, *quick)
    assert code == 2
    assert "give --teacher MODEL" in said[0]
    quick += ["--teacher", tmp_path / "teacher", "--set", "distill.kd_lambda=0.5"]
    assert call(capsys, *words, *quick)[0] == 0
    assert load(tmp_path / "taught").lineage[-1]["step"] == "distill"


def test_prune_with_and_without_data(
    corpus: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--macs-share", "0.7", "--set", "steps=1"]
    assert call(capsys, "prune", model, tmp_path / "a", *words)[0] == 0
    heard = [*words, *data(corpus, tmp_path)]
    assert call(capsys, "prune", model, tmp_path / "b", *heard)[0] == 0
    whole = count(student(), student().example_input()).macs
    for name, importance in (("a", "magnitude"), ("b", "taylor")):
        small = load(tmp_path / name)
        assert small.lineage[-1]["importance"] == importance
        assert count(small, small.example_input()).macs <= 0.75 * whole


def test_quantize_with_data_rounds_activations(
    corpus: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--set", "activations=uint8", "--set", "calibration.clips=8"]
    code, _, said = call(capsys, "quantize", model, tmp_path / "a", *words)
    assert code == 1
    assert "calibration set" in said[0]
    heard = [*words, *data(corpus, tmp_path)]
    assert call(capsys, "quantize", model, tmp_path / "a", *heard)[0] == 0
    assert load(tmp_path / "a").quantization["inputs"]
    assert call(capsys, "quantize", model, tmp_path / "b", "--method", "max")[0] == 0
    assert load(tmp_path / "b").quantization["method"] == "max"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "MODEL"], "Say where the new model goes: aum-edge train MODEL OUT."),
        (["train", "MODEL", "OUT"], "needs data: give --data CORPUS=DIR"),
        (["quantize", "MODEL", "OUT", "--from", "data"], "`--from` is for recipes"),
        (["quantize", "MODEL", "OUT", "--out", "x"], "`--out` is for recipes"),
        (["prune", "MODEL", "OUT"], "Say how small"),
        (
            ["prune", "MODEL", "OUT", "--macs-share", "2"],
            "`macs_share` must be above 0 and at most",
        ),
        (["prune", "MODEL", "OUT", "--max-macs", "many"], "max_macs"),
        (["prune", "r.yaml", "--macs-share", "0.5"], "--set prune.cut.macs_share=0.5"),
        (["quantize", "MODEL", "OUT", "--method", "min"], "max"),
        (["quantize", "m.onnx", "OUT"], "m.onnx is no model directory"),
        (["train", "r.yaml", "--data", "folder=x"], "`--data` goes with a model"),
        (["distill", "r.yaml", "--teacher", "x"], "leave --teacher out"),
    ],
)
def test_refusals_are_one_line(
    words: list[str],
    message: str,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = {"MODEL": model, "OUT": tmp_path / "out"}
    code, out, said = call(capsys, *(named.get(word, word) for word in words))
    assert (code, out, len(said)) == (2, "", 1)
    assert message.replace("MODEL OUT", f"{model} OUT") in said[0]
    assert not (tmp_path / "out").exists()
