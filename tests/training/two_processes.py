"""Two processes on this machine, as torchrun would start them, over loopback alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def two_processes(worker: str, folder: Path) -> list[str]:
    """Run the module ``worker RANK FOLDER`` twice; the standard output of each, by rank."""
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
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", worker, str(rank), str(folder)],
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
        for process in workers:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, out + err
            shown.append(out)
    finally:
        for process in workers:
            process.kill()
    return shown
