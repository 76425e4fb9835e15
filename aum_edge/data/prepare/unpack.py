"""Archives of a corpus, unpacked safely and once."""

from __future__ import annotations

import logging
import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from aum_edge.core.files import disk_errors, new_file, read_json, require_space, write_json
from aum_edge.core.progress import Progress
from aum_edge.errors import DataError

log = logging.getLogger(__name__)
RECORD = ".unpacked.json"
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def unpack_all(
    archives: Sequence[Path], root: Path, top: str, progress: Progress | None = None
) -> int:
    """Unpack archives into ``root``; how many files were written.

    ``top`` is the folder inside that stands for ``root``. An archive that was unpacked before
    (told by name, size and time) is not opened again, and of one that was interrupted only what is
    missing is written. Every file gets its name when it is whole.

    Raises:
        DataError: A truncated or damaged archive, a member that would leave ``root``, a full disk.
    """
    record = root / RECORD
    done = read_json(record)
    written = 0
    for archive in archives:
        if not archive.is_file():
            raise DataError(f"There is no archive {archive}: download it again.")
        status = archive.stat()
        mark = [status.st_size, status.st_mtime_ns]
        if done.get(archive.name) == mark:
            continue
        written += unpack(archive, root, top, progress)
        done[archive.name] = mark
        write_json(record, done)
    return written


def unpack(archive: Path, root: Path, top: str = "", progress: Progress | None = None) -> int:
    """Unpack one archive; how many files were written.

    Raises:
        DataError: As :func:`unpack_all`.
    """
    try:
        with zipfile.ZipFile(archive) as source:
            members = [
                (info, _place(archive, info, top))
                for info in source.infolist()
                if not info.is_dir()
            ]
            missing = [(info, place) for info, place in members if not _there(root / place, info)]
            require_space(root, sum(info.file_size for info, _ in missing), archive.name)
            with disk_errors(root, archive.name):
                for count, (info, place) in enumerate(missing, start=1):
                    _write(source, info, root / place)
                    if progress and (count % 200 == 0 or count == len(missing)):
                        progress(count, len(missing), f"files of {archive.name} unpacked")
            return len(missing)
    except BROKEN as error:
        raise DataError(
            f"{archive} is truncated or damaged ({error}): remove it and download it again."
        ) from error


def _place(archive: Path, info: zipfile.ZipInfo, top: str) -> PurePosixPath:
    """Where a member goes below the root."""
    path = PurePosixPath(info.filename)
    link = stat.S_ISLNK(info.external_attr >> 16)
    strange = (
        not path.parts
        or path.is_absolute()
        or ".." in path.parts
        or "\\" in info.filename
        or ":" in path.parts[0]
    )
    if strange or link:
        kind = "is a link" if link else "points outside its folder"
        raise DataError(
            f"{archive} holds {info.filename!r}, which {kind}: it is no archive of this corpus; "
            "nothing of it was unpacked."
        )
    inside = path.parts[1:] if top and path.parts[0] == top else path.parts
    return PurePosixPath(*inside)


def _there(path: Path, info: zipfile.ZipInfo) -> bool:
    return path.is_file() and path.stat().st_size == info.file_size


def _write(source: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    with new_file(path, sync=False) as draft:
        with source.open(info) as member, draft.open("wb") as sink:
            shutil.copyfileobj(member, sink, 1 << 20)
