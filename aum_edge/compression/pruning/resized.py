"""The config of a network of given sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from aum_edge.compression.pruning.config import Dimension
from aum_edge.compression.pruning.groups import Key
from aum_edge.compression.pruning.network_groups import Backbone
from aum_edge.models.config import AudioMambaConfig, MambaStudentConfig
from aum_edge.models.registry import build

Sizes = dict[Key, int]
"""Units of every group."""


def resized(
    backbone: Backbone, sizes: Sizes, blocks: Sequence[int], ways: Sequence[str]
) -> AudioMambaConfig | MambaStudentConfig:
    """The backbone's config with new sizes, made of some of its blocks.

    Args:
        backbone: Where the config comes from.
        sizes: Units of every group, by the places that the backbone gives them.
        blocks: Which blocks stay; one may stay several times.
        ways: both, forward or backward for each block that stays.
    """
    config = backbone.config
    width = sizes[0, "d_model"]
    changes: dict[str, Any] = {"depth": len(blocks), "d_model": width}
    head = sizes.get((0, "head_dim"), 1)
    changes["inner"] = tuple(sizes[index, "inner"] * head for index in blocks)
    named: tuple[tuple[str, Dimension], ...] = (("states", "state"), ("dt_ranks", "dt_rank"))
    for name, dimension in named:
        units = [sizes[key] for key in ((index, dimension) for index in blocks) if key in sizes]
        changes[name] = tuple(units) or None
    if isinstance(config, AudioMambaConfig):
        if config.norm == "rms":
            changes["norm_eps"] = config.norm_eps * (config.d_model / width)
        if set(ways) != {"both"}:
            changes["direction"] = "fo-fo"
        return replace(config, **changes)
    changes["width"] = config.nominal_width if width < config.nominal_width else config.width
    if (0, "stem") in sizes:
        changes["stem_channels"] = (sizes[0, "stem"], sizes[1, "stem"])
    if (0, "head_dim") in sizes:
        changes["head_dim"] = head
    if config.bidirectional and config.mixer != "none":
        changes["directions"] = tuple(ways) if set(ways) != {"both"} else None
    return replace(config, **changes)


def fresh(config: AudioMambaConfig | MambaStudentConfig) -> nn.Module:
    """A network of this config; the stream of random numbers stays where it was."""
    with torch.random.fork_rng(devices=[]):
        return build(config)
