"""Logits of a whole corpus: in order, resumable, in memory that does not grow with it."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from aum_edge.core.files import disk_errors, read_json, require_space, write_json, write_text
from aum_edge.core.progress import Progress
from aum_edge.errors import AudioError, DataError
from aum_edge.submission.file_list import Listing
from aum_edge.submission.runtime.scenes import SCENES
from aum_edge.submission.runtime.system import Running, System, stream_logits

Logits = NDArray[np.float32]
ROW = 4 * len(SCENES)
"""Bytes of one file's logits."""
VALUES, JOURNAL, KEY = "logits.f32", "done.txt", "key.json"


def predict_listing(
    system: System,
    weights: str,
    listing: Listing,
    store: Path,
    running: Running,
    progress: Progress | None = None,
) -> Logits:
    """Logits (n, 10) of every file in the order of the list.

    Rows go to ``store`` as they are made, each piece with a checksum; the same call goes on after
    the last whole piece, however the one before ended. Another list or other weights start anew.

    Args:
        system: The networks.
        weights: :func:`weights_key` of them.
        listing: The files.
        store: A folder of its own.
        running: Batch size, threads and device.
        progress: Called with files done, all files and what is done.

    Raises:
        DataError: A file cannot be decoded (what is done is kept), or the disk is full.
    """
    require_space(store.parent, ROW * len(listing.names), "the predictions")
    with disk_errors(store.parent, "predictions"):
        store.mkdir(parents=True, exist_ok=True)
        done = _resumed(store, _key(listing, weights))
        _predict_rest(system, listing, store, running, (done, progress))
    values: Logits = np.fromfile(store / VALUES, dtype="<f4").reshape(-1, len(SCENES))
    bad = int((~np.isfinite(values)).any(axis=1).sum())
    if bad:
        raise DataError(f"The models answer NaN or infinity for {bad} of {len(values)} files.")
    return values


def weights_key(folder: Path) -> str:
    """Hash of all files below a system's folder of weights."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _key(listing: Listing, weights: str) -> dict[str, object]:
    digest = hashlib.sha256()
    for name, device in zip(listing.names, listing.devices, strict=True):
        digest.update(f"{name}\t{device}\n".encode())
    return {"files": len(listing.names), "list": digest.hexdigest(), "weights": weights}


def _resumed(store: Path, key: dict[str, object]) -> int:
    """How many rows of the same job are there and whole; what follows them is cut off."""
    if read_json(store / KEY) != key:
        for name in (VALUES, JOURNAL, KEY):
            (store / name).unlink(missing_ok=True)
        (store / VALUES).touch()
        (store / JOURNAL).touch()
        write_json(store / KEY, dict(key))
        return 0
    done, lines = 0, []
    with (store / VALUES).open("rb") as values:
        for line in (store / JOURNAL).read_text(encoding="utf-8").splitlines():
            end, _, checksum = line.partition(" ")
            if not end.isdigit() or not checksum.isdigit() or int(end) <= done:
                break
            piece = values.read((int(end) - done) * ROW)
            if len(piece) != (int(end) - done) * ROW or zlib.crc32(piece) != int(checksum):
                break
            done = int(end)
            lines.append(line)
    os.truncate(store / VALUES, done * ROW)
    write_text(store / JOURNAL, "".join(f"{line}\n" for line in lines))
    return done


def _predict_rest(
    system: System,
    listing: Listing,
    store: Path,
    running: Running,
    at: tuple[int, Progress | None],
) -> None:
    done, progress = at
    total = len(listing.names)
    if progress and done:
        progress(done, total, "files predicted before")
    rest = stream_logits(listing.paths[done:], listing.devices[done:], system, running)
    with (store / VALUES).open("ab") as values, (store / JOURNAL).open("ab") as journal:
        try:
            for logits in rest:
                done += len(logits)
                _append(values, logits.numpy().astype("<f4").tobytes())
                piece = zlib.crc32(logits.numpy().astype("<f4").tobytes())
                _append(journal, f"{done} {piece}\n".encode())
                if progress:
                    progress(done, total, "files predicted")
        except AudioError as error:
            raise DataError(
                f"{error} The {done} files before it are predicted and kept: replace the file and "
                "run the same command again."
            ) from error
        finally:
            rest.close()


def _append(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()
