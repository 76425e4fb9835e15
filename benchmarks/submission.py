"""A submission at size: seconds to build, check and predict, memory, and a killed prediction.

    python benchmarks/submission.py --clips 6000

Writes an evaluation set of TAU's form (1 s, 44.1 kHz, 24 bit) into a temporary folder, builds a
package of an int8 student with a model of its own for six devices (random weights: accuracy is
not what is measured), and runs every step as a command in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import torch

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.bench.host import busy, host
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.core.progress import stderr_progress
from aum_edge.data.corpora.synthetic.generate import SyntheticConfig, generate
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.presets import preset
from aum_edge.models.registry import build
from aum_edge.models.storage.directory import save
from aum_edge.submission.runtime.scenes import KNOWN, SCENES

SOUNDS = 400
"""Different clips; an evaluation set repeats them."""
LABEL = "Bench_AUM_task1_1"
EVALUATION = 178_930
"""Files of the evaluation set of 2025."""
FRONTEND = FrontEndConfig(n_fft=2048, win_length=2048, n_mels=128)


@dataclass(frozen=True)
class Step:
    """One command: what it cost."""

    name: str
    seconds: float
    cpu: float
    peak_mb: float
    remark: str = ""


def main() -> int:
    """Measure, print and keep."""
    options = arguments()
    work = Path(tempfile.mkdtemp(prefix="submission-", dir=options.folder))
    try:
        table = report(measure(work, options), options)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(table)
    if options.out:
        options.out.write_text(table, encoding="utf-8")
    return 0


def arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Lines)
    parser.add_argument("--clips", type=int, default=6000, help="files of the larger set")
    parser.add_argument("--workers", type=int, default=0, help="decoding threads; 0 is one a core")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    options = parser.parse_args()
    if options.clips < 2048:
        parser.error("--clips must be at least 2048, so that a run can be killed in the middle")
    return options


Lines = argparse.RawDescriptionHelpFormatter


def measure(work: Path, options: argparse.Namespace) -> list[Step]:
    """Every step in its order."""
    corpus = generate(
        SyntheticConfig(n_train=SOUNDS - 90, n_test=90, pieces=1), work / "dev", stderr_progress()
    )
    small, large = (listing(work, corpus, n) for n in (options.clips // 4, options.clips))
    models(work / "models")
    out = work / "out"
    words = ["submit", work / "models/general", "--devices", work / "models/devices"]
    steps = [command("build the package", [*words, "--label", LABEL, "--out", out])]
    steps.append(command("check it", ["submit", "--check", out]))
    predict = ["submit", "--predict", out, "--workers", options.workers, "--eval"]
    for name, root in (("a quarter", small), ("all", large)):
        steps.append(command(f"predict {name}", [*predict, root], files(root)))
    whole = output(out).read_bytes()
    shutil.rmtree(out / ".work")
    done = killed([*predict, large], out, options.clips // 2)
    left = f"{files(large)}, of them {done:,} were done"
    steps.append(command("go on after SIGKILL", [*predict, large], left))
    same = "the same bytes" if output(out).read_bytes() == whole else "OTHER BYTES"
    steps[-1] = Step(**{**vars(steps[-1]), "remark": f"{left}; {same}"})
    return steps


def listing(work: Path, corpus: Path, count: int) -> Path:
    """An evaluation set of so many files, each a link to one of the sounds."""
    root = work / f"eval-{count}"
    (root / "audio").mkdir(parents=True)
    (root / "evaluation_setup").mkdir()
    sounds = sorted((corpus / "audio").glob("*.wav"))
    devices = (*KNOWN, "unknown")
    rows = ["filename\tdevice_id"]
    for number in range(count):
        os.link(sounds[number % len(sounds)], root / "audio" / f"{number}.wav")
        rows.append(f"audio/{number}.wav\t{devices[number % len(devices)]}")
    table = root / "evaluation_setup" / "fold1_test.csv"
    table.write_text("\r\n".join(rows) + "\r\n", encoding="utf-8", newline="")
    return root


def models(folder: Path) -> None:
    """A general int8 student and one for each device."""
    for seed, name in enumerate(("general", *(f"devices/{device}" for device in KNOWN))):
        torch.manual_seed(seed)
        network = build(
            preset("student-ssd", n_classes=10, n_mels=FRONTEND.n_mels, n_frames=FRONTEND.n_frames)
        )
        model = AudioClassifier(
            network,
            frontend=FRONTEND,
            normalization=Normalization(mean=-6.0, std=3.0),
            labels=SCENES,
        )
        save(quantize(model.eval(), QuantizeConfig()), folder / name)


def command(name: str, words: list[object], remark: str = "") -> Step:
    """Run one command to its end."""
    started = time.perf_counter()
    process = start(words)
    watched = psutil.Process(process.pid)
    peak, cpu = 0, 0.0
    while process.poll() is None:
        try:
            family = [watched, *watched.children(recursive=True)]
            peak = max(peak, sum(one.memory_info().rss for one in family))
            times = watched.cpu_times()
            cpu = max(cpu, sum(times[:4]))
        except psutil.Error:
            pass
        time.sleep(0.05)
    if process.returncode:
        raise RuntimeError(f"`{name}` ended with code {process.returncode}.")
    return Step(name, time.perf_counter() - started, cpu, peak / 1e6, remark)


def killed(words: list[object], out: Path, wanted: int) -> int:
    """Kill a prediction once ``wanted`` files are done; how many were."""
    process = start(words)
    done = 0
    while done < wanted:
        if process.poll() is not None:
            raise RuntimeError("The prediction ended before it could be killed.")
        time.sleep(0.05)
        journals = list((out / ".work").glob("*/done.txt"))
        lines = journals[0].read_text().split("\n")[:-1] if journals else []
        done = int(lines[-1].split()[0]) if lines else 0
    process.kill()
    process.wait()
    return done


def start(words: list[object]) -> subprocess.Popen[bytes]:
    """One command; its progress stays on stderr."""
    text = [str(word) for word in words]
    return subprocess.Popen([sys.executable, "-m", "aum_edge", *text], stdout=subprocess.DEVNULL)


def output(out: Path) -> Path:
    """The table that is sent in."""
    return out / "task1" / LABEL / f"{LABEL}.output.csv"


def files(root: Path) -> str:
    """How many files a set has, in words."""
    return f"{len(list((root / 'audio').iterdir())):,} files"


def report(steps: list[Step], options: argparse.Namespace) -> str:
    """The table, with the host and how busy it was."""
    machine = host()
    said = ", ".join(f"{k} {v}" for k, v in machine.items() if isinstance(v, str | int))
    quarter, every = (s for s in steps if s.name in ("predict a quarter", "predict all"))
    # Their difference leaves the start of Python and torch out.
    each = (every.cpu - quarter.cpu) / (options.clips - options.clips // 4)
    lines = [
        "# A submission at size",
        "",
        f"`python benchmarks/submission.py --clips {options.clips}`, {datetime.now(UTC):%Y-%m-%d}; "
        f"{said}. int8 student-ssd with a model for each of six devices, random weights: speed and "
        "memory, no accuracy. Each step is a command in its own process, imports included.",
        *(["", f"Note: {busy(machine)}."] if busy(machine) else []),
        "",
        "| Step | Seconds | CPU s | Peak, MB | Remarks |",
        "| --- | ---: | ---: | ---: | --- |",
        *(
            f"| {s.name} | {s.seconds:.1f} | {s.cpu:.1f} | {s.peak_mb:.0f} | {s.remark} |"
            for s in steps
        ),
        "",
        f"{1e3 * each:.2f} ms of CPU time for each further file, so the {EVALUATION:,} files of "
        f"2025 take about {each * EVALUATION / 60:.0f} minutes of one core.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
