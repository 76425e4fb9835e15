"""Finding audio files, in an order that does not depend on the machine."""

from __future__ import annotations

from pathlib import Path

from aum_edge.errors import DataError

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff"})


def corpus_folder(root: str, corpus: str) -> Path:
    """The corpus's folder.

    Raises:
        DataError: If none is given or it is not there.
    """
    if not root:
        raise DataError(f"Corpus `{corpus}` needs `root`: the folder that holds it.")
    path = Path(root)
    if not path.is_dir():
        raise DataError(f"Corpus `{corpus}` has no folder {path}: check `root`.")
    return path


def subfolders(folder: Path) -> list[Path]:
    """Visible folders in ``folder``, by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and _visible(path))


def audio_files(folder: Path, *, deep: bool = False) -> list[Path]:
    """Visible audio files in ``folder`` (and below it if ``deep``), by name."""
    found = folder.rglob("*") if deep else folder.iterdir()
    return sorted(
        path
        for path in found
        if path.suffix.lower() in AUDIO_SUFFIXES and _visible(path) and path.is_file()
    )


def no_audio(corpus: str, folder: Path, layout: str) -> DataError:
    """The error for a folder without audio in the layout expected."""
    return DataError(
        f"Corpus `{corpus}` finds no audio files in {folder}: expected {layout} "
        f"({', '.join(sorted(AUDIO_SUFFIXES))})."
    )


def _visible(path: Path) -> bool:
    return not path.name.startswith(".")
