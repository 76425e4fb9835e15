"""A generated corpus of scenes in the layout of TAU Urban Acoustic Scenes 2022 Mobile.

It stands in for the challenge corpus where that cannot be downloaded: the same classes, file
names, tables, devices and splits. Its sounds are synthetic, so a score on it says that a
pipeline works and how two models compare on it, not how either does on real scenes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from aum_edge.audio.wav import write_wav
from aum_edge.core.files import new_folder, read_json, require_space, write_json
from aum_edge.core.progress import Progress
from aum_edge.data.corpora.registry import CorpusConfig, CorpusSource, register
from aum_edge.data.corpora.synthetic.devices import SEEN, UNSEEN, device_generator, record
from aum_edge.data.corpora.synthetic.events import RATE, Samples
from aum_edge.data.corpora.synthetic.scenes import SCENES, Location, make_location, make_segment
from aum_edge.data.corpora.tau2022 import SUBSETS, read_layout
from aum_edge.data.manifest import Manifest, Split
from aum_edge.errors import DataError, RecipeError

log = logging.getLogger(__name__)
VERSION = 1
"""Raised whenever the same configuration would sound different."""
MARKER = "synthetic.json"
CITIES = (
    "barcelona", "helsinki", "lisbon", "london", "lyon",
    "milan", "paris", "prague", "stockholm", "vienna",
)  # fmt: skip
PLACES = {"train": (0, 1), "test": (2,)}
"""Of three locations per class and city, two are trained on and one is tested on."""


@register("synthetic")
@dataclass(frozen=True, kw_only=True)
class SyntheticConfig(CorpusConfig):
    """The generated scenes: ten classes, ten cities, nine devices, clips of 1 s.

    Without ``root`` they are generated below the cache folder.
    """

    seed: int = 0
    """Of the generated sounds."""
    n_train: int = 1200
    """Clips of 1 s to learn from; validation rows are split off."""
    n_test: int = 450
    """Clips of 1 s from other locations, spread evenly over all nine devices."""
    pieces: int = 2
    """Clips cut from one recorded segment."""
    spread: float = 1.0
    """Scales how far locations and segments of one class lie apart; larger is harder."""
    device_strength: float = 1.0
    """Scales how much each device colours what it records; larger is harder."""

    def __post_init__(self) -> None:
        if not 1 <= self.pieces <= 10:
            raise RecipeError(f"Synthetic `pieces` must be 1 to 10, got {self.pieces}.")
        least = {"n_train": 20 * self.pieces, "n_test": 10}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise RecipeError(
                    f"Synthetic `{name}` must be at least {low} (every class needs clips from two "
                    f"locations), got {getattr(self, name)}."
                )
        for name in ("spread", "device_strength"):
            if not 0 <= getattr(self, name) <= 5:
                raise RecipeError(f"Synthetic `{name}` must be 0 to 5, got {getattr(self, name)}.")

    def load(self, source: CorpusSource) -> Manifest:
        """Generate the corpus unless it is there, and read it.

        Raises:
            DataError: As :func:`generate`.
        """
        root = Path(source.root) if source.root else source.cache_dir / self._folder()
        return read_layout(generate(self, root, source.progress), "split100", "synthetic")

    def _folder(self) -> str:
        text = json.dumps([VERSION, asdict(self)])
        return f"synthetic-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class _Recording:
    """One segment of one place as one device records it."""

    split: Split
    scene: str
    city: str
    location: int
    segment: int
    device: str

    @property
    def stem(self) -> str:
        return f"{self.scene}-{self.city}-{self.location}-{self.segment}"

    def filename(self, piece: int) -> str:
        return f"audio/{self.stem}-{piece}-{self.device}.wav"


def generate(config: SyntheticConfig, root: Path, progress: Progress | None = None) -> Path:
    """Write the corpus into ``root`` and return it; do nothing when it is complete already.

    Location, segment and recording each draw from their own seed, so the same configuration gives
    the same samples. About 12 ms and 132 kB a clip. A killed run leaves no ``root``.

    Raises:
        DataError: ``root`` holds something else, or the disk is full.
    """
    settings = {"version": VERSION, **asdict(config)}
    if root.exists():
        if _complete(root, settings):
            return root
        _clear(root, settings)
    clips = [*_clips("train", config), *_clips("test", config)]
    require_space(root.parent, 3 * RATE * len(clips), "the synthetic corpus")
    with new_folder(root, "the synthetic corpus") as draft:
        (draft / "audio").mkdir()
        (draft / "split_setup").mkdir()
        _write_audio(draft, clips, config, progress)
        _write_tables(draft, clips)
        size = (draft / clips[0][0].filename(clips[0][1])).stat().st_size
        write_json(draft / MARKER, {**settings, "clips": len(clips), "clip_bytes": size})
    return root


def _complete(root: Path, settings: dict[str, object]) -> bool:
    marker = read_json(root / MARKER)
    if any(marker.get(key) != value for key, value in settings.items()):
        return False
    sizes = [path.stat().st_size for path in (root / "audio").glob("*.wav")]
    return len(sizes) == marker.get("clips") and set(sizes) == {marker.get("clip_bytes")}


def _clear(root: Path, settings: dict[str, object]) -> None:
    """Remove a damaged copy of the same corpus; refuse to touch anything else."""
    if root.is_dir() and not any(root.iterdir()):
        root.rmdir()
        return
    marker = read_json(root / MARKER)
    if any(marker.get(key) != value for key, value in settings.items()):
        raise DataError(
            f"{root} holds other files or a synthetic corpus of other settings: give an empty "
            "folder, or leave `root` out."
        )
    log.warning("The synthetic corpus in %s is damaged; generating it again.", root)
    shutil.rmtree(root)


def _clips(split: Split, config: SyntheticConfig) -> list[tuple[_Recording, int]]:
    """Exactly the number of clips asked for: (recording, piece)."""
    wanted = config.n_train if split == "train" else config.n_test
    clips = (
        (recording, piece) for recording in _recordings(split) for piece in range(config.pieces)
    )
    return [next(clips) for _ in range(wanted)]


def _recordings(split: Split) -> Iterator[_Recording]:
    """Segments for ever, classes in turn, each with the devices that record it in parallel."""
    scenes = list(SCENES)
    places = PLACES[split]
    segment = 0 if split == "train" else 500_000
    while True:
        turn, scene = divmod(segment % 500_000, len(scenes))
        # Locations take turns before cities repeat, so few segments already cover both.
        city = (turn // len(places) + 3 * scene) % len(CITIES)
        location = (scene * len(CITIES) + city) * 3 + places[turn % len(places)]
        for device in _devices(split, turn, scene):
            yield _Recording(split, scenes[scene], CITIES[city], location, segment, device)
        segment += 1


def _devices(split: Split, turn: int, scene: int) -> tuple[str, ...]:
    """Train: always ``a``, every third time another one as well. Test: two of nine, in turn."""
    if split == "train":
        other = SEEN[1 + (turn // 3 + scene) % (len(SEEN) - 1)]
        return ("a", other) if (turn + scene) % 3 == 0 else ("a",)
    every = SEEN + UNSEEN
    first = 2 * (turn * len(SCENES) + scene)
    return every[first % len(every)], every[(first + 1) % len(every)]


def _write_audio(
    root: Path,
    clips: list[tuple[_Recording, int]],
    config: SyntheticConfig,
    progress: Progress | None,
) -> None:
    place = lru_cache(maxsize=None)(make_location)
    last, scene_stem = None, ""
    for done, (recording, piece) in enumerate(clips, start=1):
        if recording.stem != scene_stem:
            where = place(
                recording.scene, recording.city, recording.location, config.seed, config.spread
            )
            scene = _scene_at(recording, where, config)
            scene_stem = recording.stem
        if recording != last:
            rng = device_generator(config.seed, f"{recording.stem}-{recording.device}")
            recorded = record(scene, recording.device, rng, config.device_strength)
            last = recording
        samples = recorded[piece * RATE : (piece + 1) * RATE]
        write_wav(root / recording.filename(piece), samples, RATE, bits=24)
        if progress and (done % 50 == 0 or done == len(clips)):
            progress(done, len(clips), "synthetic clips written")


def _scene_at(recording: _Recording, place: Location, config: SyntheticConfig) -> Samples:
    rng = np.random.default_rng([config.seed, recording.segment, 2])
    return make_segment(recording.scene, place, rng, config.pieces * RATE, config.spread)


def _write_tables(root: Path, clips: list[tuple[_Recording, int]]) -> None:
    meta = ["filename\tscene_label\tidentifier\tsource_label"]
    for item, piece in clips:
        place = f"{item.city}-{item.location}"
        meta.append(f"{item.filename(piece)}\t{item.scene}\t{place}\t{item.device}")
    (root / "meta.csv").write_text("\n".join(meta) + "\n", encoding="utf-8")
    train = [clip for clip in clips if clip[0].split == "train"]
    for subset in SUBSETS:
        share = int(subset.removeprefix("split")) / 100
        _write_split(root, subset, _first_segments(train, share))
    _write_split(root, "test", [clip for clip in clips if clip[0].split == "test"])


def _first_segments(
    clips: list[tuple[_Recording, int]], share: float
) -> list[tuple[_Recording, int]]:
    """Whole segments from the beginning; segments are in no order but the classes' turns."""
    last = clips[-1][0].segment
    return [clip for clip in clips if clip[0].segment <= share * last]


def _write_split(root: Path, name: str, clips: list[tuple[_Recording, int]]) -> None:
    lines = ["filename\tscene_label"]
    lines += [f"{recording.filename(piece)}\t{recording.scene}" for recording, piece in clips]
    path = root / "split_setup" / f"{name}.csv"
    path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
