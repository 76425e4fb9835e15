"""Files that run elsewhere, one sub-package a target; ``aum_edge.export(model, "m.onnx")``."""

from aum_edge.core.callable_package import make_callable

make_callable(__name__, "registry")
