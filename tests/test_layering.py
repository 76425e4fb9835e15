"""Imports point one way, heavy libraries stay in their rooms (DESIGN.md 2)."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "aum_edge"
TIERS = [
    {"errors", "__init__"},
    {"audio", "ssm"},
    {"models"},
    {"data", "complexity"},
    {"checkpoints"},
    {"training"},
    {"compression"},
    {"export"},
    {"bench"},
    {"submission", "report"},
    {"recipe"},
    {"pipeline"},
    {"stages", "pretraining"},
    {"reporting", "search", "comparison"},
    {"cli"},
    {"__main__"},
]
HEAVY = {
    "lightning": {"training", "data", "pipeline"},
    "nncf": {"compression"},
    "torch_pruning": {"compression"},
    "onnxruntime": {"compression", "export", "bench"},
    "matplotlib": {"report"},
    "transformers": {"models"},
    "optuna": {"search"},
    "sqlalchemy": {"search"},
    "jsonargparse": {"recipe", "cli"},
}


def room(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "aum_edge":
                names += [f"aum_edge.{alias.name}" for alias in node.names]
            else:
                names.append(node.module)
    return names


def tier(name: str) -> int:
    return next(index for index, rooms in enumerate(TIERS) if name in rooms)


def wrong_arrows(package: Path) -> list[str]:
    wrong = []
    for path in sorted(package.rglob("*.py")):
        here = room(path)
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "aum_edge" and len(parts) > 1 and not parts[1].startswith("__"):
                there = parts[1]
                if there != here and tier(there) >= tier(here):
                    wrong.append(f"{path.relative_to(package)} imports {name}")
            if parts[0] in HEAVY and here not in HEAVY[parts[0]]:
                wrong.append(f"{path.relative_to(package)} imports {parts[0]}")
    return wrong


def test_imports_point_one_way() -> None:
    assert wrong_arrows(PACKAGE) == []


def test_every_room_has_a_tier() -> None:
    rooms = {room(path) for path in PACKAGE.rglob("*.py")}
    known = set().union(*TIERS)
    assert rooms <= known


def test_tier_order_is_enforced() -> None:
    assert tier("cli") > tier("pipeline") > tier("training") > tier("models") > tier("ssm")
