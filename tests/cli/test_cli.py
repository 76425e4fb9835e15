"""The commands as a user calls them: documents on stdout, one line on stderr, exit codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aum_edge.audio.wav import write_wav
from aum_edge.cli.main import COMMANDS, main
from aum_edge.models.storage.directory import save
from aum_edge.pipeline.stages.registry import stages_of
from tests.small_run import RATE, recipe_text, student, tones


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "m"
    save(student().eval(), folder)
    return folder


def run(capsys, *arguments: str | Path) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys; from aum_edge.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'lightning', 'onnxruntime', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "sys.exit(1 if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    for name in COMMANDS:
        assert name in done.stdout


def test_an_unknown_command_is_a_usage_error(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["dance"])
    assert caught.value.code == 2


def test_complexity_prints_one_document(capsys, model) -> None:
    code, out, _ = run(capsys, "complexity", model, "--json")
    values = json.loads(out)
    assert code == 0
    assert values["within_limits"] == {"exact": True, "official": True}


def test_complexity_exits_with_3_over_a_limit(capsys, model, tmp_path) -> None:
    limits = tmp_path / "tight.yaml"
    limits.write_text("macs: 1\nparam_bytes: 128000\n")
    code, out, err = run(capsys, "complexity", model, "--limits", limits)
    assert code == 3
    assert re.search(r"^  exact +[\d,]+ +[\d,]+ +[\d,]+ +over$", out, re.MULTILINE)
    assert "by the exact count" in err
    assert "by the official count" in err


@pytest.mark.slow
def test_export_bench_and_predict_go_together(capsys, model, tmp_path) -> None:
    file = tmp_path / "m.onnx"
    code, out, _ = run(capsys, "export", model, file, "--json")
    assert code == 0
    assert json.loads(out)["max_abs_diff"] <= 1e-4
    code, out, _ = run(capsys, "bench", file, model, "--runs", "3", "--json")
    rows = json.loads(out)["rows"]
    assert code == 0
    assert [row["runtime"] for row in rows] == ["onnxruntime", "torch"]
    sound = tmp_path / "s.wav"
    write_wav(sound, 0.3 * np.sin(np.arange(3 * 44_100) / 20), 44_100)
    answers = []
    for source in (file, model):
        code, out, _ = run(capsys, "predict", source, sound, "--json")
        answers.append(json.loads(out)[0])
        assert code == 0
    assert answers[0]["label"] == answers[1]["label"]
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_predict_goes_on_after_an_unreadable_file(capsys, model, tmp_path) -> None:
    good, silent, bad = tmp_path / "g.wav", tmp_path / "silent.wav", tmp_path / "b.wav"
    write_wav(good, 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    write_wav(silent, np.zeros(RATE), RATE)
    bad.write_bytes(b"RIFFnonsense")
    code, out, _ = run(capsys, "predict", model, bad, good, silent, tmp_path / "no.wav", "--json")
    rows = json.loads(out)
    assert code == 1
    assert [("error" in row) for row in rows] == [True, False, True, True]
    assert "silent" in rows[2]["error"]


def test_eval_scores_a_folder(capsys, model, tmp_path) -> None:
    root = tones(tmp_path / "data", per_class=4)
    code, out, _ = run(
        capsys, "eval", model, "--data", f"folder={root}", "--cache", tmp_path / "c", "--json"
    )
    values = json.loads(out)
    assert code == 0
    assert values["n"] == 12
    assert {"accuracy", "macro_accuracy", "log_loss", "per_class", "per_device"} <= set(values)


def test_data_check_finds_an_unreadable_file(capsys, tmp_path) -> None:
    root = tones(tmp_path / "data", per_class=4)
    arguments = ("data", "check", "--data", f"folder={root}", "--cache", tmp_path / "c", "--json")
    assert run(capsys, *arguments)[0] == 0
    (root / "train" / "low" / "low0.wav").write_bytes(b"broken")
    code, out, _ = run(capsys, *arguments)
    assert code == 1
    assert any("low0.wav" in path for path in json.loads(out)["problems"])


def test_doctor_names_the_scan_in_use(capsys) -> None:
    code, out, _ = run(capsys, "doctor", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["scan"] in ("c", "torch")
    assert found["kernels"]["cpu"].startswith(found["scan"])
    assert found["kernels"]["cuda"]


def test_doctor_fails_where_no_scan_can_run(capsys, monkeypatch) -> None:
    monkeypatch.setenv("AUM_EDGE_SCAN", "nonsense")
    code, out, _ = run(capsys, "doctor", "--json")
    assert code == 1
    assert "nonsense" in json.loads(out)["kernels"]["cpu"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["complexity", "nowhere"], 1, "no model directory"),
        (["run", "nowhere.yaml"], 2, "no recipe"),
        (["bench", "nowhere.onnx"], 1, "nowhere.onnx"),
        (["eval", "nowhere", "--data", "folder"], 1, "nowhere"),
        (["predict", "nowhere.onnx", "a.wav"], 1, "nowhere.onnx"),
    ],
)
def test_a_user_error_is_one_line(capsys, arguments, code, message) -> None:
    got, out, err = run(capsys, *arguments)
    assert got == code
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("aum-edge: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in err


def test_a_bench_without_threads_is_refused(capsys, model) -> None:
    code, _, err = run(capsys, "bench", model, "--threads", "0")
    assert code == 2
    assert "threads" in err


@pytest.mark.slow
def test_the_main_job_end_to_end(capsys, tmp_path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(recipe_text(tones(tmp_path / "data")))
    out_dir = tmp_path / "out"
    code, out, _ = run(capsys, "run", recipe, "--out", out_dir)
    assert code == 0
    assert "inside" in out
    page = (out_dir / "report" / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "Student, int8" in page
    told = json.loads((out_dir / "report" / "report.json").read_text())
    names = (
        {"student.c", "student_int8.c"} if any(map(shutil.which, ("cc", "gcc", "clang"))) else set()
    )
    assert {row["file"] for row in told["export"] if row["file"].endswith(".c")} == names
    timed = {row["model"] for row in told["bench"]["rows"] if row["runtime"] == "c"}
    assert timed == ({"student_c", "student_int8_c"} if names else set())
    assert bool(told["export_notes"]) != bool(names)
    before = (out_dir / "report" / "report.json").read_bytes()
    code, _, err = run(capsys, "run", recipe, "--out", out_dir)
    assert code == 0
    assert err.count("done before, kept") == len(stages_of("run"))
    assert (out_dir / "report" / "report.json").read_bytes() == before
    code, out, _ = run(capsys, "complexity", out_dir / "quantize" / "model", "--json")
    assert code == 0
    assert run(capsys, "run", recipe, "--out", out_dir, "--set", "name=other")[0] == 2
