""".onnx files in OpenVINO, in float32 and for latency; for timing alone."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from aum_edge.core.text import one_line
from aum_edge.errors import BenchError
from aum_edge.runtimes.runtime import Opened, Runtime, example_for

SETTINGS = {
    "NUM_STREAMS": 1,
    "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_PRECISION_HINT": "f32",
}


def _missing() -> str:
    if find_spec("openvino") is not None:
        return ""
    return "OpenVINO is not installed: `pip install openvino`, or leave it out of --runtime."


def _open(path: Path, threads: int, batch: int, seed: int) -> Opened:
    """The shape is fixed as a device would have it.

    Raises:
        BenchError: If OpenVINO is not there or cannot run the file.
    """
    from aum_edge.runtimes.onnx import OnnxClassifier

    if reason := _missing():
        raise BenchError(reason)
    classifier = OnnxClassifier(path, threads)
    declared = classifier.session.get_inputs()[0]
    example = example_for(declared.shape, classifier.frontend, batch, seed)
    openvino = import_module("openvino")
    try:
        core = openvino.Core()
        model = core.read_model(str(path))
        model.reshape(list(example.shape))
        settings = {"INFERENCE_NUM_THREADS": threads, **SETTINGS}
        request = core.compile_model(model, "CPU", settings).create_infer_request()
        request.infer([example])
    except Exception as error:  # OpenVINO raises plain RuntimeErrors of many kinds.
        raise BenchError(f"OpenVINO cannot run {path.name}: {one_line(error, 200)}") from error
    kind = "waveform" if example.ndim == 2 else "features"
    return Opened(lambda: request.infer([example]), classifier.frontend.clip_seconds, kind)


RUNTIME = Runtime(name="openvino", endings=(".onnx",), open=_open, missing=_missing, usual=False)
