""".onnx files in onnxruntime, on the CPU, one operator after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aum_edge.runtimes.runtime import Opened, OpenedClassifier, Runtime, example_for


def _open(path: Path, threads: int, batch: int, seed: int) -> Opened:
    from aum_edge.runtimes.onnx import OnnxClassifier

    classifier = OnnxClassifier(path, threads)
    declared = classifier.session.get_inputs()[0]
    example = example_for(declared.shape, classifier.frontend, batch, seed)
    session, feed = classifier.session, {declared.name: example}

    def run() -> Any:
        return session.run(None, feed)

    kind = "waveform" if example.ndim == 2 else "features"
    return Opened(run, classifier.frontend.clip_seconds, kind)


def _classifier(path: Path) -> OpenedClassifier:
    from aum_edge.runtimes.onnx import OnnxClassifier

    runner = OnnxClassifier(path)
    activation = runner.metadata.get("activation", "softmax")
    return OpenedClassifier(
        tuple(runner.labels), runner.frontend, runner.logits, activation, runner.input_name
    )


def _stream(path: Path) -> Any:
    from aum_edge.runtimes.onnx_stream import OnnxStream

    return OnnxStream(path)


RUNTIME = Runtime(
    name="onnxruntime", endings=(".onnx",), open=_open, classifier=_classifier, stream=_stream
)
