"""Files and folders that are whole or not there, whoever is killed while writing them."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aum_edge.core.files import (
    DRAFT,
    holds_files,
    new_file,
    new_folder,
    replaced_folder,
    write_atomically,
    write_json,
    write_text,
    write_together,
)
from aum_edge.core.locks import hold_lock
from aum_edge.errors import DataError, DiskError
from tests.core.test_locks import APART, apart, go, python, said

WRITE = """
import sys
from pathlib import Path
from aum_edge.core.files import write_text
print("begun", flush=True)
while True:
    for letter in "ab":
        write_text(Path(sys.argv[1]), letter * 4_000_000)
"""
FOLDER = """
import sys
from pathlib import Path
from aum_edge.core.files import new_folder
with new_folder(Path(sys.argv[1]), "a cache", resume="resume" in sys.argv) as draft:
    (draft / "row").write_text(sys.argv[2])
    print("begun", flush=True)
    sys.stdin.readline()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def stop(path: Path, how: type[BaseException]) -> None:
    path.write_text("half")
    raise how


@pytest.mark.parametrize(
    "content",
    ["a\r\nb\n", b"a\r\nb\n", memoryview(b"a\r\nb\n"), lambda file: file.write(b"a\r\nb\n")],
)
def test_text_bytes_and_functions_are_written_as_they_are(tmp_path: Path, content) -> None:
    path = tmp_path / "new" / "x"
    write_atomically(path, content)
    assert path.read_bytes() == b"a\r\nb\n"
    assert names(path.parent) == ["x"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_text(path, "old")

    def half(file) -> None:
        file.write(b"ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, half)
    with pytest.raises(ZeroDivisionError), new_file(path) as draft:
        stop(draft, ZeroDivisionError)
    with pytest.raises(TypeError):
        write_json(path, {"x": object()})
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "disk is full while writing x"), (errno.EROFS, "Cannot write x")],
)
def test_a_full_disk_is_one_line_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch, code: int, words: str
) -> None:
    path = tmp_path / "x"
    write_text(path, "old")

    def refuse(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(DiskError, match=words) as caught:
            write_text(path, "new")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, DataError)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["x"]


def test_a_place_that_is_no_folder_is_one_line(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "")
    with pytest.raises(DiskError, match="Cannot write x"):
        write_text(tmp_path / "file" / "x", "")
    (tmp_path / "folder" / "in").mkdir(parents=True)
    with pytest.raises(DiskError, match="Cannot write folder"):
        write_text(tmp_path / "folder", "")
    assert names(tmp_path) == ["file", "folder"]


def test_a_kill_leaves_a_whole_file_and_the_next_writer_sweeps(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for pause in (0.0, 0.011, 0.023, 0.037, 0.05):
        with python(WRITE, path) as process:
            assert said(process) == "begun"
            while not path.exists():
                time.sleep(0.001)
            time.sleep(pause)
        text = path.read_text()
        assert text in ("a" * 4_000_000, "b" * 4_000_000)
    (tmp_path / f".x{DRAFT}").write_text("half")
    write_text(path, "whole")
    assert path.read_text() == "whole"
    assert names(tmp_path) == ["x"]


def test_a_file_is_written_over_a_draft_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / f".x{DRAFT}" / "in").mkdir(parents=True)
    write_text(tmp_path / "x", "whole")
    assert names(tmp_path) == ["x"]


def test_several_files_come_together_or_not_at_all(tmp_path: Path) -> None:
    write_together({tmp_path / "a": "1", tmp_path / "b": b"2"})
    assert [(tmp_path / name).read_text() for name in "ab"] == ["1", "2"]
    (tmp_path / "c").mkdir()
    with pytest.raises(IsADirectoryError):
        write_together({tmp_path / "a": "3", tmp_path / "c": "4"})
    assert (tmp_path / "a").read_text() == "1"
    assert names(tmp_path) == ["a", "b", "c"]


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    final = tmp_path / "cache"
    with pytest.raises(ZeroDivisionError), new_folder(final, "a cache") as draft:
        stop(draft / "row", ZeroDivisionError)
    assert not names(tmp_path)
    with new_folder(final, "a cache") as draft:
        (draft / "row").write_text("1")
        assert not final.exists()
    assert (final / "row").read_text() == "1"
    # One that is there by then stays.
    with new_folder(final, "a cache") as draft:
        (draft / "row").write_text("2")
    assert (final / "row").read_text() == "1"
    assert names(tmp_path) == ["cache"]


def test_a_killed_processs_folder_is_gone_on_with_or_removed(tmp_path: Path) -> None:
    final = tmp_path / "cache"
    for resume, left in ((True, ["row"]), (False, [])):
        with python(FOLDER, final, "1") as process:
            assert said(process) == "begun"
        with new_folder(final, "a cache", resume=resume) as draft:
            assert names(draft) == left
        shutil.rmtree(final)
    assert not names(tmp_path)


def test_what_a_user_stops_is_left_for_the_next(tmp_path: Path) -> None:
    final = tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt), new_folder(final, "a cache", resume=True) as draft:
        stop(draft / "row", KeyboardInterrupt)
    with new_folder(final, "a cache", resume=True) as draft:
        assert names(draft) == ["row"]
    assert names(tmp_path) == ["cache"]
    shutil.rmtree(final)
    with pytest.raises(KeyboardInterrupt), new_folder(final, "a cache") as draft:
        stop(draft / "row", KeyboardInterrupt)
    assert not names(tmp_path)


def test_two_that_make_one_folder_do_so_in_turn(tmp_path: Path) -> None:
    final = tmp_path / "cache"
    with python(FOLDER, final, "theirs") as process:
        assert said(process) == "begun"
        with hold_lock(tmp_path / ".cache.lock", wait=False) as held:
            assert not held
        go(process)
        with new_folder(final, "a cache") as draft:
            (draft / "row").write_text("ours")
    assert (final / "row").read_text() == "theirs"
    assert names(tmp_path) == ["cache"]


def test_a_folder_is_replaced_at_the_end_and_keeps_other_files(tmp_path: Path) -> None:
    final = tmp_path / "model"
    with replaced_folder(final, ("weights",)) as draft:
        (draft / "weights").write_text("1")
    (final / "notes").write_text("mine")
    with pytest.raises(ZeroDivisionError), replaced_folder(final, ("weights",)) as draft:
        stop(draft / "weights", ZeroDivisionError)
    assert (final / "weights").read_text() == "1"
    with replaced_folder(final, ("weights",)) as draft:
        (draft / "weights").write_text("2")
    assert (final / "weights").read_text() == "2"
    assert (final / "notes").read_text() == "mine"
    assert names(tmp_path) == ["model"]


def test_a_kill_between_two_renames_loses_no_folder(tmp_path: Path) -> None:
    final = tmp_path / "model"
    with replaced_folder(final, ()) as draft:
        (draft / "weights").write_text("1")
    final.rename(tmp_path / f".model.old{DRAFT}")
    (tmp_path / f".model{DRAFT}").mkdir()
    with pytest.raises(ZeroDivisionError), replaced_folder(final, ()) as draft:
        stop(draft / "weights", ZeroDivisionError)
    assert (final / "weights").read_text() == "1"
    assert names(tmp_path) == ["model"]


@apart
def test_processes_of_two_containers_leave_each_others_drafts(tmp_path: Path) -> None:
    final = tmp_path / "cache"
    command = [*APART, sys.executable, "-c", FOLDER, str(final), "theirs", "resume"]
    with new_folder(final, "a cache", resume=True) as draft:
        (draft / "row").write_text("ours")
        other = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(2)
        assert (draft / "row").read_text() == "ours"
    assert other.wait(120) == 0
    assert other.stdout
    other.stdout.close()
    assert (final / "row").read_text() == "ours"
    assert names(tmp_path) == ["cache"]


def test_drafts_and_locks_are_nobodys_files(tmp_path: Path) -> None:
    assert not holds_files(tmp_path / "none")
    assert not holds_files(tmp_path)
    (tmp_path / f".recipe.yaml{DRAFT}").write_text("")
    (tmp_path / ".recipe.yaml.lock").write_text("")
    (tmp_path / "run.lock").write_text("")
    assert holds_files(tmp_path)
    assert not holds_files(tmp_path, besides=("run.lock",))
    shutil.copy(tmp_path / "run.lock", tmp_path / "thesis.txt")
    assert holds_files(tmp_path, besides=("run.lock",))
