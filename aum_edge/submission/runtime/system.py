"""A general model and one for each device that has its own, from files to logits."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.frontend import FrontEnd
from aum_edge.submission.runtime.inputs import decode_workers, features, start_decoding
from aum_edge.submission.runtime.network import CONFIG, StoredNetwork, load_network
from aum_edge.submission.runtime.scenes import GENERAL, SCENES

CHUNK = 256
"""Files in memory at once; as many again are being decoded meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """How predictions are computed."""

    batch_size: int = 64
    workers: int = 0
    """Threads that decode; 0 is one a core."""
    use_cuda: bool = False
    """Where a GPU is there."""

    def device(self) -> torch.device:
        """Where the networks run."""
        return torch.device("cuda" if self.use_cuda and torch.cuda.is_available() else "cpu")


class DeviceModels(nn.Module):
    """Every network by its device; what is unknown gets the general one."""

    def __init__(self, networks: dict[str, StoredNetwork]) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(networks)

    def for_device(self, device_id: str) -> StoredNetwork:
        """The network of a device id, which may be empty, new or ``unknown``."""
        name = str(device_id).strip()
        found = self.networks[name if name in self.networks else GENERAL]
        if not isinstance(found, StoredNetwork):
            raise TypeError(f"The model of device {device_id} is a {type(found).__name__}.")
        return found

    def forward(self, features: Tensor) -> Tensor:
        """The general network."""
        return self.for_device(GENERAL)(features)


class System(nn.Module):
    """What ``load_model`` returns; the kit stores the state of its ``model``."""

    def __init__(self, model: DeviceModels) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor) -> Tensor:
        """The general network."""
        return self.model(features)


def load_system(folder: str | Path, model_file_path: str | Path | None = None) -> System:
    """Read ``folder/general`` and, beside it, a folder for each device with its own model.

    Args:
        folder: The weights that belong to the package.
        model_file_path: Another such folder, or a file with the state that the kit stored.

    Raises:
        FileNotFoundError: If there is no general model.
    """
    other = Path(model_file_path) if model_file_path else None
    home = other if other and other.is_dir() else Path(folder)
    names = sorted(path.parent.name for path in home.glob(f"*/{CONFIG}"))
    if GENERAL not in names:
        raise FileNotFoundError(f"There is no {home / GENERAL / CONFIG}.")
    system = System(DeviceModels({name: load_network(home / name) for name in names}))
    if other and not other.is_dir():
        system.model.load_state_dict(torch.load(other, map_location="cpu", weights_only=True))
    return system.eval()


def load_tensors(
    files: Sequence[str], devices: Sequence[str], system: System, workers: int, batch_size: int
) -> list[Tensor]:
    """One tensor (1, 1, n_mels, n_frames) a file, in order."""
    _same_length(files, devices)
    wanted = [system.model.for_device(device).frontend for device in devices]
    made: dict[int, Tensor] = {}
    with ThreadPoolExecutor(workers or decode_workers()) as pool, torch.no_grad():
        for first in range(0, len(files), CHUNK):
            part = slice(first, first + CHUNK)
            clips = [job.result() for job in start_decoding(pool, files[part], wanted[part])]
            for frontend, rows in _by_front_end(wanted[part]).items():
                front_end = FrontEnd(frontend)
                for some in _batches(rows, batch_size):
                    rows_made = features([clips[row] for row in some], front_end)
                    made.update((first + row, x) for row, x in zip(some, rows_made, strict=True))
    return [made[row].unsqueeze(0) for row in range(len(files))]


def stream_logits(
    files: Sequence[str], devices: Sequence[str], system: System, running: Running
) -> Generator[Tensor, None, None]:
    """Logits (n, 10) of one chunk of files after the other, in order.

    While a chunk is classified the next one is decoded; no more than two are ever in memory.
    """
    _same_length(files, devices)
    where = running.device()
    system = system.eval().to(where)
    wanted = [system.model.for_device(device).frontend for device in devices]
    pool = ThreadPoolExecutor(running.workers or decode_workers())
    parts = [slice(first, first + CHUNK) for first in range(0, len(files), CHUNK)]
    front_ends = {frontend: FrontEnd(frontend).to(where) for frontend in set(wanted)}
    try:
        jobs = start_decoding(pool, files[parts[0]], wanted[parts[0]]) if parts else []
        for number, part in enumerate(parts):
            after = parts[number + 1] if number + 1 < len(parts) else slice(0, 0)
            waiting, jobs = jobs, start_decoding(pool, files[after], wanted[after])
            clips = [(wave.to(where), size) for wave, size in (job.result() for job in waiting)]
            chosen = [system.model.for_device(device) for device in devices[part]]
            out = torch.empty(len(clips), len(SCENES))
            with torch.inference_mode():
                for network, rows in _by_network(chosen).items():
                    front_end = front_ends[network.frontend]
                    for some in _batches(rows, running.batch_size):
                        heard = features([clips[row] for row in some], front_end)
                        out[some] = network(heard).float().cpu()
            yield out
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _same_length(files: Sequence[str], devices: Sequence[str]) -> None:
    if len(files) != len(devices):
        raise ValueError(f"There are {len(files)} files and {len(devices)} device ids.")


def _by_front_end(wanted: Sequence[FrontEndConfig]) -> dict[FrontEndConfig, list[int]]:
    rows: dict[FrontEndConfig, list[int]] = {}
    for row, frontend in enumerate(wanted):
        rows.setdefault(frontend, []).append(row)
    return rows


def _by_network(chosen: Sequence[StoredNetwork]) -> dict[StoredNetwork, list[int]]:
    rows: dict[StoredNetwork, list[int]] = {}
    for row, network in enumerate(chosen):
        rows.setdefault(network, []).append(row)
    return rows


def _batches(rows: list[int], size: int) -> Iterator[list[int]]:
    for first in range(0, len(rows), max(1, size)):
        yield rows[first : first + max(1, size)]
