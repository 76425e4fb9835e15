"""MACs, bytes and limits; ``aum_edge.complexity(model, "dcase2025")``."""

from aum_edge.core.callable_package import make_callable

make_callable(__name__, "complexity")
