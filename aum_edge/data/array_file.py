""".npy files written a batch at a time and read back without loading them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class ArrayWriter:
    """Appends float32 rows to a .npy file of known shape.

    Plain writes, not a memory map: on a full disk a map ends the process with SIGBUS where a
    write raises OSError.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._rows = 0
        self._file = path.open("wb")
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, rows: Floats) -> None:
        """Write rows of shape (b, ...)."""
        if rows.shape[1:] != self._shape[1:]:
            raise ValueError(f"Rows of {rows.shape[1:]} do not fit an array of {self._shape}.")
        self._file.write(np.ascontiguousarray(rows, dtype="<f4").tobytes())
        self._rows += len(rows)

    def close(self) -> None:
        """Finish the file.

        Raises:
            ValueError: If fewer or more rows came than the shape says.
        """
        self._file.close()
        if self._rows != self._shape[0]:
            raise ValueError(f"Got {self._rows} rows for an array of {self._shape}.")


def open_array(path: Path) -> Floats:
    """The array of a .npy file, read-only and from disk on demand."""
    array: Floats = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
