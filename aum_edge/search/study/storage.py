"""Shared storages of a study: a journal file, SQLite or another database.

A journal is one file to which operations are added under a lock file, which also works on network
file systems; SQLite and other databases go through SQLAlchemy. Whatever happens to either becomes
one line.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileOpenLock
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from aum_edge.core.locks import hold_lock
from aum_edge.core.text import one_line
from aum_edge.errors import RecipeError, SearchError

JOURNAL = "study.journal"
BUSY_SECONDS = 60
"""How long a process waits for another one's write to an SQLite file."""
STORAGE_ERRORS = (OSError, SQLAlchemyError, StorageInternalError)
"""Errors of a storage that is gone, damaged or none."""


class VanishedError(OSError):
    """The file of a storage is not there any more."""


class ForeignError(OSError):
    """The file of a storage is damaged, or something else wrote it."""


class Journal(BaseJournalBackend):
    """Optuna's journal file, which must stay the file that was opened.

    Optuna would begin a new, empty file in the place of one that was taken away, and add to the
    half line that a full disk or a crash left. Here the first is an error, and half a line is cut
    off: it was never acknowledged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _require_journal(path)
        self._lock = JournalFileOpenLock(str(path))
        self._file = JournalFileBackend(str(path), lock_obj=self._lock)
        self._identity = self._identify()
        self._size = 0

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Operations from one number on."""
        self.require()
        try:
            for log in self._file.read_logs(log_number_from):
                if not isinstance(log, dict) or not {"op_code", "worker_id"} <= log.keys():
                    raise ForeignError(f"{self.path} has a line that is no operation of a journal")
                yield log
        except ValueError as error:
            raise ForeignError(f"{self.path} is damaged: {error}") from error

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add operations, all or none."""
        self.require()
        lines = [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]
        self._lock.acquire()
        try:
            with self.path.open("r+b") as file:
                file.truncate(_whole(file))
                file.seek(0, os.SEEK_END)
                file.write("".join(lines).encode())
                file.flush()
                os.fsync(file.fileno())
                self._size = file.tell()
        finally:
            self._lock.release()

    def require(self) -> None:
        """Raise if the file is gone, another one or shorter than it was."""
        if self._identify() != self._identity or self.path.stat().st_size < self._size:
            raise VanishedError(f"{self.path} was replaced or cut off")

    def _identify(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except FileNotFoundError as error:
            raise VanishedError(f"{self.path} is gone") from error
        return found.st_dev, found.st_ino


def open_storage(text: str, out: Path) -> tuple[optuna.storages.BaseStorage, str]:
    """Open a storage; also returns its name for messages.

    Empty is a journal in the run folder; ``sqlite:///FILE`` and other URLs are databases; anything
    else is the path of a journal file.

    Raises:
        RecipeError: If the URL has no known form.
        SearchError: If it cannot be opened or is no storage of Optuna.
    """
    if "://" in text:
        return _database(text), _shown(text)
    path = Path(text) if text else out / JOURNAL
    with storage_errors(str(path)):
        if not path.parent.is_dir():
            raise VanishedError(f"there is no folder {path.parent}")
        return optuna.storages.JournalStorage(Journal(path)), str(path)


def require_storage(storage: optuna.storages.BaseStorage) -> None:
    """Raise if a storage that is a file is not there any more.

    Raises:
        OSError: It is gone.
    """
    if isinstance(storage, optuna.storages.JournalStorage):
        backend = storage._backend
        if isinstance(backend, Journal):
            backend.require()
        return
    inner = getattr(storage, "_backend", storage)
    file = sqlite_file(str(getattr(inner, "url", "")))
    if file is not None and not file.is_file():
        raise VanishedError(f"{file} is gone")


@contextlib.contextmanager
def storage_errors(name: str) -> Iterator[None]:
    """Turn errors of a storage into one line; other errors pass."""
    try:
        yield
    except STORAGE_ERRORS as error:
        # Optuna wraps the database's message; its own is about its code.
        inner = error.__cause__ if isinstance(error, StorageInternalError) else error
        reason = one_line(inner or error, 160) or type(error).__name__
        raise SearchError(
            f"The storage {name} cannot be used: {reason}. What is finished is kept in "
            "the run folder; see that the storage is there and is Optuna's, or give another "
            "--storage: a new one is filled from the run folder."
        ) from error


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite URL; None for other databases and for memory."""
    if not url.startswith("sqlite"):
        return None
    database = make_url(url).database
    return Path(database) if database and database != ":memory:" else None


def _database(url: str) -> optuna.storages.BaseStorage:
    try:
        parsed = make_url(url)
        _ = parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise RecipeError(
            f"`--storage {_shown(url)}` is no URL of a database: give sqlite:///FILE, another "
            "database that SQLAlchemy knows, or the path of a journal file."
        ) from error
    with storage_errors(_shown(url)):
        file = sqlite_file(url)
        if file is not None and not file.parent.is_dir():
            raise VanishedError(f"there is no folder {file.parent}")
        return _with_tables(url, file)


def _with_tables(url: str, file: Path | None) -> optuna.storages.BaseStorage:
    """The storage of a database, whose tables one process makes while others wait."""
    options = {"connect_args": {"timeout": BUSY_SECONDS}} if file else {}
    lock = hold_lock(file.with_name(f".{file.name}.lock")) if file else contextlib.nullcontext()
    with lock:
        if file is not None:
            _require_own_tables(url, file)
        try:
            made = optuna.storages.RDBStorage(url, engine_kwargs=options)
        except (ImportError, RuntimeError) as error:
            # The database's driver is not installed, or its tables are another Optuna's.
            raise ForeignError(str(error)) from error
    return optuna.storages.get_storage(made)


def _require_journal(path: Path) -> None:
    """Refuse to add to a file that something else wrote.

    Raises:
        ForeignError: Its first line is no operation of a journal.
    """
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        line = file.readline(1 << 16)
    if line.startswith(b"SQLite format"):
        raise ForeignError(f"{path} is an SQLite file, whose URL is sqlite:///{path}")
    if not line.startswith(b'{"op_code":'):
        raise ForeignError(f"{path} is no journal of Optuna")


def _require_own_tables(url: str, file: Path) -> None:
    """Refuse to make tables in a database that is something else's.

    Raises:
        ForeignError: It has tables and none of Optuna's.
    """
    if not file.exists():
        return
    engine = create_engine(url)
    try:
        tables = inspect(engine).get_table_names()
    finally:
        engine.dispose()
    if tables and "studies" not in tables:
        raise ForeignError(f"{file} is a database with other tables: {', '.join(tables[:3])}")


def _shown(url: str) -> str:
    """A URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url


def _whole(file: Any) -> int:
    """Bytes up to the last finished line."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - 4096)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return int(start + found + 1)
        end = start
    return 0


def quiet_optuna() -> None:
    """Silence Optuna's log lines and its warnings about experimental interfaces."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=ExperimentalWarning)
