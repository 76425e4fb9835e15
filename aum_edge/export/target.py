"""An export target: its file ending, its config and the function that writes a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aum_edge.core.progress import Progress

if TYPE_CHECKING:
    from aum_edge.models.classifier import AudioClassifier


@dataclass(frozen=True, kw_only=True)
class ExportedFile:
    """A finished export, usable as its path; ``str`` describes it."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def warning(self) -> str:
        """A warning to the user in one line; mostly empty."""
        return ""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"path": str(self.path), "file": self.path.name}


@dataclass(frozen=True, kw_only=True)
class ExportTarget:
    """One kind of file. Its module imports heavy libraries inside of ``write`` alone."""

    ending: str
    """In small letters, such as ``.onnx``."""
    description: str
    """Of the file, for ``aum-edge export --help``."""
    config: type[Any]
    """A frozen dataclass, every field with a default."""
    write: Callable[[AudioClassifier, Path, Any, Progress | None], ExportedFile]
    """(model, file, config, progress): writes the file once it is proven equal to the model."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Fields of the config that are options of the command line, with their help."""
