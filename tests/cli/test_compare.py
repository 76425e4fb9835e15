"""`aum-edge compare` as people run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml

from tests.comparison.test_comparison import recipe_values
from tests.small_run import tones

ROOT = Path(__file__).parents[2]


def compare(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aum_edge", "compare", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=600, check=False
    )


def test_compare_runs_what_is_missing_and_writes_the_page(tmp_path: Path) -> None:
    values = recipe_values(tones(tmp_path / "tones"))
    del values["arms"]["cnn"], values["quantize"]
    values |= {"folds": {"a": {}}, "seeds": [1], "compress": False}
    values["arms"]["student"]["lrs"] = []
    path, out, results = tmp_path / "small.yaml", tmp_path / "out", tmp_path / "results"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    ran = compare(path, "--out", out, "--results", results, "--jobs", 2)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("done") == 2
    assert ran.stdout.strip() == str(results / "small.md")
    page = (results / "small.md").read_text()
    assert "1 of 1 runs" in page
    assert "| student, distilled |" in page
    assert (results / "small.svg").read_text().startswith("<?xml")
    (results / "small.md").unlink()
    again = compare(path, "--out", out, "--results", results, "--table")
    assert again.returncode == 0
    assert "± 0.0" not in page
    assert "(one run)" in page
    document = json.loads(compare(path, "--out", out, "--table", "--json").stdout)
    assert document["models"]["student, distilled"]["macro_accuracy"]["margin"] is None
    assert (out / "small.md").exists()
    assert (results / "small.md").exists()


def test_a_fold_that_fails_is_named_and_stops_no_other(tmp_path: Path) -> None:
    values = recipe_values(tmp_path / "nothing")
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    ran = compare(path, "--out", tmp_path / "out", "--results", tmp_path / "results")
    assert ran.returncode == 1
    assert "a-prepared: failed (exit code 1): aum-edge: " in ran.stderr
    assert "b-prepared: failed (exit code 1): aum-edge: " in ran.stderr
    said = (tmp_path / "out" / "a-prepared.log").read_text().strip().splitlines()
    assert said[-1].startswith("aum-edge: ")
    assert "Traceback" not in "\n".join(said)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_comparison_leaves_no_run_behind(how: signal.Signals, tmp_path: Path) -> None:
    values = recipe_values(tones(tmp_path / "tones"))
    values["teacher"]["train"] = values["teacher"]["train"] | {"epochs": 100_000}
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    command = [sys.executable, "-m", "aum_edge", "compare", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started = psutil.Popen(
        [*command, "--out", str(tmp_path / "out")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    units: list[psutil.Process] = []
    try:
        history = tmp_path / "out" / "a" / "teacher" / "teacher" / "fit-0" / "history.csv"
        until(lambda: history.exists(), 120)
        units = started.children()
        assert units
        started.send_signal(how)
        code = started.wait(60)
        until(lambda: not any(unit.is_running() for unit in units), 60)
        if how == signal.SIGTERM:
            assert code == 143
            said = (tmp_path / "out" / "a-prepared.log").read_text().splitlines()
            assert said[-1].startswith("Stopped ")
    finally:
        for process in [started, *units]:
            if process.is_running():
                process.kill()


def until(true: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


def test_a_missing_recipe_is_one_line() -> None:
    ran = compare("nowhere.yaml", "--table")
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
