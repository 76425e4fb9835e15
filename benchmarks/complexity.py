"""Every preset and the published teachers by every counter, with a picture.

    python benchmarks/complexity.py --out benchmarks/results

Writes complexity.md and complexity.svg: exact and official figures, both exact counters, other
people's tools, stored bytes beside what the files hold, and the figures that were published.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import torch
from torch import nn

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.bench.host import host
from aum_edge.complexity.crosscheck import crosscheck
from aum_edge.complexity.limits import get_limits
from aum_edge.complexity.official import official_macs
from aum_edge.complexity.onnx.agreement import differences
from aum_edge.complexity.onnx.counter import count_onnx
from aum_edge.complexity.onnx.report import analyse_onnx
from aum_edge.complexity.report import analyse
from aum_edge.complexity.torch_counter import OperatorCounts, count
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import halve, quantize
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.architectures.audio_mamba import AudioMamba
from aum_edge.models.architectures.masked_patch import MaskedPatchModel, masked_patch_config
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import AudioMambaConfig
from aum_edge.models.presets import CONTROLS, STUDENTS, preset
from aum_edge.models.registry import build
from aum_edge.models.storage.directory import save

LIMITS = get_limits("dcase2025")
ASC = {
    "n_classes": 10,
    "d_model": 384,
    "direction": "bi-bi",
    "layer_pairs": True,
    "position_embedding": False,
    "head": "mlp",
}
SSAMBA = {
    "n_classes": 0,
    "direction": "bi-bi",
    "class_token": "first",
    "norm": "layer",
    "layer_pairs": True,
    "final_norms": 2,
}


def main() -> int:
    """Make every table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    torch.manual_seed(0)
    machine = host()
    with tempfile.TemporaryDirectory() as folder:
        lines = [
            "# What models cost, by every counter",
            "",
            f"Command: `python benchmarks/complexity.py`. Host: {machine['cpu']}, "
            f"{machine['logical_cores']} cores, torch {machine['torch']}. MACs of one input in "
            "millions; counts are exact and the same on every host, seconds are of this one.",
            "",
            *edge_table(Path(folder)),
            *teacher_table(),
            *tool_table(),
            *published_table(),
            "![MACs by counter](complexity.svg)",
            "",
        ]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "complexity.md").write_text("\n".join(lines), encoding="utf-8")
    picture(options.out / "complexity.svg")
    print(options.out / "complexity.md", file=sys.stderr)
    return 0


def edge(name: str) -> AudioClassifier:
    """A preset at the challenge's input: 1 s, 256 mels by 65 frames, 10 classes."""
    config = preset(name, n_classes=10, n_mels=256, n_frames=65)
    return AudioClassifier(
        build(config),
        frontend=FrontEndConfig(),
        normalization=Normalization(mean=-2.0, std=3.0),
        labels=tuple("abcdefghij"),
    ).eval()


def edge_table(folder: Path) -> list[str]:
    """Students and the control: both exact counters, the official one, bytes as stored."""
    lines = [
        "## Students and the control, 256 mels by 65 frames, 10 classes",
        "",
        "| model | weights | exact, torch | exact, graph | official | s | fp32 bytes = payload | "
        "fp16 | int8 | onnx int8 stored / file |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in (*STUDENTS, *CONTROLS):
        model = edge(name)
        clips = torch.randn(2, 1, 256, 65)
        export_onnx(model, folder / f"{name}.onnx", ExportConfig(), clips)
        small = quantize(model, QuantizeConfig())
        export_onnx(small, folder / f"{name}.int8.onnx", ExportConfig(), clips)
        started = time.perf_counter()
        result = analyse(model, LIMITS)
        seconds = time.perf_counter() - started
        graph = count_onnx(folder / f"{name}.onnx")
        apart = differences(result.counts, graph)
        stored = analyse_onnx(folder / f"{name}.int8.onnx", LIMITS).sizes
        cells = [
            name,
            f"{result.n_params:,}",
            millions(result.counts),
            millions(graph) + (f" ({len(apart)} modules share work)" if apart else ""),
            f"{(result.official.macs or 0) / 1e6:.3f}",
            f"{seconds:.2f}",
            *(
                payload(m, folder / f"{name}-{i}")
                for i, m in enumerate((model, halve(model), small))
            ),
            f"{stored['payload_bytes']:,} / {stored['file_bytes']:,}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def payload(model: AudioClassifier, folder: Path) -> str:
    """Reported bytes, once the file has shown that it holds exactly these."""
    save(model, folder)
    content = (folder / "model.safetensors").read_bytes()
    held = len(content) - 8 - int.from_bytes(content[:8], "little")
    reported = analyse(model, LIMITS).sizes["payload_bytes"]
    if held != reported:
        raise SystemExit(f"{folder.name}: reported {reported}, the file holds {held}")
    return f"{reported:,}"


def teachers() -> dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]]:
    """AuM, SSAMBA and audio-mamba-asc at the published input sizes."""
    made: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {}
    for size in ("tiny", "small", "base"):
        for frames, classes in ((128, 35), (1024, 527)):
            made[f"aum-{size}, 128 x {frames}, {classes} classes"] = (
                lambda s=size, f=frames, c=classes: build(
                    preset(f"aum-{s}", n_classes=c, n_mels=128, n_frames=f)
                ),
                (1, 1, 128, frames),
            )
    for size, width in (("tiny", 192), ("small", 384), ("base", 768)):
        config = AudioMambaConfig(d_model=width, **SSAMBA)
        made[f"ssamba-{size}, 128 x 1024"] = (
            lambda c=config: MaskedPatchModel(masked_patch_config(c)),
            (1, 1, 128, 1024),
        )
    for frames in (65, 1024):
        asc = AudioMambaConfig(n_mels=256, n_frames=frames, **ASC)
        made[f"audio-mamba-asc small, 256 x {frames}"] = (
            lambda c=asc: AudioMamba(c),
            (1, 1, 256, frames),
        )
    return made


def teacher_table() -> list[str]:
    """Exact and official counts of the published networks."""
    lines = [
        "## Published networks",
        "",
        "| model | parameters | exact | of it the scan | official | official / exact | s, meta |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (make, shape) in teachers().items():
        with torch.device("meta"):
            started = time.perf_counter()
            network = make()
            counts = count(network, torch.zeros(shape))
            seconds = time.perf_counter() - started
        print(name, file=sys.stderr)
        seen = official_macs(make().eval(), shape)
        size = sum(p.numel() for p in network.parameters())
        lines.append(
            f"| {name} | {size:,} | {millions(counts)} | {counts.macs_by_op['scan'] / 1e6:,.1f} | "
            f"{seen / 1e6:,.3f} | {100 * seen / counts.macs:.2f} % | {seconds:.2f} |"
        )
    remark = "SSAMBA: parameters with both predictors, MACs of the encoder that remains after them."
    return [*lines, "", remark, ""]


def tool_table() -> list[str]:
    """Other people's counters beside the exact count."""
    models = {name: edge(name).backbone for name in ("student-s6", "student-ssd", "cp-mobile")}
    models["aum-small, 64 patches"] = AudioMamba(
        AudioMambaConfig(n_mels=256, n_frames=65, **ASC)
    ).eval()
    example = torch.zeros(1, 1, 256, 65)
    rows: dict[str, list[str]] = {}
    for name, network in models.items():
        exact = count(network, example)
        rows.setdefault("exact", []).append(millions(exact))
        for row in crosscheck(network, example, exact)[1:]:
            cell = "-" if row.macs is None else f"{row.macs / 1e6:,.3f} ({row.ratio:.2f})"
            rows.setdefault(row.tool, []).append(cell)
            print(name, row.tool, row.reason, file=sys.stderr)
    head = ["tool", *models]
    lines = [
        "## Other counters: MACs in millions (share of the exact count)",
        "",
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
        *(f"| {tool} | {' | '.join(cells)} |" for tool, cells in rows.items()),
        "",
        "The networks alone, batch norms not folded, as these tools see them; the first table has "
        "the normalisation of the features (16,640) and folded norms. `aum-edge complexity MODEL "
        "--crosscheck` prints this with the reasons.",
        "",
    ]
    return lines


def published_table() -> list[str]:
    """The figures that one published entry gave for its network, and what is true."""
    counts = {}
    for frames in (65, 1024):
        with torch.device("meta"):
            network = AudioMamba(AudioMambaConfig(n_mels=256, n_frames=frames, **ASC))
            counts[frames] = count(network, torch.zeros(1, 1, 256, frames)).macs
    script = official_macs(
        AudioMamba(AudioMambaConfig(n_mels=256, n_frames=65, **ASC)).eval(), (1, 1, 256, 65)
    )
    head = 2 * 384 + (384 * 512 + 512) + (512 * 10 + 10)
    return [
        "## One published claim: AuM-small with 25.3 M parameters for acoustic scenes",
        "",
        "| figure | MACs |",
        "|---|---|",
        "| in its README | 14,810,500 |",
        f"| its own sum, which it divided by a thousand too much | {14_810_500_000:,} |",
        f"| what its log shows: the head alone, as the tool saw no other module | {head:,} |",
        f"| torchinfo 1.8.0 on the same network with called modules, 65 tokens | {script:,} |",
        f"| exact, a 1 s clip: 64 patches and the class token | {counts[65]:,} |",
        f"| exact, 256 x 1024: 1,025 tokens | {counts[1024]:,} |",
        "",
    ]


def picture(path: Path) -> None:
    """MACs by operator of each edge model, with the official count as a mark."""
    names = [*STUDENTS, *CONTROLS]
    results = {name: analyse(edge(name), LIMITS) for name in names}
    kinds = {
        "convolution": ("convolution",),
        "matrix products": ("mm", "bmm", "addmm", "baddbmm"),
        "scan": ("scan",),
        "gates and norms": ("mul", "silu", "native_layer_norm"),
    }
    figure, axes = plt.subplots(figsize=(8, 3.6))
    left = [0.0] * len(names)
    for kind, operators in kinds.items():
        widths = [
            sum(results[name].counts.macs_by_op[op] for op in operators) / 1e6 for name in names
        ]
        axes.barh(names, widths, left=left, label=kind)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    marks = [(results[name].official.macs or 0) / 1e6 for name in names]
    axes.plot(marks, names, "k|", markersize=16, label="official count")
    axes.axvline(30, color="grey", linestyle=":", label="limit")
    axes.set_xlabel("MACs of a 1 s clip, millions")
    axes.legend(fontsize=8, loc="upper right", bbox_to_anchor=(0.98, 0.98))
    axes.invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def millions(counts: OperatorCounts) -> str:
    """MACs in millions to the thousand."""
    return f"{counts.macs / 1e6:,.3f}"


if __name__ == "__main__":
    raise SystemExit(main())
