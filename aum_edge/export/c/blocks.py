"""Blocks of a student as the C engine stores them, and the C form that a mixer has to have.

A mixer without a C form is refused with one line. Every module of ``mixers`` is imported when a
form is first looked up, so that a new file there is all that a C form takes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import numpy as np
from torch import nn

from aum_edge.core.modules import import_modules
from aum_edge.errors import UnsupportedOperatorError
from aum_edge.export.c.scans import scan_source
from aum_edge.export.c.tensors import Packed, Weights
from aum_edge.export.c.tiles import piece
from aum_edge.models.student_config import MambaStudentConfig

Form = TypeVar("Form", bound="type[MixerForm]")


@dataclass(frozen=True)
class Norm:
    """Gain, bias (layer norm) and epsilon."""

    gain: Packed
    bias: Packed
    eps: float

    def initializer(self) -> str:
        """The C initializer of a ``norm_tensors_t``."""
        return f"{{{self.gain.initializer()}, {self.bias.initializer()}, {number(self.eps)}}}"


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block: sizes and weights; ``paths`` are S6's, by ending of their names."""

    d_inner: int
    d_state: int = 0
    ways: tuple[bool, ...] = ()
    conv: tuple[int, int, int]
    """Channels, taps, rows before the current one."""
    eps: float
    norm: Norm
    weights: dict[str, Packed]
    paths: list[dict[str, Packed]] = field(default_factory=list)
    sets: int = 1

    @property
    def kept(self) -> int:
        """Floats that a stream keeps: inputs of the convolution, states of the scan."""
        return self.conv[0] * self.conv[2] + self.d_state * self.d_inner


class MixerForm(ABC):
    """How the blocks of one mixer are laid out and computed: its text is block_NAME.c."""

    name: ClassVar[str]
    """Of the pieces in csrc."""
    types: ClassVar[str]
    """C type of a block, ``block_t``."""
    tensors: ClassVar[tuple[str, ...]]
    """Weights in the order of ``block_t``."""
    scans: ClassVar[bool] = True

    @abstractmethod
    def block(self, mixer: Any, inside: str, norm: Norm, w: Weights) -> Block:
        """The sizes and weights of one mixer, whose tensors' names begin with ``inside``."""

    @abstractmethod
    def numbers(self, block: Block, config: MambaStudentConfig) -> list[str]:
        """What follows the epsilon in an initializer of ``block_t``."""

    def arrays(self, block: Block, config: MambaStudentConfig) -> list[str]:
        """What stands between the weights and the norm in an initializer of ``block_t``."""
        return []

    def buffers(self, blocks: Sequence[Block]) -> Mapping[str, int]:
        """Floats a token for each place in the arena that blocks of this mixer work in."""
        return {}

    @property
    def scan_text(self) -> str:
        """The scan's functions, nothing for a mixer without one."""
        return scan_source(self.name) if self.scans else ""

    @property
    def text(self) -> str:
        """The function that computes a block."""
        return piece(f"block_{self.name}.c")


_FORMS: dict[type[nn.Module], MixerForm] = {}


def register_c_form(mixer: type[nn.Module]) -> Callable[[Form], Form]:
    """Class decorator: the C form of that class of mixers."""

    def register(form: Form) -> Form:
        _FORMS[mixer] = form()
        return form

    return register


def c_form(mixer: type[nn.Module]) -> MixerForm:
    """The C form of a class of mixers.

    Raises:
        UnsupportedOperatorError: If it has none.
    """
    import_modules("aum_edge.export.c.mixers")
    if mixer not in _FORMS:
        known = ", ".join(sorted(kind.__name__ for kind in _FORMS))
        raise UnsupportedOperatorError(
            f"The C engine has no operator {mixer.__name__}: this mixer has no C form, those of "
            f"{known} have one; export to .onnx, or register a form in aum_edge.export.c.mixers."
        )
    return _FORMS[mixer]


def block_table(form: MixerForm, blocks: Sequence[Block], config: MambaStudentConfig) -> str:
    """Type and table of the blocks."""
    rows = ",\n".join(_row(form, block, config) for block in blocks)
    return f"{form.types}\nstatic const block_t BLOCKS[DEPTH] = {{\n{rows}\n}};\n"


def _row(form: MixerForm, block: Block, config: MambaStudentConfig) -> str:
    parts = [block.weights[name].initializer() for name in form.tensors]
    parts += form.arrays(block, config)
    conv = "{" + ", ".join(map(str, block.conv)) + "}"
    parts += [block.norm.initializer(), conv, number(block.eps)]
    return "    {" + ",\n     ".join([*parts, *form.numbers(block, config)]) + "}"


def shared_weights(inside: str, w: Weights) -> dict[str, Packed]:
    """Projections and norm, which every mixer has."""
    return {
        "in_proj": w.matrix(f"{inside}in_proj.weight"),
        "out_proj": w.matrix(f"{inside}out_proj.weight"),
        "gain": w.vector(f"{inside}norm.weight"),
    }


def taps(inside: str, w: Weights, path: str = "") -> dict[str, Packed]:
    """Kernel and bias of the convolution over tokens."""
    return {
        "taps": w.matrix(f"{inside}conv1d{path}.weight"),
        "tap_bias": w.vector(f"{inside}conv1d{path}.bias"),
    }


def conv_sizes(conv: Any, channels: int) -> tuple[int, int, int]:
    """Channels, taps, and rows that the convolution sees before the current one."""
    count = conv.weight.shape[2]
    return channels, count, count - 1 if conv.reach else count // 2


def number(value: float) -> str:
    """A float32 as C text that reads back as the same number."""
    text = f"{np.float32(value):.9g}"
    return f"{text}f" if "e" in text or "." in text else f"{text}.0f"
