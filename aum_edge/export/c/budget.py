"""What a microcontroller needs for a student: an estimate from counts, its assumptions stated.

Instructions are fitted to counts of the generated C, built by gcc 12 at -O2 for Cortex-M7 (Thumb-2,
single precision unit) and executed in qemu with an instruction counter: seven students, SSD and S6,
float and int8, two to four blocks, and four front ends. The network is met within 12 %, the front
end within 20 %.

=====================================================  ============
a MAC of the network                                   2.8
an exponential, sigmoid or logarithm of the network    27
a multiplication of the front end                      5.6
a logarithm of the front end                           30
=====================================================  ============

Cycles are instructions times a core's assumed cycles per instruction. No silicon was measured: a
flash that stalls, a cache that is too small or weights in slow memory add to it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aum_edge.audio.config import FrontEndConfig
from aum_edge.complexity.torch_counter import count
from aum_edge.export.c.frontend.source import front_end
from aum_edge.export.c.generate import generate
from aum_edge.models.classifier import AudioClassifier

PER_MAC, PER_FUNCTION = 2.8, 27.0
PER_FRONT_END_MAC, PER_LOG = 5.6, 30.0
CODE_BYTES = 25_000
"""Of the compiled functions at -O2 for Thumb-2: 20.5 to 24.7 kB were counted."""
CORES = (("Cortex-M7", 480, 1.0), ("Cortex-M4", 168, 1.4))
"""Name, MHz and assumed cycles per instruction. An M7 issues two instructions at best."""
FUNCTIONS = ("exp", "sigmoid", "log")


@dataclass(frozen=True, kw_only=True)
class Core:
    """One clip on one core. ``share`` is of the time that the clip lasts."""

    name: str
    mhz: int
    cycles_per_instruction: float
    cycles: int
    ms: float
    share: float


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Flash, RAM and work of a clip; an estimate but for ``arena_bytes``."""

    flash_bytes: int
    """Code, weights and tables."""
    arena_bytes: int
    network_instructions: int
    front_end_instructions: int
    cores: tuple[Core, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """One line for each core."""
        return [
            f"  {core.name} at {core.mhz} MHz (estimate): {core.ms:.0f} ms a clip, "
            f"{100 * core.share:.1f} % of its time, at {core.cycles_per_instruction:g} cycles an "
            "instruction"
            for core in self.cores
        ]


def budget(model: AudioClassifier, weight_bytes: int, table_bytes: int, arena_bytes: int) -> Budget:
    """Estimate a student's needs from its exact counts."""
    counted = count(model, model.example_input())
    functions = sum(counted.special_functions.get(name, 0) for name in FUNCTIONS)
    network = round(PER_MAC * counted.macs + PER_FUNCTION * functions)
    sound = _front_end_instructions(model.frontend)
    return Budget(
        flash_bytes=CODE_BYTES + weight_bytes + table_bytes,
        arena_bytes=arena_bytes,
        network_instructions=network,
        front_end_instructions=sound,
        cores=tuple(
            _core(name, mhz, each, network + sound, model.frontend.clip_seconds)
            for name, mhz, each in CORES
        ),
    )


def engine_budget(model: AudioClassifier) -> Budget:
    """The same for a student that has not been exported.

    Raises:
        UnsupportedOperatorError: If the engine lacks an operator of the model; it is named.
        ExportError: If its front end does not suit.
    """
    made = generate(model, "model")
    return budget(model, made.weight_bytes, made.table_bytes, made.arena_bytes)


def _front_end_instructions(config: FrontEndConfig) -> int:
    made = front_end(config, ("clip",) if config.whole_clip else ("frame",))
    logs = config.n_mels * config.n_frames
    return round(PER_FRONT_END_MAC * made.macs * config.n_frames + PER_LOG * logs)


def _core(name: str, mhz: int, each: float, instructions: int, seconds: float) -> Core:
    cycles = round(instructions * each)
    ms = cycles / (1e3 * mhz)
    return Core(
        name=name,
        mhz=mhz,
        cycles_per_instruction=each,
        cycles=cycles,
        ms=ms,
        share=ms / (1e3 * seconds),
    )
