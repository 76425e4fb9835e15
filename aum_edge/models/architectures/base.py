"""Base classes of networks: what each architecture declares to training, export and pruning."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

State = dict[str, Tensor]
"""What a network keeps between two steps of a stream, by name, each (B, ...)."""


@dataclass(frozen=True)
class NetworkParts:
    """Modules of one network; what is before its blocks is not named."""

    blocks: tuple[nn.Module, ...]
    """From the input to the output."""
    final: tuple[nn.Module, ...]
    """Between the last block and the head, where there is such a norm."""
    head: nn.Module

    def depth_of(self, network: nn.Module) -> dict[int, int]:
        """How deep the parameters of ``network`` lie, by their ``id``.

        0 is before the blocks, 1 the first block, ``len(blocks) + 1`` the final norm and the head.
        """
        depths = {id(p): 0 for p in network.parameters()}
        for number, block in enumerate(self.blocks):
            depths |= {id(p): number + 1 for p in block.parameters()}
        for module in (*self.final, self.head):
            depths |= {id(p): len(self.blocks) + 1 for p in module.parameters()}
        return depths


class Backbone(nn.Module):
    """Log-mel (B, 1, n_mels, n_frames) to logits (B, n_classes).

    A network has all defaults of this class, or says otherwise.
    """

    config: Any
    """The config that it was built from."""
    any_length: ClassVar[bool] = False
    """Whether it takes any number of frames, also in an exported graph."""
    channels_last: ClassVar[bool] = False
    """Whether its convolutions are faster with channels last in memory."""

    def parts(self) -> NetworkParts | None:
        """Blocks, final norm and head; ``None`` cannot be frozen in part or read by block."""
        return None

    def block_groups(self) -> list[tuple[nn.Module, ...]]:
        """Blocks from the input to the output; of layers that run in pairs, both of each."""
        parts = self.parts()
        return [(block,) for block in parts.blocks] if parts else []

    def block_tokens(self, outputs: list[Any]) -> Tensor:
        """Outputs of one of ``block_groups`` as tokens (B, T, D), frequency averaged away."""
        return first_output(outputs)

    def stream_refusal(self) -> str:
        """Why it cannot take frames one step at a time, in one line; empty if it can."""
        return (
            f"{type(self).__name__} has no step form and cannot stream: give a causal student, "
            "such as the preset student-ssd-causal."
        )


class StreamableBackbone(Backbone, ABC):
    """A network with a step form; whether it streams as it is configured, ``stream_refusal`` says.

    Frames before the first token are not looked at: while ``seen`` is 0 they count as zeros.
    """

    @property
    @abstractmethod
    def step_frames(self) -> int:
        """Frames of a step."""

    @abstractmethod
    def initial_state(self, batch: int = 1) -> State:
        """Zeros by name, in the order that :meth:`step` returns them."""

    @abstractmethod
    def step(self, frames: Tensor, state: Mapping[str, Tensor]) -> tuple[Tensor, State]:
        """Normalised frames (B, 1, n_mels, S) to logits (B, n_classes) and the new state."""


def first_output(outputs: list[Any]) -> Tensor:
    """The tensor, or first tensor of the tuple, that a block returns."""
    output: Tensor = outputs[0][0] if isinstance(outputs[0], tuple) else outputs[0]
    return output
