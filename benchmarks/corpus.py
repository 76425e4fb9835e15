"""The challenge corpus at size: seconds to check, to cache and per epoch, and the memory they take.

    python benchmarks/corpus.py --clips 20000

Generates a corpus of exactly TAU's format (1 s, 44.1 kHz, 24 bit, its tables) into a temporary
folder, then runs every step in a process of its own. 20,000 clips take 2.7 GB of disk, their
caches 1.3 GB in 32 bit and 0.7 GB in 16 bit.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from aum_edge.audio.config import FrontEndConfig
from aum_edge.bench.host import host
from aum_edge.core.progress import stderr_progress
from aum_edge.data.config import DataConfig
from aum_edge.data.datamodule import AudioData
from aum_edge.data.prepare.tau2022_tables import DEVICES, SCENES

RATE = 44_100
CITIES = ("barcelona", "helsinki", "lisbon", "london", "lyon", "milan", "paris", "prague")
BATCH = 256
STREAMED = 1024
"""Clips that decoding every epoch is measured on."""


def main() -> int:
    """Measure, print and keep."""
    options = arguments()
    work = Path(tempfile.mkdtemp(prefix="corpus-", dir=options.folder))
    try:
        rows = measure(work, options)
        table = report(rows, options, work)
    finally:
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)
    print(table)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(table, encoding="utf-8")
    return 0


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="where the temporary folder goes")
    parser.add_argument("--out", type=Path, help="Markdown file for the table")
    parser.add_argument("--keep", action="store_true", help="leave the corpus there")
    return parser.parse_args()


def measure(work: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every step in its own process; a row each."""
    root = work / "tau"
    steps: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
        ("generate", generate, (root, options.clips)),
        ("check: tables and every file", check, (root,)),
        ("check again, nothing changed", check, (root,)),
        ("cache, 16 bit", cache, (root, work, "half")),
        ("open the cache", cache, (root, work, "half")),
        ("one epoch, 16-bit cache", epoch, (root, work, "half")),
        ("cache, 32 bit", cache, (root, work, "cache")),
        ("one epoch, 32-bit cache", epoch, (root, work, "cache")),
        (f"decoding {STREAMED} clips in an epoch", stream, (root, work)),
    ]
    rows = []
    for name, step, given in steps:
        print(f"== {name}", file=sys.stderr)
        rows.append({"step": name, **in_process(step, given)})
        print(json.dumps(rows[-1]), file=sys.stderr)
    return rows


def in_process(step: Callable[..., Any], given: tuple[Any, ...]) -> dict[str, Any]:
    """Seconds and peak memory of a step in a fresh process."""
    context = multiprocessing.get_context("spawn")
    inbox = context.SimpleQueue()
    process = context.Process(target=_child, args=(inbox, step, given))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"A step failed with code {process.exitcode}.")
    found: dict[str, Any] = inbox.get()
    return found


def _child(inbox: Any, step: Callable[..., Any], given: tuple[Any, ...]) -> None:
    peak = {"RssAnon": 0, "VmRSS": 0}
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.1):
            for name in peak:
                peak[name] = max(peak[name], memory(name))

    thread = threading.Thread(target=watch)
    thread.start()
    load, clock, cpu = os.getloadavg()[0], time.monotonic(), time.process_time()
    facts = step(*given) or {}
    seconds, used = time.monotonic() - clock, time.process_time() - cpu
    stop.set()
    thread.join()
    row = {"seconds": facts.pop("seconds", seconds), "cpu": facts.pop("cpu", used), "load": load}
    inbox.put({**row, "anon_mb": peak["RssAnon"] / 1e3, "rss_mb": peak["VmRSS"] / 1e3, **facts})


def memory(name: str) -> int:
    """Memory of this process by the kernel's count, kB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def generate(root: Path, clips: int) -> None:
    """Noise with a tone by scene; samples come from a small pool, headers are written by hand."""
    rng = np.random.default_rng(0)
    time_axis = np.arange(RATE) / RATE
    pool = []
    for number in range(64):
        tone = 0.2 * np.sin(2 * np.pi * (150 + 90 * (number % 10)) * time_axis)
        sound = tone + 0.05 * rng.standard_normal(RATE)
        words = np.round(np.clip(sound, -1, 1) * (2**23 - 1)).astype("<i4")
        pool.append(words.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    (root / "audio").mkdir(parents=True)
    (root / "split_setup").mkdir()
    head = header()
    meta, splits = ["filename\tscene_label\tidentifier\tsource_label"], {"train": [], "test": []}
    show = stderr_progress()
    for number in range(clips):
        scene = SCENES[number % 10]
        split = "test" if number % 7 >= 5 else "train"
        device = DEVICES[(number // 10) % (9 if split == "test" else 6)]
        city, place = CITIES[(number // 70) % 8], 2 * (number // 70 % 40) + (split == "test")
        name = f"audio/{scene}-{city}-{place}-{number // 10}-{number % 10}-{device}.wav"
        body = bytearray(pool[(number * 37) % 64])
        body[:6] = number.to_bytes(6, "little")
        (root / name).write_bytes(head + body)
        meta.append(f"{name}\t{scene}\t{city}-{place}\t{device}")
        splits[split].append(f"{name}\t{scene}")
        if number % 500 == 499:
            show(number + 1, clips, "clips written")
    (root / "meta.csv").write_text("\n".join(meta) + "\n")
    for name, split in (("split25", "train"), ("test", "test")):
        text = "\r\n".join(["filename\tscene_label", *splits[split]]) + "\r\n"
        (root / "split_setup" / f"{name}.csv").write_text(text, newline="")


def header() -> bytes:
    """44 bytes of a mono, 24-bit WAV of one second."""
    size = 3 * RATE
    words = [b"RIFF", (36 + size).to_bytes(4, "little"), b"WAVEfmt ", (16).to_bytes(4, "little")]
    words += [(1).to_bytes(2, "little"), (1).to_bytes(2, "little"), RATE.to_bytes(4, "little")]
    words += [(3 * RATE).to_bytes(4, "little"), (3).to_bytes(2, "little")]
    words += [(24).to_bytes(2, "little"), b"data", size.to_bytes(4, "little")]
    return b"".join(words)


def check(root: Path) -> dict[str, Any]:
    """As `aum-edge data prepare tau2022 DIR --no-download`."""
    from aum_edge.data.prepare.tau2022 import check_corpus

    summary = check_corpus(root, progress=stderr_progress())
    return {"problems": {k: v["count"] for k, v in summary["problems"].items()}}


def corpus(root: Path, work: Path, store: str) -> AudioData:
    """The corpus behind the challenge's front end."""
    config = DataConfig.of("tau2022", root, store=store, val_fraction=0.1)
    return AudioData(
        config,
        FrontEndConfig(),
        cache_dir=work / "cache",
        batch_size=BATCH,
        progress=stderr_progress(),
    )


def cache(root: Path, work: Path, store: str) -> dict[str, Any]:
    """Build every split's features, or open them."""
    corpus(root, work, store).setup("fit")
    files = sum(path.stat().st_size for path in (work / "cache").rglob("*.npy"))
    return {"disk_mb": files / 1e6}


def epoch(root: Path, work: Path, store: str) -> dict[str, Any]:
    """All training batches once, shuffled, as training asks for them."""
    data = corpus(root, work, store)
    data.setup("fit")
    return read_through(data, len(data.arrays["train"]))


def stream(root: Path, work: Path) -> dict[str, Any]:
    """Batches made from the audio, over the first clips; in this process, as two loaders would."""
    data = corpus(root, work, "stream")
    data.manifest = data._read_manifest()
    from aum_edge.data.features.stream import stream_splits

    arrays = stream_splits(data.manifest, data.frontend)["train"]
    clock, cpu = time.monotonic(), time.process_time()
    for start in range(0, STREAMED, BATCH):
        _ = arrays.features[np.arange(start, min(start + BATCH, STREAMED))]
    return {
        "seconds": time.monotonic() - clock,
        "cpu": time.process_time() - cpu,
        "clips": STREAMED,
        "train": len(arrays),
    }


def read_through(data: AudioData, clips: int) -> dict[str, Any]:
    """Seconds of one epoch's loading."""
    clock, cpu, total = time.monotonic(), time.process_time(), 0.0
    for batch in data.train_dataloader():
        total += float(batch["x"][:, 0, 0, 0].sum())
    used = time.process_time() - cpu
    return {"seconds": time.monotonic() - clock, "cpu": used, "clips": clips}


def report(rows: list[dict[str, Any]], options: argparse.Namespace, work: Path) -> str:
    """The table, with the host and how busy it was."""
    streamed = rows[-1]
    whole = {**streamed, "step": f"decoding every epoch, scaled to {streamed['train']:,} clips"}
    for name in ("seconds", "cpu"):
        whole[name] = streamed[name] * streamed["train"] / streamed["clips"]
    machine = host()
    said = ", ".join(
        f"{key} {value}" for key, value in machine.items() if isinstance(value, str | int)
    )
    lines = [
        f"# A corpus of TAU's format, {options.clips:,} clips",
        "",
        f"`python benchmarks/corpus.py --clips {options.clips}`, {datetime.now(UTC):%Y-%m-%d}; "
        f"{said}. Load is the host's at the step's start. Front end: 256 mels by 65 frames at "
        f"32 kHz; batches of {BATCH}. Own memory is what the process itself holds; the resident "
        "figure adds pages of files that the system may drop at any time.",
        "",
        "| Step | Seconds | CPU s | Load | Own memory, MB | Resident, MB | Remarks |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    known = ("step", "seconds", "cpu", "load", "anon_mb", "rss_mb")
    for row in [*rows, whole]:
        rest = "; ".join(f"{key} {_plain(row[key])}" for key in row if key not in known)
        lines.append(
            f"| {row['step']} | {row['seconds']:.1f} | {row['cpu']:.1f} | {row['load']:.1f} | "
            f"{row['anon_mb']:.0f} | {row['rss_mb']:.0f} | {rest} |"
        )
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, float) else f"{value}"


if __name__ == "__main__":
    sys.exit(main())
