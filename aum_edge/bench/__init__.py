"""Latency of models side by side; ``aum_edge.bench(["student.onnx", "cp-mobile"])``."""

from aum_edge.core.callable_package import make_callable

make_callable(__name__, "bench")
