"""Ctrl-C and SIGTERM end a command with a line, an exit code and something to go on from."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from aum_edge.cli.main import main
from aum_edge.core.signals import stoppable
from aum_edge.data.config import DataConfig
from aum_edge.data.datamodule import AudioData
from aum_edge.errors import Stopped
from aum_edge.report.search import build as search_build
from aum_edge.search.records import read_records
from aum_edge.training.config import TrainConfig
from aum_edge.training.fit import fit
from aum_edge.training.task import ClassificationTask
from tests.search.small_search import OVERRIDES, write
from tests.small_run import FRONTEND, student, tones

ROOT = Path(__file__).parents[2]
EPOCHS = 40
FRONT_END = "{sample_rate: 8000, n_fft: 256, win_length: 256, hop_length: 250, n_mels: 16}"
MODEL = "{preset: aum-mini, overrides: {d_model: 16, depth: 2, d_state: 4, patch_size: [8, 8]}}"
TRAIN = f"{{epochs: {EPOCHS}, batch_size: 12}}"
TEACHER = f"teacher: {{model: {MODEL}, train: {TRAIN}}}\n"
ENCODER = f"model: {MODEL}\npretrain: {TRAIN}\n"
STOPPED = rf"Stopped after epoch (\d+) of {EPOCHS}\. Run the same command again to go on\."
BOTH = pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tones(tmp_path_factory.mktemp("tones"), per_class=4)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small steps, beside other processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C as in the foreground: tests that run in a shell's background inherit it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def default_signals() -> None:
    """What a shell gives a command in its foreground."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def start(*words: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "aum_edge", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=default_signals,
    )


def stop(
    process: subprocess.Popen[str], ready: Callable[[], bool], how: signal.Signals
) -> tuple[int, str]:
    """Exit code and last line of a command that gets the signal when ``ready``."""
    try:
        end = time.monotonic() + 120
        while not ready():
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.01)
        process.send_signal(how)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert "Traceback" not in said
    return process.returncode, said.splitlines()[-1]


def epoch_of(line: str) -> int:
    found = re.fullmatch(STOPPED, line)
    assert found, line
    return int(found[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "stage", "how"),
    [
        ("train", "teacher", signal.SIGINT),
        ("train", "teacher", signal.SIGTERM),
        ("pretrain", "pretrain", signal.SIGTERM),
    ],
)
def test_a_stopped_training_says_where_it_stands_and_goes_on(
    command: str, stage: str, how: signal.Signals, root: Path, tmp_path: Path, capsys
) -> None:
    corpus = "folder" if command == "train" else "audio"
    file, out = tmp_path / "r.yaml", tmp_path / "run"
    text = TEACHER if command == "train" else ENCODER
    file.write_text(
        f"name: tones\ndata: {{corpus: {corpus}, root: {root}}}\nfrontend: {FRONT_END}\n{text}"
    )
    words = [command, str(file), "--out", str(out)]
    code, line = stop(start(*words), lambda: any(out.glob(f"{stage}/**/last.ckpt")), how)
    assert code == 128 + how
    epoch = epoch_of(line)
    assert not (out / "run.lock").exists()
    assert main(words) == 0
    said = capsys.readouterr().err
    assert f"goes on after epoch {epoch} of {EPOCHS}\n" in said
    assert (out / stage / "stage.json").exists()


@pytest.mark.slow
def test_a_stopped_search_gives_its_trial_back(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_build, "search_page", lambda report: report["title"])
    train = {"epochs": EPOCHS, "batch_size": 12}
    student = {"model": {"preset": "student-ssd", "overrides": OVERRIDES}, "train": train}
    file = write(tmp_path, root, student=student, trials=1)
    out = tmp_path / "out"
    words = ["search", str(file), "--out", str(out)]
    code, line = stop(start(*words), lambda: any(out.glob("work/*/last.ckpt")), signal.SIGTERM)
    assert code == 143
    assert epoch_of(line) < EPOCHS
    assert read_records(out) == []
    assert main(words) == 0
    (record,) = read_records(out)
    assert record.state == "complete"
    assert len(record.curve) == EPOCHS


@BOTH
def test_a_command_that_does_not_train_is_stopped_as_well(
    how: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path
) -> None:
    left = tmp_path / "draft"

    def work(options: object) -> int:
        left.touch()
        try:
            signal.raise_signal(how)
            return 0
        finally:
            left.unlink()

    monkeypatch.setattr("aum_edge.cli.doctor.run", work)
    before = signal.getsignal(how)
    assert main(["doctor"]) == 128 + how
    assert capsys.readouterr().err == "Stopped. Run the same command again to go on.\n"
    assert not left.exists()
    assert signal.getsignal(how) == before


def test_an_error_that_a_signal_caused_is_a_stop(monkeypatch, capsys) -> None:
    def work(options: object) -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        except Stopped:
            raise RuntimeError("a worker was killed") from None
        return 0

    monkeypatch.setattr("aum_edge.cli.doctor.run", work)
    assert main(["doctor"]) == 143
    assert capsys.readouterr().err.startswith("Stopped.")


def test_a_second_request_kills_but_not_the_echo_of_the_first() -> None:
    code = (
        "import signal, time\n"
        "from aum_edge.core.signals import AT_ONCE, stoppable\n"
        "with stoppable():\n"
        "    try: signal.raise_signal(signal.SIGINT)\n"
        "    except KeyboardInterrupt: signal.raise_signal(signal.SIGTERM)\n"
        "    print('cleans up', flush=True)\n"
        "    time.sleep(AT_ONCE)\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('still here')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        preexec_fn=default_signals,
    )
    assert done.returncode == -signal.SIGINT
    assert done.stdout == "cleans up\n"


def test_a_signal_that_the_parent_had_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable() as stops:
            signal.raise_signal(signal.SIGINT)
        assert stops.asked is None
    finally:
        signal.signal(signal.SIGINT, before)


@BOTH
def test_a_program_without_handlers_learns_of_it_too(
    how: signal.Signals, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = AudioData(DataConfig(corpus="folder", root=str(root)), FRONTEND, cache_dir=tmp_path)
    step = ClassificationTask.training_step

    def interrupted(self, batch, batch_idx):
        if self.current_epoch == 2:
            signal.raise_signal(how)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ClassificationTask, "training_step", interrupted)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Stopped, match=r"after epoch [23] of 4\.") as caught:
        fit(student(), data, TrainConfig(epochs=4, batch_size=12), tmp_path / "fit")
    assert caught.value.exit_code == 128 + how
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
