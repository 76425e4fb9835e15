"""Imports point one way, in no circle; heavy libraries stay in their rooms (HOUSE.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "aum_edge"
FLOORS = [
    {"errors", "__init__"},
    {"core"},
    {"audio", "ssm"},
    {"models", "data"},
    {"checkpoints", "complexity"},
    {"training", "runtimes"},
    {"compression", "export"},
    {"bench", "report"},
    {"submission"},
    {"pipeline"},
    {"search", "comparison", "api"},
    {"cli"},
    {"__main__"},
]
HEAVY = {
    "lightning": {"training", "data", "pipeline"},
    "nncf": {"compression"},
    "torch_pruning": {"compression"},
    "onnxruntime": {"compression", "export", "bench", "runtimes", "submission"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "transformers": {"models"},
    "optuna": {"search"},
    "sqlalchemy": {"search"},
    "jsonargparse": {"pipeline", "cli"},
}


def sources(package: Path) -> dict[str, Path]:
    """Every module by its dotted name."""
    names = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        names[".".join(parts).removesuffix(".__init__")] = path
    return names


def imports(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """Modules that a file imports anywhere: also in functions, and by ``import_module``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else node.module
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            for word in node.args:
                if isinstance(word, ast.Constant) and isinstance(word.value, str):
                    yield word.value


def room(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def floor(name: str) -> int:
    return next(index for index, rooms in enumerate(FLOORS) if name in rooms)


def wrong_arrows(package: Path) -> list[str]:
    known, wrong = sources(package), []
    for name, path in known.items():
        here = room(name)
        for target in imports(path, known):
            there = room(target) if target.split(".")[0] == package.name else here
            if there != here and floor(there) >= floor(here):
                wrong.append(f"{name} imports {target}")
            library = target.split(".")[0]
            if library in HEAVY and here not in HEAVY[library]:
                wrong.append(f"{name} imports {library}")
    return wrong


def circles(package: Path) -> list[str]:
    """Chains of files that come back to where they began, each named once."""
    known = sources(package)
    arrows = {name: set(imports(path, known)) & set(known) - {name} for name, path in known.items()}
    found, done = [], set()

    def walk(name: str, chain: list[str]) -> None:
        if name in chain:
            found.append(" -> ".join([*chain[chain.index(name) :], name]))
        elif name not in done:
            for target in sorted(arrows[name]):
                walk(target, [*chain, name])
            done.add(name)

    for name in arrows:
        walk(name, [])
    return found


def test_imports_point_one_way() -> None:
    assert wrong_arrows(PACKAGE) == []


def test_no_file_imports_itself_through_others() -> None:
    assert circles(PACKAGE) == []


def test_every_room_has_a_floor() -> None:
    assert {room(name) for name in sources(PACKAGE)} <= set().union(*FLOORS)


def test_a_circle_and_an_arrow_upwards_are_seen(tmp_path) -> None:
    package = tmp_path / "aum_edge"
    for name, text in {
        "core/one": "from importlib import import_module\nimport_module('aum_edge.core.two')",
        "core/two": "def late():\n    from aum_edge.core import one",
        "core/three": "from aum_edge.cli.run import run",
        "cli/run": "import lightning",
    }.items():
        path = package / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert circles(package) == ["aum_edge.core.one -> aum_edge.core.two -> aum_edge.core.one"]
    assert wrong_arrows(package) == [
        "aum_edge.cli.run imports lightning",
        "aum_edge.core.three imports aum_edge.cli.run",
    ]
