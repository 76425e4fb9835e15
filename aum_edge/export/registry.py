"""Every export target, found as ``target.py`` of the sub-packages; the ending names the target."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aum_edge.core.progress import Progress
from aum_edge.errors import RecipeError
from aum_edge.export.target import ExportedFile, ExportTarget

if TYPE_CHECKING:
    from aum_edge.models.classifier import AudioClassifier


def export_targets() -> dict[str, ExportTarget]:
    """Targets by their endings; nothing heavy is imported."""
    package = sys.modules[__package__]
    made: list[ExportTarget] = [
        import_module(f"{package.__name__}.{found.name}.target").TARGET
        for found in pkgutil.iter_modules(package.__path__)
        if found.ispkg
    ]
    return {target.ending: target for target in sorted(made, key=lambda t: t.ending)}


def target_of(out: str | Path) -> ExportTarget:
    """The target that a file's ending names, in capitals or not.

    Raises:
        RecipeError: If no target has this ending.
    """
    known = export_targets()
    target = known.get(Path(out).suffix.lower())
    if target is None:
        raise RecipeError(
            f"The file to write ends in {' or '.join(known)}, got {out}: the ending says what it "
            "is."
        )
    return target


def export(
    model: AudioClassifier | str | Path,
    out: str | Path,
    config: Any = None,
    progress: Progress | None = None,
) -> ExportedFile:
    """Write a model as a file that runs elsewhere, proven equal before it is there.

    Args:
        model: Any classifier, or its directory; it is left alone.
        out: The file; its ending names the target.
        config: The target's own settings, such as ``ExportConfig`` for .onnx.
        progress: Called with (steps done, steps in all, what comes).

    Returns:
        What was written and how it compares; it can be used as the file's path.

    Raises:
        RecipeError: If no target has the ending, or the settings are those of another target.
        ExportError: If the model has no form there, or the file cannot be written.
        ParityError: If the file's logits differ from the model's.
    """
    from aum_edge.models.classifier import as_model

    target = target_of(out)
    if config is not None and not isinstance(config, target.config):
        raise RecipeError(
            f"A {target.ending} file takes {target.config.__name__}, got "
            f"{type(config).__name__} for {out}."
        )
    return target.write(as_model(model), Path(out), config or target.config(), progress)
