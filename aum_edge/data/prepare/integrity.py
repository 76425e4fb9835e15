"""Every file of a corpus decoded once, in parallel, resumably: what cannot be trusted, by name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from aum_edge.audio.io import blocks, open_sound
from aum_edge.audio.quality import CLIP_LEVEL, CLIPPED_SHARE, SILENT_DB
from aum_edge.core.files import write_text
from aum_edge.core.progress import Progress
from aum_edge.data.prepare.tau2022_tables import Problems, note
from aum_edge.data.segments import WORKERS
from aum_edge.errors import AudioError

CHUNK = 128
"""Files of one piece of parallel work, and of one line of the record."""
UNUSABLE = ("unreadable", "NaN or Inf", "wrong rate", "wrong length", "wrong channels")
"""Flaws that take a file out of a cleaned corpus; silent and clipped files stay."""
Flaw = tuple[str, str]
"""Kind and remark."""
Stamp = tuple[int, int]
"""Size and modification time of a file."""
Checked = tuple[str, Stamp, list[Flaw], bool]
Known = dict[str, tuple[Stamp, list[Flaw]]]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What every file of a corpus is."""

    sample_rate: int = 44_100
    samples: int = 44_100
    channels: int = 1


def check_files(
    root: Path,
    names: Sequence[str],
    expected: Expected = Expected(),
    record: Path | None = None,
    progress: Progress | None = None,
) -> tuple[Problems, dict[str, str]]:
    """Flaws by kind, and the unusable files with their reason.

    Every file is decoded: unreadable, another rate, length or number of channels, NaN or Inf,
    silent (peak below -60 dB of full scale), clipped (over 0.1 % on a flat top). ``record`` keeps
    what was found; a later call decodes only files that are new or changed, so a check that was
    killed goes on. Memory: a chunk of files a worker, and a line of text a file.
    """
    known = _read_record(record)
    problems: Problems = {}
    bad: dict[str, str] = {}
    done = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        sink = record.open("a", encoding="utf-8") if record else None
        try:
            for chunk in _windows(pool, root, names, known, expected):
                fresh = {name: [stamp, flaws] for name, stamp, flaws, new in chunk if new}
                if sink and fresh:
                    sink.write(json.dumps(fresh) + "\n")
                    sink.flush()
                for name, _, flaws, _ in chunk:
                    for kind, remark in flaws:
                        note(problems, kind, f"{name}: {remark}" if remark else name)
                        if kind in UNUSABLE:
                            bad[name] = f"{kind}: {remark}" if remark else kind
                done += len(chunk)
                if progress:
                    progress(done, len(names), "files checked")
        finally:
            if sink:
                sink.close()
    return problems, bad


def _windows(
    pool: ThreadPoolExecutor, root: Path, names: Sequence[str], known: Known, expected: Expected
) -> Iterator[list[Checked]]:
    """Chunks in order, a few in flight at a time."""
    starts = iter(range(0, len(names), CHUNK))

    def work(start: int) -> list[Checked]:
        return [_one(root, name, known, expected) for name in names[start : start + CHUNK]]

    waiting = [pool.submit(work, start) for start in islice(starts, 2 * WORKERS)]
    while waiting:
        yield waiting.pop(0).result()
        waiting += [pool.submit(work, start) for start in islice(starts, 1)]


def _one(root: Path, name: str, known: Known, expected: Expected) -> Checked:
    path = root / name
    stamp = _stamp(path)
    before = known.get(name)
    if before and before[0] == stamp:
        return name, stamp, before[1], False
    return name, stamp, file_flaws(path, expected), True


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return (-1, -1)
    return status.st_size, status.st_mtime_ns


def file_flaws(path: Path, expected: Expected) -> list[Flaw]:
    """What is wrong with one file; empty when nothing is."""
    flaws: list[Flaw] = []
    try:
        with open_sound(path) as sound:
            found = (sound.samplerate, sound.frames, sound.channels)
            samples = np.concatenate(list(blocks(sound, path)))
    except AudioError as error:
        return [("unreadable", str(error).removeprefix(f"{path} "))]
    wanted = (expected.sample_rate, expected.samples, expected.channels)
    units = (("wrong rate", "Hz"), ("wrong length", "samples"), ("wrong channels", "channels"))
    for (kind, unit), got, want in zip(units, found, wanted, strict=True):
        if got != want:
            flaws.append((kind, f"{got} {unit}, not {want}"))
    peak = float(np.abs(samples).max())
    if not np.isfinite(peak):
        bad = int(samples.size - np.isfinite(samples).sum())
        return [*flaws, ("NaN or Inf", f"{bad} samples")]
    if peak < 10 ** (SILENT_DB / 20):
        flaws.append(("silent", f"peak {20 * np.log10(peak):.0f} dB" if peak else "all zeros"))
    elif peak >= CLIP_LEVEL:
        flat = (np.abs(samples[1:]) >= CLIP_LEVEL) & (samples[1:] == samples[:-1])
        share = float(flat.any(axis=1).mean())
        if share > CLIPPED_SHARE:
            flaws.append(("clipped", f"{100 * share:.1f} % of its time"))
    return flaws


def _read_record(record: Path | None) -> Known:
    """What an earlier check found; a last line that was cut off by a kill is left out."""
    known: Known = {}
    if record is None or not record.is_file():
        return known
    text = record.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        write_text(record, text)
    for line in text.splitlines():
        for name, (stamp, flaws) in json.loads(line).items():
            known[name] = (tuple(stamp), [tuple(flaw) for flaw in flaws])
    return known
