"""Every runtime, found as the modules ``*_runtime`` of this package; nothing heavy is imported."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import aum_edge.runtimes
from aum_edge.errors import BenchError, ExportError, RecipeError
from aum_edge.runtimes.runtime import DIRECTORY, Runtime

SUFFIX = "_runtime"


def runtimes() -> dict[str, Runtime]:
    """Runtimes by name; of those that take the same files the usual one comes first."""
    package = aum_edge.runtimes
    names = [found.name for found in pkgutil.iter_modules(package.__path__)]
    made: list[Runtime] = [
        import_module(f"{package.__name__}.{name}").RUNTIME
        for name in names
        if name.endswith(SUFFIX)
    ]
    made.sort(key=lambda runtime: (not runtime.usual, runtime.name))
    return {runtime.name: runtime for runtime in made}


def ending_of(path: Path) -> str:
    """The file's ending in small letters, by which runtimes are found; empty for a folder."""
    return DIRECTORY if path.is_dir() else path.suffix.lower()


def runtimes_for(ending: str) -> tuple[Runtime, ...]:
    """Those that run files of an ending, the usual one first."""
    return tuple(runtime for runtime in runtimes().values() if ending in runtime.endings)


def endings() -> tuple[str, ...]:
    """Every ending of a file that some runtime runs."""
    found = {ending for runtime in runtimes().values() for ending in runtime.endings}
    return tuple(sorted(found - {DIRECTORY}))


def usual_runtime(path: Path) -> Runtime:
    """The runtime of a model directory or file when none is named.

    What no runtime takes goes to that of model directories, which says what is wrong with it.
    """
    return (runtimes_for(ending_of(path)) or runtimes_for(DIRECTORY))[0]


def stream_runtime(path: Path) -> Runtime:
    """The runtime that classifies a file's audio as a stream.

    Raises:
        ExportError: If none does.
    """
    for runtime in runtimes_for(ending_of(path)):
        if runtime.stream is not None:
            return runtime
    raise ExportError(
        f"`--stream` takes a step graph: make one with `aum-edge export {path} step.onnx "
        "--streaming`."
    )


def checked_runtimes(names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once.

    Raises:
        RecipeError: If one is unknown or repeated.
        BenchError: If one cannot be used here.
    """
    known = runtimes()
    wrong = [name for name in names if name not in known]
    if wrong or len(set(names)) < len(names):
        raise RecipeError(
            f"`runtime` takes {', '.join(known)}, each once, got {','.join(names)!r}."
        )
    for name in names:
        if reason := known[name].missing():
            raise BenchError(reason)
    return tuple(names)
