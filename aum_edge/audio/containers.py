"""Truncated audio files, found by what their containers declare."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_CAPTURE = b"OggS\0"
_HEADER = 27
_LONGEST_PAGE = 65_307
_LAST_PAGE = 4
_NO_POSITION = (1 << 64) - 1
"""Of a page on which no packet ends."""
_SIZE_LINE = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE
)
_STREAMED = 0x7FFF_0000
"""Recorders that write to a pipe put a size from here up where they do not know it yet."""


@dataclass(frozen=True)
class OggEnd:
    """Last page of an Ogg file."""

    missing: str | None
    """Half a sentence when the file was cut short."""
    last_start: int
    """Samples (of Vorbis) that are complete before the last page; 0 if that is not to be seen."""


def ogg_end(path: Path) -> OggEnd | None:
    """Read the end of a file, ``None`` if it is no Ogg file.

    Source: RFC 3533, section 6.
    """
    with path.open("rb") as file:
        if file.read(4) != _CAPTURE[:4]:
            return None
        size = file.seek(0, 2)
        file.seek(max(0, size - 2 * _LONGEST_PAGE))
        tail = file.read()
    at = tail.rfind(_CAPTURE)
    return OggEnd(_missing(tail[at:] if at >= 0 else b""), _position_before(tail, at))


def _missing(page: bytes) -> str | None:
    body = page[_HEADER:]
    segments = page[_HEADER - 1] if body else 0
    if not body or len(body) - segments < sum(body[:segments]):
        return "its last Ogg page is not whole"
    if not page[5] & _LAST_PAGE:
        return "its last Ogg page is not marked as the end"
    return None


def _position_before(tail: bytes, at: int) -> int:
    while at > 0:
        at = tail.rfind(_CAPTURE, 0, at)
        position = int.from_bytes(tail[at + 6 : at + 14], "little") if at >= 0 else 0
        if position != _NO_POSITION:
            return position
    return 0


def is_truncated(path: Path, header_log: str) -> str | None:
    """How much of a file is missing, as far as its container says.

    WAV, AIFF, AU, W64 and RF64 state their size; Ogg marks its last page. FLAC and MP3 state
    samples, so for them the cut shows only when decoding ends early.

    Args:
        path: An audio file that libsndfile could open.
        header_log: What libsndfile wrote down while it read the header.

    Returns:
        Half a sentence for the user, or ``None`` when nothing is known to be missing.
    """
    for promised, found in _SIZE_LINE.findall(header_log):
        if int(found) < int(promised) < _STREAMED:
            return f"its header promises {promised} bytes and {found} are there"
    ogg = ogg_end(path)
    return ogg.missing if ogg else None
