"""Telling a file that was cut short from one that is whole."""

from __future__ import annotations

import re
from pathlib import Path

from aum_edge.audio.ogg import ogg_end

_SIZE_LINE = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE
)
_STREAMED = 0x7FFF_0000
"""Recorders that write to a pipe put a size from here up where they do not know it yet."""


def cut_short(path: Path, header_log: str) -> str | None:
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
