"""One of two processes, as torchrun starts them; they meet by a file and talk over loopback."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist

from aum_edge.audio.augment.config import AugmentConfig
from aum_edge.cli.main import main
from aum_edge.data.config import DataConfig
from aum_edge.data.datamodule import AudioData
from aum_edge.training.config import TrainConfig, TrainerConfig
from aum_edge.training.fit import fit
from tests.small_run import FRONTEND, teacher

PLAIN = AugmentConfig(roll_seconds=0.0, mixstyle_p=0.0)


def trained(folder: Path, batch_size: int):
    """Two epochs on the tones of ``folder``; the same start and the same rows in every process."""
    config = DataConfig.of("folder", folder / "tones")
    data = AudioData(config, FRONTEND, cache_dir=folder / "cache", seed=4)
    settings = TrainConfig(
        epochs=2,
        batch_size=batch_size,
        augment=PLAIN,
        trainer=TrainerConfig(accelerator="cpu", strategy="auto"),
    )
    work = folder / f"fit-{batch_size}"
    return fit(teacher(), data, settings, work, seed=4)


def run(rank: int, folder: Path) -> int:
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=2
    )
    result = trained(folder, 5)
    torch.save(
        {"weights": result.model.state_dict(), "history": result.history},
        folder / f"rank-{rank}.pt",
    )
    return main(["train", str(folder / "recipe.yaml"), "--out", str(folder / "run")])


if __name__ == "__main__":
    raise SystemExit(run(int(sys.argv[1]), Path(sys.argv[2])))
