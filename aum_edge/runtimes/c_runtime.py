"""Exported .c files, compiled for this machine or taken from the cache of earlier compilations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aum_edge.runtimes.contract import WAVEFORM
from aum_edge.runtimes.runtime import Opened, OpenedClassifier, Runtime, example_for


def _open(path: Path, threads: int, batch: int, seed: int) -> Opened:
    from aum_edge.runtimes.c import CClassifier

    program = CClassifier(path)
    frontend = program.frontend
    shape = (batch, 1, frontend.n_mels, frontend.n_frames)
    example = example_for(shape, frontend, batch, seed)

    def run() -> Any:
        return program.run(example)

    return Opened(run, frontend.clip_seconds, "features")


def _classifier(path: Path) -> OpenedClassifier:
    """On waveforms; on features where clips are padded by frames, which torch does."""
    from aum_edge.runtimes.c import CClassifier

    program = CClassifier(path)
    takes_waveform = program.frontend.padding == "audio"
    return OpenedClassifier(
        tuple(program.labels),
        program.frontend,
        program.waveform_logits if takes_waveform else program.logits,
        program.metadata.get("activation", "softmax"),
        WAVEFORM if takes_waveform else "spectrogram",
    )


def _stream(path: Path) -> Any:
    from aum_edge.runtimes.c_stream import CStream

    return CStream(path)


RUNTIME = Runtime(name="c", endings=(".c",), open=_open, classifier=_classifier, stream=_stream)
