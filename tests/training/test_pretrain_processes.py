from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from aum_edge.models.directory import load
from tests.small_run import tones

ROOT = Path(__file__).parent.parent.parent
RECIPE = """
name: tones
data: {{corpus: audio, root: {root}}}
frontend: {{sample_rate: 8000, n_fft: 256, win_length: 256, hop_length: 250, n_mels: 16}}
model: {{preset: aum-mini, overrides: {{d_model: 16, depth: 2, d_state: 4, drop_path: 0.1}}}}
pretrain: {{epochs: 2, batch_size: 6, passes: two, trainer: {{accelerator: cpu}}}}
"""


def two_processes(folder: Path) -> list[str]:
    """Run the worker twice with torchrun's variables; the standard output of each."""
    base = os.environ | {
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "TORCHELASTIC_RUN_ID": "test",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "0",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.training.pretrain_worker"]
    workers = [
        subprocess.Popen(
            [*command, str(rank), str(folder)],
            env=base | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=ROOT,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    shown = []
    try:
        for worker in workers:
            out, err = worker.communicate(timeout=120)
            assert worker.returncode == 0, out + err
            shown.append(out)
    finally:
        for worker in workers:
            worker.kill()
    return shown


@pytest.mark.slow
def test_two_processes_pretrain_one_encoder(tmp_path) -> None:
    tones(tmp_path / "audio", per_class=8)
    (tmp_path / "pre.yaml").write_text(RECIPE.format(root=tmp_path / "audio"))
    shown = two_processes(tmp_path)

    first, second = (torch.load(tmp_path / f"rank-{rank}.pt") for rank in (0, 1))
    for name, tensor in first["weights"].items():
        assert torch.equal(second["weights"][name], tensor), name
    assert first["history"] == second["history"]
    saved = load(tmp_path / "tones" / "pretrain" / "model")
    for name, tensor in saved.state_dict().items():
        assert torch.equal(first["weights"][name], tensor), name
    assert [out.count("validation loss") for out in shown] == [1, 0]
    assert not (tmp_path / "tones" / "run.lock").exists()
