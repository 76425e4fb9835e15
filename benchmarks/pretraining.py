"""Does masked-patch pretraining on unlabelled clips help? Fine-tuning beside the same from scratch.

    python benchmarks/pretraining.py --seeds 0 1 2 --labelled 1.0 0.2

For every seed an encoder is pretrained by `aum-edge pretrain` on the training folds without their
labels; the test fold is never heard. Then the teacher of the fine-tuning recipe is trained on all
or on a part of the labelled training clips, once from the encoder and once from scratch, with the
same clips, epochs, batches and augmentation. The best epoch is chosen on validation clips, the
test fold is scored once. Killing the script and starting it again goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from aum_edge.bench.host import host
from aum_edge.checkpoints.initialise import initialise_from
from aum_edge.core.files import read_json, write_json
from aum_edge.data.datamodule import AudioData
from aum_edge.data.features.cache import ClipArrays
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.models.registry import build
from aum_edge.pipeline.read_recipe import load_recipe
from aum_edge.pipeline.recipe import Recipe
from aum_edge.training.fit import fit
from aum_edge.training.metrics.classification import evaluate


@dataclass(frozen=True)
class Arm:
    """One way to start, with the settings that validation preferred for it."""

    name: str
    pretrained: bool
    lr: float
    epochs: int


def main() -> int:
    """Pretrain, fine-tune every combination, then write the table."""
    options = arguments()
    arms = [
        Arm("from scratch", False, options.scratch_lr, options.epochs),
        Arm("pretrained", True, options.pretrained_lr, options.epochs),
    ]
    if options.long_epochs:
        arms.append(Arm("from scratch, longer", False, options.scratch_lr, options.long_epochs))
    rows = []
    for seed in options.seeds:
        encoder, heard = pretrained(options, seed)
        for share in options.labelled:
            for arm in arms:
                row = one_run(options, arm, share, seed, encoder)
                rows.append({**row, "before": heard if arm.pretrained else 0})
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    text = table(options, arms, rows)
    print(text)
    if options.table:
        options.table.write_text(text + "\n", encoding="utf-8")
    return 0


def arguments() -> argparse.Namespace:
    """Options of the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/esc10.yaml"))
    parser.add_argument("--pretrain", type=Path, default=Path("recipes/pretrain_esc10.yaml"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--labelled", type=float, nargs="+", default=[1.0, 0.2])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--long-epochs", type=int, default=0, help="a third arm; 0 is none")
    parser.add_argument("--scratch-lr", type=float, default=2e-3)
    parser.add_argument("--pretrained-lr", type=float, default=2e-3)
    parser.add_argument("--set", action="append", default=[], metavar="A.B=V", help="of --recipe")
    parser.add_argument("--out", type=Path, default=Path("runs/pretraining"))
    parser.add_argument("--table", type=Path, help="Markdown file to write")
    return parser.parse_args()


def pretrained(options: argparse.Namespace, seed: int) -> tuple[Path, int]:
    """The encoder of one seed and how many segments it was trained on, over all epochs."""
    out = options.out / f"{options.pretrain.stem}-{seed}"
    command = [sys.executable, "-m", "aum_edge", "pretrain", str(options.pretrain)]
    command += ["--out", str(out), "--cache", str(options.out / "cache"), "--set", f"seed={seed}"]
    subprocess.run(command, check=True, stdout=sys.stderr)
    corpus = read_json(out / "data" / "stage.json")["result"]["clips"]["train"]
    epochs = len(read_json(out / "pretrain" / "stage.json")["result"]["history"])
    return out / "pretrain" / "model", corpus * epochs


def one_run(
    options: argparse.Namespace, arm: Arm, share: float, seed: int, encoder: Path
) -> dict[str, float | str]:
    """Train and score once, or read what an earlier start of the script found."""
    name = f"{arm.name.replace(' ', '-').replace(',', '')}-{share:g}-{arm.lr:g}-{arm.epochs}-{seed}"
    record = options.out / f"{name}.json"
    if record.exists():
        return dict(read_json(record))
    recipe = load_recipe(options.recipe, [f"seed={seed}", *options.set])
    train = replace(recipe.teacher.train, lr=arm.lr, epochs=arm.epochs)
    data = labelled(recipe, share, options.out / "cache")
    torch.manual_seed(seed)
    model = AudioClassifier(
        build(recipe.teacher.model.config(len(data.labels), recipe.frontend)),
        frontend=recipe.frontend,
        normalization=data.normalization,
        labels=tuple(data.labels),
    )
    if arm.pretrained:
        initialise_from(model.backbone, load(encoder).backbone, "ssamba")
    result = fit(model, data, train, options.out / name, seed=seed, title=name)
    val = evaluate(result.model, data.arrays["val"], data.labels)
    test = evaluate(result.model, data.arrays["test"], data.labels)
    row: dict[str, float | str] = {
        "arm": arm.name,
        "share": share,
        "seed": seed,
        "clips": len(set(data.arrays["train"].clip_ids)),
        "val": val.accuracy,
        "test": test.accuracy,
        "log_loss": test.log_loss,
        "heard": len(data.arrays["train"]) * len(result.history),
    }
    write_json(record, row)
    return row


def labelled(recipe: Recipe, share: float, cache: Path) -> AudioData:
    """The corpus with ``share`` of the training clips of each class, drawn by the seed."""
    size = recipe.teacher.train.batch_size
    data = AudioData(
        recipe.data, recipe.frontend, cache_dir=cache, batch_size=size, seed=recipe.seed
    )
    data.setup()
    if share < 1:
        data.arrays["train"] = part(data.arrays["train"], share, recipe.seed)
    return data


def part(arrays: ClipArrays, share: float, seed: int) -> ClipArrays:
    """Whole clips, as many of each class as ``share`` says."""
    source = np.random.default_rng(seed)
    clips: dict[str, dict[str, list[int]]] = {}
    for row, clip in enumerate(arrays.clips):
        clips.setdefault(clip.label, {}).setdefault(clip.clip_id, []).append(row)
    kept: list[int] = []
    for _, of_class in sorted(clips.items()):
        names = sorted(of_class)
        for index in source.permutation(len(names))[: max(1, round(share * len(names)))]:
            kept += of_class[names[index]]
    rows = np.sort(np.array(kept))
    return replace(
        arrays,
        features=arrays.features[rows],
        labels=arrays.labels[rows],
        clips=tuple(arrays.clips[row] for row in rows),
    )


def table(options: argparse.Namespace, arms: list[Arm], rows: list[dict]) -> str:
    """Markdown: one row for a share and a way to start."""
    machine = host()
    seeds = ", ".join(map(str, options.seeds))
    command = f"OMP_NUM_THREADS=1 python benchmarks/pretraining.py {' '.join(sys.argv[1:])}"
    lines = [
        f"# Pretraining: {options.recipe.stem} from {options.pretrain.stem}, seeds {seeds}",
        "",
        f"Command: `{command}`  ",
        f"Host: {machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}. Clip "
        "accuracy in percent on the test fold: mean ± standard deviation over seeds, lowest to "
        "highest. Cost is segments trained on, those of pretraining included, over those of the "
        "run from scratch; a step of pretraining takes about 1.2 times as long as one of those.",
        "",
        "| labelled clips | start | epochs, lr | test | validation | log loss | cost |",
        "|---|---|---|---|---|---|---|",
    ]
    for share in options.labelled:
        base = [row for row in rows if row["share"] == share and row["arm"] == arms[0].name]
        for arm in arms:
            found = [row for row in rows if row["share"] == share and row["arm"] == arm.name]
            heard = sum(row["heard"] + row["before"] for row in found)
            cells = (
                f"{100 * share:g} % ({found[0]['clips']})",
                arm.name,
                f"{arm.epochs}, {arm.lr:g}",
                percent([row["test"] for row in found]),
                percent([row["val"] for row in found]),
                f"{statistics.mean(row['log_loss'] for row in found):.3f}",
                f"{heard / sum(row['heard'] for row in base):.1f}",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def percent(values: list[float]) -> str:
    """Mean ± deviation and range, in percent."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    low, high = 100 * min(values), 100 * max(values)
    return f"{100 * statistics.mean(values):.1f} ± {100 * deviation:.1f} ({low:.1f}–{high:.1f})"


if __name__ == "__main__":
    sys.exit(main())
