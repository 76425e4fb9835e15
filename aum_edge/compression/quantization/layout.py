"""Which layer is stored how, and what that takes in bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from torch import nn

from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.errors import CompressionError

BYTES = {"float32": 4, "float16": 2}
GRID_BYTES = 8
"""Scale and zero point of a rounded input, in float32."""


@dataclass(frozen=True)
class Layout:
    """Names of layers; those in neither of the first two keep the type of the remaining tensors."""

    int8: tuple[str, ...]
    half: tuple[str, ...] = ()
    """Weights in 16 bit."""
    inputs: tuple[str, ...] = ()
    """int8 layers that round what they take in."""

    def without(self, kind: str, name: str) -> Layout:
        """One weight in 16 bit instead of int8 (its input is float then), or one float input."""
        inputs = tuple(n for n in self.inputs if n != name)
        if kind == "input":
            return replace(self, inputs=inputs)
        int8 = tuple(n for n in self.int8 if n != name)
        return Layout(int8, (*self.half, name), inputs)


def layout_of(backbone: nn.Module, config: QuantizeConfig) -> Layout:
    """What the settings say of each convolution and linear layer of a folded network.

    Raises:
        CompressionError: A pattern matches no layer, or nothing is left for int8.
    """
    names = quantizable(backbone)
    skipped = _matching(names, config.skip, "skip")
    half = [n for n in _matching(names, config.half, "half") if n not in skipped]
    int8 = [name for name in names if name not in skipped and name not in half]
    if not int8:
        raise CompressionError("Every layer is skipped: there is nothing to quantize.")
    inputs: list[str] = []
    if config.activations == "uint8":
        floats = _matching(names, config.float_inputs, "float_inputs")
        inputs = [name for name in int8 if name not in floats]
    return Layout(tuple(int8), tuple(half), tuple(inputs))


def quantizable(backbone: nn.Module) -> list[str]:
    """Every convolution and linear layer, in order."""
    kinds = nn.Linear | nn.Conv1d | nn.Conv2d
    return [name for name, module in backbone.named_modules() if isinstance(module, kinds)]


def layout_bytes(backbone: nn.Module, layout: Layout, config: QuantizeConfig) -> int:
    """Bytes of all stored parameters of a folded float network in that layout, exactly."""
    rest, scale = BYTES[config.float_dtype], BYTES[config.scale_dtype]
    total = GRID_BYTES * len(layout.inputs)
    int8 = {f"{name}.weight" for name in layout.int8}
    half = {f"{name}.weight" for name in layout.half}
    for name, parameter in backbone.named_parameters():
        count = parameter.numel()
        if name in int8:
            total += count + scale * len(parameter)
        elif name in half:
            total += 2 * count
        else:
            total += count * (4 if is_decay(name) else rest)
    return total


def is_decay(name: str) -> bool:
    """Whether a tensor holds decay rates, whose error grows along the clip: always float32."""
    return name.rpartition(".")[2].startswith("A_")


def _matching(names: list[str], patterns: Iterable[str], setting: str) -> list[str]:
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise CompressionError(
                f"The {setting} pattern {pattern!r} matches no layer; layers are "
                f"{', '.join(names)}."
            )
    return [name for name in names if any(fnmatchcase(name, p) for p in patterns)]
