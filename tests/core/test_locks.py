"""Locks between processes: one holder at a time, and none that outlives its process."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from aum_edge.core import locks
from aum_edge.core.locks import hold_lock, holder_of

TRY = """
import sys
from pathlib import Path
from aum_edge.core.locks import hold_lock
sys.stdin.readline()
with hold_lock(Path(sys.argv[1]), wait=False) as held:
    print("held" if held else "busy", flush=True)
    sys.stdin.readline()
"""
COUNT = """
import sys
from pathlib import Path
from aum_edge.core.locks import hold_lock
sys.stdin.readline()
lock, number = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(40):
    with hold_lock(lock):
        number.write_text(str(int(number.read_text()) + 1))
"""
NO_FLOCK = """
import errno, fcntl
def refuse(*_):
    raise OSError(errno.ENOLCK, "no locks")
fcntl.flock = refuse
"""
APART = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


@contextmanager
def python(
    text: str, *words: str | Path, before: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen]:
    """A process that runs a program and is told lines."""
    command = [*before, sys.executable, "-c", text, *map(str, words)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def go(process: subprocess.Popen) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def said(process: subprocess.Popen) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def can_leave_the_pid_namespace() -> bool:
    if not shutil.which("unshare"):
        return False
    return subprocess.run([*APART, "true"], capture_output=True, check=False).returncode == 0


apart = pytest.mark.skipif(
    not can_leave_the_pid_namespace(), reason="needs unshare and the right to use it (root)"
)


def test_a_lock_is_one_holders_alone(tmp_path: Path) -> None:
    lock = tmp_path / "folder" / "x.lock"
    with hold_lock(lock) as held:
        assert held
        assert holder_of(lock) == f"process {os.getpid()} on {platform.node()}"
        with hold_lock(lock, wait=False) as second:
            assert not second
        assert lock.exists()
    assert not list(lock.parent.iterdir())


def test_of_processes_that_start_at_once_one_holds_it(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    for _ in range(3):
        with (
            python(TRY, lock) as one,
            python(TRY, lock) as two,
            python(TRY, lock) as three,
            python(TRY, lock) as four,
        ):
            all_four = (one, two, three, four)
            for process in all_four:
                go(process)
            answers = [said(process) for process in all_four]
            assert sorted(answers) == ["busy", "busy", "busy", "held"]


def test_processes_that_wait_hold_it_in_turn(tmp_path: Path) -> None:
    number = tmp_path / "number"
    number.write_text("0")
    with python(COUNT, tmp_path / "x.lock", number) as one:
        with python(COUNT, tmp_path / "x.lock", number) as two:
            with python(COUNT, tmp_path / "x.lock", number) as three:
                for process in (one, two, three):
                    go(process)
                assert [process.wait(120) for process in (one, two, three)] == [0, 0, 0]
    assert number.read_text() == "120"
    assert not (tmp_path / "x.lock").exists()


def test_a_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    with python(TRY, lock) as process:
        go(process)
        assert said(process) == "held"
        with hold_lock(lock, wait=False) as held:
            assert not held
        assert holder_of(lock) == f"process {process.pid} on {platform.node()}"
        process.kill()
        process.wait()
        assert lock.exists()
        with hold_lock(lock, wait=False) as held:
            assert held
            assert holder_of(lock) == f"process {os.getpid()} on {platform.node()}"
    assert not lock.exists()


@pytest.mark.parametrize("content", ["", "999999999\n", "1\nelsewhere\n", "\x00\n\n", "shopping"])
def test_a_file_that_nobody_holds_is_taken_whatever_it_says(tmp_path: Path, content: str) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text(content)
    with hold_lock(lock, wait=False) as held:
        assert held


@apart
def test_a_holder_in_another_pid_namespace_is_alive(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    with python(TRY, lock, before=APART) as process:
        go(process)
        assert said(process) == "held"
        # There it is process 1 or so, which here is another one.
        with hold_lock(lock, wait=False) as held:
            assert not held
        assert lock.exists()
    with hold_lock(lock) as held:
        assert held
        with python(TRY, lock, before=APART) as process:
            go(process)
            assert said(process) == "busy"
        assert lock.exists()


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_without_flock_a_marker_file_does(tmp_path: Path, monkeypatch, caplog, code: int) -> None:
    monkeypatch.setattr(fcntl, "flock", partial(_refuse, code))
    monkeypatch.setattr(locks, "_FLOCK", {})
    lock = tmp_path / "x.lock"
    for _ in range(2):
        with hold_lock(lock) as held:
            assert held
            assert holder_of(lock) == f"process {os.getpid()} on {platform.node()}"
            with hold_lock(lock, wait=False) as second:
                assert not second
        assert not lock.exists()
    (line,) = [record.getMessage() for record in caplog.records]
    assert "has no locks" in line
    assert str(tmp_path) in line


def test_without_flock_a_killed_holder_of_this_machine_blocks_nobody(
    tmp_path: Path, monkeypatch
) -> None:
    lock = tmp_path / "x.lock"
    with python(NO_FLOCK + TRY, lock) as process:
        go(process)
        assert said(process) == "held"
        process.kill()
        process.wait()
        assert lock.exists()
        monkeypatch.setattr(fcntl, "flock", partial(_refuse, errno.ENOLCK))
        monkeypatch.setattr(locks, "_FLOCK", {})
        with hold_lock(lock) as held:
            assert held


def _refuse(code: int, *_: object) -> None:
    raise OSError(code, "no locks")


def test_a_place_that_cannot_be_written_to_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError), hold_lock(tmp_path / "file" / "x.lock"):
        pass
