"""Cache of teacher outputs: logits in float32, tokens in float16, batch after batch."""

from __future__ import annotations

import logging
import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aum_edge.core.files import new_folder, read_json, write_json
from aum_edge.data.features.builder import checksum

log = logging.getLogger(__name__)
WHAT = "the teachers' outputs"
Rows = slice | NDArray[np.int64]


class TeacherOutput(NamedTuple):
    """Logits and tokens of the teachers for a batch."""

    logits: Tensor
    """(B, C) float32."""
    tokens: tuple[Tensor, ...] = ()
    """(B, T, D) of each matched block, in float16 as they are stored."""


class CacheWriter:
    """Appends teacher outputs to a folder that appears when it is whole.

    Nothing but the batch in hand is in memory. A killed process leaves a draft, which the next
    writer of the folder removes.

    Args:
        folder: What is written.
        wait: Whether to wait for another writer of the folder.

    Raises:
        DiskError: If the disk is full or cannot be written to.
        BlockingIOError: If another process writes the folder and ``wait`` is false.
    """

    def __init__(self, folder: Path, wait: bool = True) -> None:
        self._stack = ExitStack()
        self._draft = self._stack.enter_context(new_folder(folder, WHAT, wait=wait))
        self._files: dict[str, BinaryIO] = {}
        self._shapes: dict[str, list[int]] = {}
        self._rows = 0

    def __enter__(self) -> CacheWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self._stack.__exit__(kind, error, trace)

    def append(self, index: NDArray[np.int64], output: TeacherOutput) -> None:
        """Add a batch, and the rows of the split that it is about."""
        try:
            self._write("index", index.astype("<i8"))
            self._write("logits", output.logits.detach().cpu().numpy().astype("<f4"))
            for number, tokens in enumerate(output.tokens):
                self._write(f"tokens-{number}", tokens.detach().cpu().numpy().astype("<f2"))
        except OSError as error:
            # Through the draft's own way out: it is removed and the error put into words.
            with self._stack:
                raise error
        self._rows += len(index)

    def close(self) -> None:
        """Finish the folder."""
        with self._stack:
            for file in self._files.values():
                file.close()
            sums = {name: checksum(self._draft / f"{name}.bin") for name in self._files}
            index = {"rows": self._rows, "shapes": self._shapes, "sums": sums}
            write_json(self._draft / "index.json", index)

    def discard(self) -> None:
        """Remove what was written."""
        stopped = InterruptedError()
        self._stack.__exit__(InterruptedError, stopped, None)

    def _write(self, name: str, rows: NDArray[np.generic]) -> None:
        if name not in self._files:
            path = self._draft / f"{name}.bin"
            self._files[name] = self._stack.enter_context(path.open("wb"))
            self._shapes[name] = list(rows.shape[1:])
        self._files[name].write(np.ascontiguousarray(rows).tobytes())


class CacheFile:
    """Stored teacher outputs; rows are read from disk on demand."""

    def __init__(self, folder: Path, rows: int, shapes: dict[str, list[int]]) -> None:
        def opened(name: str, kind: str) -> NDArray[np.generic]:
            shape = (rows, *shapes[name])
            return np.memmap(folder / f"{name}.bin", dtype=kind, mode="r", shape=shape)

        self.index = np.asarray(opened("index", "<i8"))
        self._logits = opened("logits", "<f4")
        names = sorted((n for n in shapes if n.startswith("tokens-")), key=_number)
        self._tokens = [opened(name, "<f2") for name in names]

    def __len__(self) -> int:
        return len(self.index)

    def rows(self, rows: Rows) -> TeacherOutput:
        """The outputs of some rows, in their order."""
        tokens = tuple(torch.from_numpy(np.array(block[rows])) for block in self._tokens)
        return TeacherOutput(torch.from_numpy(np.array(self._logits[rows])), tokens)


def as_stored(tokens: Tensor) -> Tensor:
    """Tokens in float16; what is beyond its range becomes its end."""
    most = torch.finfo(torch.float16).max
    return tokens.detach().clamp(-most, most).half()


def open_cache_file(folder: Path) -> CacheFile | None:
    """The stored outputs of a folder, if its checksums are right; a damaged one is removed."""
    if not folder.exists():
        return None
    index = read_json(folder / "index.json")
    sums = index.get("sums", {})
    whole = "logits" in sums and all(
        (folder / f"{name}.bin").is_file() and checksum(folder / f"{name}.bin") == value
        for name, value in sums.items()
    )
    if whole:
        return CacheFile(folder, index["rows"], index["shapes"])
    log.warning("Teachers' outputs in %s are damaged; computing them again.", folder)
    shutil.rmtree(folder)
    return None


def _number(name: str) -> int:
    return int(name.rsplit("-", 1)[1])
