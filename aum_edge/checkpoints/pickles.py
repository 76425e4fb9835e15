"""What a pickle names, read off its instructions; nothing is executed or imported."""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path

MODULES = ("torch", "collections", "numpy", "argparse", "_codecs")
"""Where the globals of ordinary checkpoints come from."""


def foreign_global(path: Path) -> str | None:
    """The first function or class a checkpoint would import from elsewhere, or None.

    Reads bare pickles of every protocol and those in torch's zip files. A pickle that breaks off
    is read as far as it goes.
    """
    strings: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(_pickle(path)):
            if opcode.name == "GLOBAL":
                module, _, name = str(argument).partition(" ")
            elif opcode.name == "STACK_GLOBAL" and len(strings) > 1:
                module, name = strings[-2:]
            else:
                if isinstance(argument, str):
                    strings.append(argument)
                continue
            if module.split(".")[0] not in MODULES:
                return f"{module}.{name}"
    except (ValueError, OSError, KeyError, zipfile.BadZipFile):
        return None
    return None


def _pickle(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith("data.pkl")]
        return archive.read(names[0]) if names else b""
