"""Audio files to the tensors that the networks take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from aum_edge.audio.clip import fit_samples, read_clip
from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.frontend import FrontEnd

MOST_WORKERS = 16
Clip = tuple[Tensor, int]
"""A waveform (clip_samples,) and how many samples of it are no padding."""


def decode_workers() -> int:
    """Threads for decoding: one a core, at most 16."""
    return max(1, min(MOST_WORKERS, os.cpu_count() or 1))


def start_decoding(
    pool: ThreadPoolExecutor, files: Sequence[str], frontends: Sequence[FrontEndConfig]
) -> list[Future[Clip]]:
    """Begin to read each file as its front end wants it."""
    return [pool.submit(_clip, path, wanted) for path, wanted in zip(files, frontends, strict=True)]


def features(clips: Sequence[Clip], front_end: FrontEnd) -> Tensor:
    """Log-mel features (B, 1, n_mels, n_frames) of clips of one front end."""
    waveforms = torch.stack([waveform for waveform, _ in clips])
    lengths = torch.tensor([length for _, length in clips])
    return front_end(waveforms, lengths).unsqueeze(1)


def _clip(path: str, frontend: FrontEndConfig) -> Clip:
    with torch.inference_mode():
        waveform = read_clip(path, frontend)
        return fit_samples(waveform, frontend.clip_samples), len(waveform)
