"""Cost of the front end for one clip; the figures of a model leave it out, as challenges do.

=============  ====================================================================================
stage          multiplications a frame
=============  ====================================================================================
pre-emphasis   win_length (kaldi_fbank)
window         win_length
FFT            n_fft log2(n_fft): a real FFT as a complex one of half the length, n/4 log2(n/2)
               butterflies of 4 multiplications, and n to part its halves
power          2 a bin, and a square root where magnitudes are taken
mel filters    one for each weight that is not zero; as a full matrix it would be n_mels * bins
=============  ====================================================================================

A logarithm an output and a division a frame for Kaldi's mean are special functions, and so is
one a band for the mean over a clip.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.mel import mel_filters

FLOAT = 4


@dataclass(frozen=True, kw_only=True)
class FrontEndCost:
    """Of one clip, features of all its frames."""

    frames: int
    macs: int
    macs_by_stage: dict[str, int]
    macs_dense_filters: int
    """With the mel filters as a full matrix, as training does it."""
    special_functions: dict[str, int]
    table_bytes: int
    """Window, FFT twiddle factors and sparse filters in float32."""
    working_bytes: int
    """One frame's samples, spectrum and mels in float32: what a streaming front end holds."""
    feature_bytes: int
    """The features of the clip in float32."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def front_end_cost(config: FrontEndConfig) -> FrontEndCost:
    """Count a front end on one clip of its length."""
    bins, frames = config.n_fft // 2 + 1, config.n_frames
    filters = int(torch.count_nonzero(mel_filters(config)))
    kaldi = config.kind == "kaldi_fbank"
    stages = {
        "pre-emphasis": config.win_length if kaldi else 0,
        "window": config.win_length,
        "fft": round(config.n_fft * math.log2(config.n_fft)),
        "power": 2 * bins,
        "mel": filters,
    }
    by_stage = {name: count * frames for name, count in stages.items() if count}
    macs = sum(by_stage.values())
    special = {"log": config.n_mels * frames}
    divisions = (frames if kaldi else 0) + (config.n_mels if config.clip_mean else 0)
    if divisions:
        special["division"] = divisions
    if not kaldi and config.power == 1:
        special["sqrt"] = bins * frames
    return FrontEndCost(
        frames=frames,
        macs=macs,
        macs_by_stage=by_stage,
        macs_dense_filters=macs + (bins * config.n_mels - filters) * frames,
        special_functions=special,
        table_bytes=FLOAT * (config.win_length + config.n_fft + filters + 2 * config.n_mels),
        working_bytes=FLOAT * (config.n_fft + 2 * bins + config.n_mels),
        feature_bytes=FLOAT * config.n_mels * frames,
    )
