"""Arrays on disk: .npy files written a batch at a time, and read by rows on demand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Stored = Literal["float32", "float16"]
TYPES: dict[str, str] = {"float32": "<f4", "float16": "<f2"}


class ArrayWriter:
    """Appends float rows to a .npy file of known shape; goes on after the first ``rows`` of it.

    Plain writes, not a memory map: on a full disk a map ends the process with SIGBUS where a
    write raises OSError.
    """

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: Stored = "float32", rows: int = 0
    ) -> None:
        self._shape = shape
        self._type = np.dtype(TYPES[dtype])
        self._rows = rows
        self._file = path.open("r+b" if rows else "wb")
        header = {"descr": self._type.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        row = int(np.prod(shape[1:])) * self._type.itemsize
        self._file.seek(self._file.tell() + rows * row)
        self._file.truncate()

    def append(self, rows: Floats) -> None:
        """Write rows of shape (b, ...)."""
        if rows.shape[1:] != self._shape[1:]:
            raise ValueError(f"Rows of {rows.shape[1:]} do not fit an array of {self._shape}.")
        self._file.write(np.ascontiguousarray(rows, dtype=self._type).tobytes())
        self._rows += len(rows)

    def sync(self) -> None:
        """Bring what was appended to the disk, so that a record of it holds after a crash."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Finish the file.

        Raises:
            ValueError: If fewer or more rows came than the shape says.
        """
        self._file.close()
        if self._rows != self._shape[0]:
            raise ValueError(f"Got {self._rows} rows for an array of {self._shape}.")


class HalfArray:
    """A float16 array on disk whose rows come out as float32; looks like an array to readers."""

    def __init__(self, base: NDArray[np.float16]) -> None:
        self._base = base
        self.shape = base.shape
        self.size = base.size

    def __len__(self) -> int:
        return len(self._base)

    def __getitem__(self, index: Any) -> Floats:
        return np.asarray(self._base[index], dtype=np.float32)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._base, dtype=dtype or np.float32)


class ArrayRows:
    """Some rows of an array that stays where it is; looks like an array (n, ...) to readers."""

    def __init__(self, base: Floats, rows: Rows) -> None:
        self._base = base
        self._rows = rows
        self.shape = (len(rows), *base.shape[1:])
        self.size = int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Floats:
        made: Floats = self._base[self._rows[index]]
        return made

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._base[self._rows], dtype=dtype)


def open_array(path: Path) -> Floats:
    """The array of a .npy file, read-only and from disk on demand; rows are float32."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return cast(Floats, HalfArray(array) if array.dtype == np.float16 else array)
