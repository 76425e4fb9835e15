"""The machine's C compiler: found, given flags for a target, its libraries cached by source."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from aum_edge.errors import ExportError, RecipeError

Isa = Literal["native", "avx512", "avx2", "baseline", "portable"]
NAMES = ("cc", "gcc", "clang")
SECONDS = 300
CPU_INFO = Path("/proc/cpuinfo")
OTHERS_WRITE = 0o022
EXTENSIONS: dict[Isa, tuple[str, ...]] = {
    "avx2": ("avx2", "bmi2", "fma", "movbe"),
    "avx512": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}
"""What Linux calls the extensions of x86-64-v3 and -v4 that not every processor has."""

COMMON = ("-std=c99", "-fno-trapping-math", "-fno-math-errno", "-ffp-contract=fast")
"""Strict about values: NaN, Inf and the order of sums stay what the source says."""
_made: list[tempfile.TemporaryDirectory[str]] = []


class MissingCompilerError(ExportError):
    """There is no C compiler on this machine."""


class FailedCompilerError(ExportError):
    """The compiler failed on a file."""


@dataclass(frozen=True, kw_only=True)
class Compiler:
    """A compiler and its version."""

    command: tuple[str, ...]
    version: str
    """The first line of ``--version``."""


def find_compiler() -> Compiler:
    """``$CC`` if it is set, or the first of cc, gcc and clang that there is.

    Raises:
        MissingCompilerError: If there is none, or ``$CC`` names none.
    """
    chosen = os.environ.get("CC", "").strip()
    for name in [chosen] if chosen else NAMES:
        command = _words(name)
        if command and shutil.which(command[0]):
            return Compiler(command=command, version=_version(command))
    wanted = f"$CC names `{chosen}`, which is not there" if chosen else "no cc, gcc or clang"
    raise MissingCompilerError(
        f"There is no C compiler ({wanted}): install gcc or clang, or name one in $CC."
    )


def flags(isa: Isa) -> tuple[str, ...]:
    """Compiler flags for an instruction set.

    ``native`` is this machine; ``avx512`` and ``avx2`` are x86-64-v4 and -v3; ``baseline`` is the
    architecture without extensions; ``portable`` is plain C at -O2 without vector types.

    Raises:
        RecipeError: If there is no such instruction set.
    """
    if isa not in get_args(Isa):
        raise RecipeError(f"`isa` must be one of {', '.join(get_args(Isa))}, got {isa!r}.")
    if isa == "portable":
        return (*COMMON, "-O2", "-DAUM_SCALAR")
    wide = ("-mprefer-vector-width=512",)
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    chosen: dict[str, tuple[str, ...]] = {
        "native": ("-march=native", *wide) if x86 else ("-mcpu=native",),
        "avx512": ("-march=x86-64-v4", *wide),
        "avx2": ("-march=x86-64-v3",),
        "baseline": (),
    }
    return (*COMMON, "-O3", *chosen[isa])


def check_runs_here(isa: Isa) -> None:
    """Refuse an instruction set whose code would end the process.

    Raises:
        RecipeError: If this machine lists its extensions and one is missing.
    """
    listed = re.search(r"^flags\s*:(.*)$", _cpu(), re.MULTILINE)
    missing = [x for x in EXTENSIONS.get(isa, ()) if listed and x not in listed[1].split()]
    if missing:
        raise RecipeError(
            f"`isa: {isa}` needs a processor with {', '.join(missing)} and this one has not: give "
            "native, baseline or portable."
        )


def build_library(sources: Sequence[Path], headers: Sequence[Path], isa: Isa = "native") -> Path:
    """A shared library of C sources, from the cache if it was built before.

    Args:
        sources: Files to compile.
        headers: Files that they include; both are part of the cache's key.
        isa: What to build for, see :func:`flags`.

    Raises:
        MissingCompilerError: If there is no compiler.
        ExportError: If a file cannot be read or compiled.
    """
    compiler = find_compiler()
    options = (*flags(isa), "-shared", "-fPIC")
    out = cache_folder() / f"{_key(compiler, options, [*sources, *headers])}.so"
    if not out.is_file():
        with tempfile.TemporaryDirectory(dir=out.parent) as folder:
            draft = Path(folder) / out.name
            _compile(compiler, [*options, *_words_of(sources), "-o", str(draft)], sources[0])
            draft.replace(out)
    return out


def build_program(sources: Sequence[Path], out: Path, isa: Isa = "native") -> Path:
    """A program of C sources that needs nothing but the C library.

    Raises:
        MissingCompilerError: If there is no compiler.
        ExportError: If a file cannot be compiled.
    """
    compiler = find_compiler()
    words = [*flags(isa), *_words_of(sources), "-o", str(out), "-lm"]
    _compile(compiler, words, sources[-1])
    return out


def cache_folder() -> Path:
    """Where libraries are kept: a folder of this user alone, made if need be.

    That is ``$XDG_CACHE_HOME/aum-edge/c`` or ``~/.cache/aum-edge/c``; where it cannot be written
    to, belongs to somebody else or is open to others, a new folder for this process.
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    with contextlib.suppress(OSError, RuntimeError):
        folder = Path(base).expanduser() / "aum-edge" / "c"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        mine = not hasattr(os, "getuid") or (
            found.st_uid == os.getuid() and not found.st_mode & OTHERS_WRITE
        )
        if mine and os.access(folder, os.W_OK):
            return folder
    return _own_folder()


def _words(name: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(name))
    except ValueError:  # A quote that does not end.
        return ()


def _words_of(sources: Sequence[Path]) -> list[str]:
    """Whole paths: a name that begins with - or @ would be an option."""
    return [str(path.absolute()) for path in sources]


def _own_folder() -> Path:
    if not _made:
        _made.append(tempfile.TemporaryDirectory(prefix="aum-edge-c-"))
    return Path(_made[0].name)


def _key(compiler: Compiler, options: Sequence[str], files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for text in (compiler.version, *compiler.command, *options, platform.machine(), _cpu()):
        digest.update(text.encode() + b"\0")
    for path in files:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(_read(path)).digest())
    return digest.hexdigest()[:32]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ExportError(f"Cannot read {path} ({error.strerror}).") from error


def _cpu() -> str:
    """What ``native`` depends on: the processor's name and extensions as the system lists them."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    kept = ("model name", "flags", "Features", "CPU part")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(kept)))


def _version(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingCompilerError(
            f"The C compiler `{shlex.join(command)}` does not run ({error}): name another in $CC."
        ) from error
    return (done.stdout.splitlines() or [shlex.join(command)])[0]


def _compile(compiler: Compiler, arguments: Sequence[str], source: Path) -> None:
    name = shlex.join(compiler.command)
    try:
        done = subprocess.run(
            [*compiler.command, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FailedCompilerError(
            f"`{name}` did not compile {source.name} in {SECONDS} seconds: try another in $CC."
        ) from error
    except OSError as error:
        raise FailedCompilerError(f"The C compiler `{name}` does not run ({error}).") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        said = next(
            (line for line in lines if "error" in line.lower()), (lines or ["no reason"])[0]
        )
        raise FailedCompilerError(
            f"`{name}` could not compile {source.name}: {said.strip()[:200]}."
        )
