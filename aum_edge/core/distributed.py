"""Distributed training under torchrun: rank zero, barriers, broadcasts and device counts."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from aum_edge.errors import RecipeError

T = TypeVar("T")
PATIENCE = timedelta(days=2)
"""The others wait while the first process prepares data or exports."""


def join_processes() -> None:
    """Join the process group if torchrun started one; only rank zero logs."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "TORCHELASTIC_RUN_ID" not in os.environ:
        return
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE)
    if not is_rank_zero():
        logging.getLogger("aum_edge").setLevel(logging.WARNING)


def is_distributed() -> bool:
    """Whether this is one of several processes of a process group."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def is_rank_zero() -> bool:
    """Whether this process has rank zero, which writes files."""
    return not is_distributed() or dist.get_rank() == 0


def barrier() -> None:
    """Wait until every process has reached this point."""
    if is_distributed():
        dist.barrier()


def broadcast(value: T) -> T:
    """The value of rank zero, in all processes."""
    if not is_distributed():
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


@contextmanager
def rank_zero_first() -> Iterator[None]:
    """Rank zero runs the block first, then the others, which find its files."""
    if not is_rank_zero():
        barrier()
    yield
    if is_rank_zero():
        barrier()


def launched(devices: int, nodes: int) -> tuple[int, int]:
    """Devices per machine and number of machines: torchrun's if it started this process."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return devices, nodes
    each = int(os.environ["LOCAL_WORLD_SIZE"])
    return each, int(os.environ["WORLD_SIZE"]) // each


def require_launch(devices: int, nodes: int) -> None:
    """Refuse several devices in a run that torchrun did not start.

    Raises:
        RecipeError: With the command that starts it.
    """
    if devices * nodes > 1 and "TORCHELASTIC_RUN_ID" not in os.environ:
        machines = f"--nnodes {nodes} " if nodes > 1 else "--standalone "
        raise RecipeError(
            f"The recipe asks for {devices} devices on {nodes} machines: start it as `torchrun "
            f"{machines}--nproc-per-node {devices} -m aum_edge ...`, with the rest of the command "
            "as it is."
        )
