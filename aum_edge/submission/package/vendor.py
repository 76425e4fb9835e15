"""A copy of the modules that a package needs, with imports that stay inside of it.

The package reads and computes with the very source that trained and measured its models, so there
is one front end and one network. Which modules that takes is found by following imports.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

import aum_edge
from aum_edge.core.files import write_text
from aum_edge.errors import ExportError

NAME = "aum_edge"
HOME = Path(aum_edge.__file__).parent
BY_NAME = {"aum_edge.models.architectures.mamba_student": "aum_edge.ssm.mixers"}
"""Modules that look others up by name in a folder, which is copied with them."""
HEADER = "# Copied from aum-edge {version} (Apache-2.0); see NOTICE.\n"


def needed(roots: Iterable[str], instead: Mapping[str, str]) -> dict[str, str]:
    """Modules that ``roots`` import, directly or not, with their source.

    Args:
        roots: Names such as ``aum_edge.audio.frontend``.
        instead: Sources that take the place of a module's own.

    Raises:
        ExportError: If a module imports ours in a way that cannot be rewritten.
    """
    found: dict[str, str] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        source = instead.get(name) or _file(name).read_text(encoding="utf-8")
        found[name] = source
        if name in BY_NAME:
            waiting += modules_in(BY_NAME[name])
        for node in _imports(name, source):
            waiting += _targets(node)
    return dict(sorted(found.items()))


def modules_in(package: str) -> list[str]:
    """The modules of one of our folders."""
    folder = HOME.joinpath(*package.split(".")[1:])
    return [f"{package}.{file.stem}" for file in sorted(folder.glob("[!_]*.py"))]


def copy_modules(modules: Mapping[str, str], folder: Path, operators: str) -> None:
    """Write the modules below ``folder`` with relative imports.

    ``operators`` takes the place of our namespace of torch operators, so that several packages
    live in one process.
    """
    for name, source in modules.items():
        parts = name.split(".")[1:]
        target = folder.joinpath(*parts).with_suffix(".py")
        target.parent.mkdir(parents=True, exist_ok=True)
        for parent in (target.parent, *target.parent.parents):
            (parent / "__init__.py").touch()
            if parent == folder:
                break
        text = relative(name, source)
        for mark, after in (
            (f'"{NAME}::', f'"{operators}::'),
            (f"ops.{NAME}.", f"ops.{operators}."),
        ):
            text = text.replace(mark, after)
        write_text(target, HEADER.format(version=aum_edge.__version__) + text)


def relative(name: str, source: str) -> str:
    """The source of a module with its imports of ours made relative."""
    lines = source.splitlines(keepends=True)
    dots = "." * (name.count("."))
    for node in _imports(name, source):
        row = node.lineno - 1
        inside = (node.module or "").removeprefix(NAME).removeprefix(".")
        old, new = f"from {node.module} import", f"from {dots}{inside} import"
        lines[row] = lines[row].replace(old, new, 1)
    return "".join(lines)


def _imports(name: str, source: str) -> list[ast.ImportFrom]:
    """Every import of ours; anything but ``from aum_edge... import ...`` is refused."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            ours = [alias.name for alias in node.names if alias.name.split(".")[0] == NAME]
            if ours:
                raise ExportError(f"{name} imports {ours[0]} whole, which cannot be copied.")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == NAME:
            found.append(node)
    return found


def _targets(node: ast.ImportFrom) -> list[str]:
    """The modules that one import reads: the one named, or those among the names."""
    base = node.module or ""
    names = [f"{base}.{alias.name}" for alias in node.names]
    if _is_package(base):
        return [name for name in names if not _is_package(name)]
    return [base]


def _is_package(name: str) -> bool:
    return HOME.joinpath(*name.split(".")[1:]).is_dir()


def _file(name: str) -> Path:
    path = HOME.joinpath(*name.split(".")[1:]).with_suffix(".py")
    if not path.is_file():
        raise ExportError(f"There is no source of {name} to copy: {path} is missing.")
    return path
