"""Cutting long recordings into segments, and finding the segments that hold no sound."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from aum_edge.audio.io import audio_info, read_audio
from aum_edge.audio.quality import SILENT_DB
from aum_edge.core.files import read_json, write_json
from aum_edge.core.progress import Progress
from aum_edge.data.manifest import Clip, fingerprint
from aum_edge.errors import AudioError

log = logging.getLogger(__name__)
SILENT_PEAK = 10 ** (SILENT_DB / 20)
WORKERS = min(4, os.cpu_count() or 1)


def cut(clips: Sequence[Clip], seconds: float) -> tuple[Clip, ...]:
    """Each clip as its segments of ``seconds``, all with the clip's ``clip_id``.

    The number of segments is the length rounded to whole segments, at least one: the last may be
    up to half a segment short, and less than half a segment at the end is left out. A file that
    cannot be read stays one row, so that whoever reads the audio reports it.
    """
    with ThreadPoolExecutor(WORKERS) as pool:
        lengths = list(pool.map(_seconds, [clip.path for clip in clips]))
    rows = []
    for clip, length in zip(clips, lengths, strict=True):
        count = max(1, int(length / seconds + 0.5))
        if count == 1:
            rows.append(clip)
        for index in range(count if count > 1 else 0):
            end = min(length, round((index + 1) * seconds, 6))
            rows.append(replace(clip, start=round(index * seconds, 6), end=end))
    return tuple(rows)


def drop_silent(
    clips: Sequence[Clip], cache_dir: Path, progress: Progress | None = None
) -> tuple[Clip, ...]:
    """Leave out segments whose peak is below -60 dB of full scale, and say how many.

    A clip that is silent throughout keeps its loudest segment, so no clip is lost and every clip
    is still scored once. Reads all audio the first time; the peaks are kept in ``cache_dir``.
    """
    peaks = segment_peaks(clips, cache_dir, progress)
    loudest: dict[str, int] = {}
    for row, clip in enumerate(clips):
        if peaks[row] > peaks[loudest.setdefault(clip.clip_id, row)]:
            loudest[clip.clip_id] = row
    kept = [
        clip
        for row, clip in enumerate(clips)
        if peaks[row] >= SILENT_PEAK or loudest[clip.clip_id] == row
    ]
    if len(kept) < len(clips):
        log.info("Left out %d of %d segments: silent.", len(clips) - len(kept), len(clips))
    return tuple(kept)


def segment_peaks(
    clips: Sequence[Clip], cache_dir: Path, progress: Progress | None = None
) -> list[float]:
    """Largest absolute sample of each row, from the cache when the audio is unchanged."""
    record = cache_dir / f"peaks-{fingerprint(clips)[:32]}.json"
    stored = read_json(record).get("peaks")
    if isinstance(stored, list) and len(stored) == len(clips):
        return [float(peak) for peak in stored]
    peaks = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for peak in pool.map(_peak, clips):
            peaks.append(peak)
            if progress and (len(peaks) % 50 == 0 or len(peaks) == len(clips)):
                progress(len(peaks), len(clips), "segments searched for silence")
    write_json(record, {"peaks": peaks})
    return peaks


def _seconds(path: Path) -> float:
    try:
        return audio_info(path).seconds
    except AudioError:
        return 0.0


def _peak(clip: Clip) -> float:
    try:
        samples, _ = read_audio(clip.path, clip.start, clip.end)
    except AudioError:
        return 1.0
    return float(np.abs(samples).max())
