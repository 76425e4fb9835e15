"""`aum-edge export`, `predict`, `eval` and `bench` with a .c file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aum_edge.audio.wav import write_wav
from aum_edge.cli.main import main
from aum_edge.export.c.budget import budget
from aum_edge.models.storage.directory import save
from tests.export.c.frontend.frontend_program import need_compiler
from tests.export.conftest import make


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model directory ``m`` and its export."""
    need_compiler()
    folder = tmp_path_factory.mktemp("use")
    save(make("ssd"), folder / "m")
    assert main(["export", str(folder / "m"), str(folder / "m.c"), "--json"]) == 0
    return folder


def test_export_says_what_it_did(
    exported: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    code, out, err = call(capsys, "export", exported / "m", exported / "other.c")
    assert code == 1
    assert "Cortex-M7 at 480 MHz (estimate)" in out
    assert "other.c is unverified. There is no C compiler" in err
    assert (exported / "other.c").is_file()
    for words in (["x.c", "--scan", "scan"], ["x.c", "--streaming"], ["x.onnx", "--name", "y"]):
        code, out, err = call(capsys, "export", exported / "m", *words)
        assert (code, out) == (2, "")
        assert len(err.splitlines()) == 1


def test_predict_as_the_model_directory(
    exported: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sound = tmp_path / "sound.wav"
    noise = 0.1 * np.random.default_rng(0).standard_normal(12_000).astype(np.float32)
    write_wav(sound, noise, 8000)
    answers = []
    for model in ("m", "m.c"):
        code, out, _ = call(capsys, "predict", exported / model, sound, "--json")
        assert code == 0
        answers.append(json.loads(out)[0])
    assert answers[0]["label"] == answers[1]["label"]
    shares = [list(answer["probabilities"].values()) for answer in answers]
    np.testing.assert_allclose(shares[0], shares[1], atol=1e-4)
    code, _, err = call(capsys, "predict", tmp_path / "none.c", sound)
    assert code == 1
    assert "Cannot read" in err


def test_eval_as_the_model_directory(
    exported: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    for label in ("cat", "dog", "sea"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for index in range(4):
            clip = (0.02 * 4**index * rng.standard_normal(8000)).astype(np.float32).clip(-1, 1)
            write_wav(tmp_path / "data" / label / f"{index}.wav", clip, 8000)
    losses = []
    for model in ("m", "m.c"):
        words = ["--data", f"folder={tmp_path / 'data'}", "--cache", tmp_path / "c", "--json"]
        code, out, err = call(capsys, "eval", exported / model, *words)
        assert code == 0, err
        losses.append(json.loads(out)["log_loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_bench(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", exported / "m.c", exported / "m", "--runs", 3, "--warmup", 1, "--json"]
    code, out, _ = call(capsys, *words)
    assert code == 0
    rows = json.loads(out)
    rows = rows["rows"] if isinstance(rows, dict) and "rows" in rows else rows
    text = json.dumps(rows)
    assert '"runtime": "c"' in text
    assert '"runtime": "torch"' in text


def test_the_budget_is_of_the_counts() -> None:
    model = make("ssd")
    small = budget(model, weight_bytes=1000, table_bytes=200, arena_bytes=300)
    m7, m4 = small.cores
    total = small.network_instructions + small.front_end_instructions
    assert m7.cycles == total
    assert m4.cycles > m7.cycles
    assert m7.ms == pytest.approx(total / 480e3)
    assert m7.share == pytest.approx(m7.ms / 1000)
    assert small.flash_bytes == 26_200
    assert json.dumps(small.to_dict())


def test_complexity_shows_the_engine(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "complexity", exported / "m", "--engine", "--json")
    assert code == 0
    engine = json.loads(out)["engine"]
    assert [core["name"] for core in engine["cores"]] == ["Cortex-M7", "Cortex-M4"]
    code, out, _ = call(capsys, "complexity", exported / "m", "--engine")
    assert f"arena {engine['arena_bytes']:,}" in out
    for words in (["x.onnx"], [exported / "m", "--csv"]):
        code, _, err = call(capsys, "complexity", *words, "--engine")
        assert code == 2
        assert len(err.splitlines()) == 1
