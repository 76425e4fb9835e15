"""What pruning and quantization are asked for."""

from aum_edge.compression.prune_config import Dimension, PruneConfig
from aum_edge.compression.quantize_config import QuantizeConfig, StaticConfig

__all__ = ["Dimension", "PruneConfig", "QuantizeConfig", "StaticConfig"]
