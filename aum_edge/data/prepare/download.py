"""Files of a public record: listed, fetched with resume, and held against their checksums."""

from __future__ import annotations

import hashlib
import json
import logging
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO

from aum_edge.core.files import disk_errors, require_space
from aum_edge.core.locks import hold_lock
from aum_edge.core.progress import Progress
from aum_edge.errors import DataError, RecipeError

log = logging.getLogger(__name__)
BLOCK = 1 << 20
AGENT = "aum-edge"
LOST = (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError)
GONE = (401, 403, 404, 410)
"""Answers that asking again does not change."""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Timeout of a connection, and how often it is retried."""

    timeout: float = 60.0
    """Seconds without a byte."""
    tries: int = 6
    """In a row without any progress; each that brings bytes starts the count anew."""
    pause: float = 2.0
    """Seconds before the second try; doubled for each further one, at most a minute."""

    def wait(self, failed: int) -> None:
        """Sleep before the next try."""
        time.sleep(min(60.0, self.pause * 2 ** max(0, failed - 1)))


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file of a record."""

    name: str
    url: str
    size: int
    md5: str


def list_record(
    base: str, record: str, patience: RetryPolicy = RetryPolicy()
) -> tuple[RemoteFile, ...]:
    """The files of a record, by name, from the JSON at ``base/record``.

    Raises:
        DataError: If the site does not answer, or its answer is no listing with sizes and MD5s.
    """
    url = f"{base.rstrip('/')}/{record}"
    response = _with_retries(lambda: _read_all(url, patience.timeout), url, patience)
    try:
        entries = json.loads(response)["files"]
        if isinstance(entries, dict):
            entries = list(entries["entries"].values())
        files = [_entry(entry, url) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{url} does not list files with their sizes and MD5 checksums ({error!r}): is it the "
            "record's address?"
        ) from error
    if not files:
        raise DataError(f"{url} lists no files: is it the record of a data set?")
    return tuple(sorted(files, key=lambda file: file.name))


def read_text(url: str, patience: RetryPolicy = RetryPolicy()) -> str:
    """A small text file, as UTF-8.

    Raises:
        DataError: If the site does not answer, or with something else than text.
    """
    try:
        return _with_retries(lambda: _read_all(url, patience.timeout), url, patience).decode(
            "utf-8"
        )
    except UnicodeDecodeError as error:
        raise DataError(f"{url} is no text file.") from error


def _entry(entry: dict[str, Any], url: str) -> RemoteFile:
    name, (kind, _, md5) = str(entry["key"]), str(entry["checksum"]).partition(":")
    if kind != "md5" or len(md5) != 32:
        raise ValueError(f"checksum {entry['checksum']}")
    if Path(name).name != name or name in ("", ".", ".."):
        raise ValueError(f"file name {name!r}")
    links = entry["links"]
    address = str(links.get("content") or links["self"])
    return RemoteFile(
        name=name, url=urllib.parse.urljoin(url, address), size=int(entry["size"]), md5=md5
    )


def fetch(
    file: RemoteFile,
    folder: Path,
    progress: Progress | None = None,
    patience: RetryPolicy = RetryPolicy(),
) -> Path:
    """Download a file into ``folder`` unless it is there; its path.

    Bytes go to ``<name>.part``, which the next call goes on with if this one is killed or the
    connection is lost for good. A whole file is held against its size and MD5 before it gets its
    name; one that differs is fetched once more from the beginning.

    Raises:
        DataError: No answer, too little space, or a checksum that is wrong twice.
    """
    final = folder / file.name
    if _is_whole(file, final, progress):
        return final
    part = folder / f"{file.name}.part"
    with disk_errors(folder, file.name), hold_lock(folder / f".{file.name}.lock"):
        # Another process may have fetched it while this one waited.
        if _is_whole(file, final, progress):
            return final
        have = part.stat().st_size if part.exists() else 0
        require_space(folder, max(0, file.size - have), file.name)
        for last in (False, True):
            digest = _fill(file, part, progress, patience)
            if digest == file.md5:
                part.replace(final)
                return final
            part.unlink()
            if not last:
                log.warning("%s arrived with a wrong checksum; fetching it again.", file.name)
    raise DataError(
        f"{file.name} has the MD5 {digest} and should have {file.md5}, twice over: the site's copy "
        "or something on the way is damaged. Nothing of it was kept."
    )


def _is_whole(file: RemoteFile, final: Path, progress: Progress | None) -> bool:
    """Whether the file is there; one of its size and another checksum is removed."""
    if not final.is_file() or final.stat().st_size != file.size:
        return False
    if md5_of(final, progress) == file.md5:
        return True
    log.warning("%s differs from its checksum; fetching it again.", final)
    final.unlink()
    return False


def md5_of(path: Path, progress: Progress | None = None) -> str:
    """MD5 of a file; about 2 s per GB."""
    size = path.stat().st_size
    digest, done = hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as file:
        while block := file.read(8 * BLOCK):
            digest.update(block)
            done += len(block)
            if progress:
                progress(done, size, f"bytes of {path.name} checked")
    return digest.hexdigest()


def _fill(file: RemoteFile, part: Path, progress: Progress | None, patience: RetryPolicy) -> str:
    """Bring the part up to the file's size; the MD5 of what is there then."""
    failed = 0
    while (have := part.stat().st_size if part.exists() else 0) < file.size:
        try:
            _append(file, part, have, progress, patience.timeout)
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            reason = f"{error.code} {error.reason}"
            if error.code == 416:
                part.unlink(missing_ok=True)
            elif error.code in GONE:
                raise DataError(
                    f"{file.url} cannot be fetched ({reason}): {file.name} is missing there."
                ) from error
        except LOST as error:
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        now = part.stat().st_size if part.exists() else 0
        if now >= file.size:
            break
        failed = 0 if now > have else failed + 1
        if failed >= patience.tries:
            raise DataError(
                f"{file.name} stopped at {now:,} of {file.size:,} bytes ({reason}), "
                f"{failed} tries in a row: run the same command again to go on from there."
            )
        log.info("%s: %s; going on from byte %d", file.name, reason, now)
        patience.wait(failed + 1)
    if part.stat().st_size > file.size:
        return f"of {part.stat().st_size:,} bytes instead of {file.size:,}"
    return md5_of(part, progress)


def _append(
    file: RemoteFile, part: Path, have: int, progress: Progress | None, timeout: float
) -> None:
    """Ask for what is missing and write it to the end of the part."""
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with _open(file.url, headers, timeout) as response:
        goes_on = bool(have) and response.status == 206 and _begins_at(response, have)
        if have and not goes_on:
            log.info("%s: the site does not resume; starting anew", file.name)
        with part.open("ab" if goes_on else "wb") as sink:
            _copy(response, sink, have if goes_on else 0, file, progress)


def _copy(
    response: HTTPResponse, sink: BinaryIO, done: int, file: RemoteFile, progress: Progress | None
) -> None:
    while block := response.read(BLOCK):
        sink.write(block)
        done += len(block)
        if progress:
            progress(min(done, file.size), file.size, f"bytes of {file.name}")
        if done > file.size:
            return


def _begins_at(response: HTTPResponse, byte: int) -> bool:
    return (response.headers.get("Content-Range") or "").startswith(f"bytes {byte}-")


def _open(url: str, headers: dict[str, str], timeout: float) -> HTTPResponse:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise RecipeError(f"A download's address starts with http:// or https://, got {url}.")
    response: HTTPResponse = urllib.request.urlopen(
        urllib.request.Request(url, headers=headers), timeout=timeout
    )
    return response


def _read_all(url: str, timeout: float) -> bytes:
    with _open(url, {"User-Agent": AGENT, "Accept": "application/json"}, timeout) as response:
        return response.read()


def _with_retries(request: Callable[[], bytes], url: str, patience: RetryPolicy) -> bytes:
    reason = ""
    for failed in range(1, patience.tries + 1):
        try:
            return request()
        except urllib.error.HTTPError as error:
            reason = f"{error.code} {error.reason}"
            if error.code in GONE:
                break
        except LOST as error:
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        if failed < patience.tries:
            patience.wait(failed)
    raise DataError(
        f"{url} does not answer ({reason}): check the address and the connection, or unpack the "
        "corpus yourself and give its folder."
    )
