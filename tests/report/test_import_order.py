"""Files of the report import downwards only: texts, plots, tables, HTML, then whole reports."""

from __future__ import annotations

from tests.test_layering import PACKAGE, imports, sources

ROOT = "aum_edge.report"
FLOORS = [
    {"schema", "numbers", "text", "palette"},
    {"view", "validation"},
    {"int8_savings"},
    {"plots", "tables"},
    {"html"},
    {"markdown", "card", "build"},
    {"search"},
]


def floor(name: str) -> int:
    part = name.removeprefix(f"{ROOT}.").split(".")[0]
    return next(index for index, parts in enumerate(FLOORS) if part in parts)


def test_sub_packages_import_downwards_only() -> None:
    known = sources(PACKAGE)
    files = [name for name in known if name.startswith(f"{ROOT}.")]
    wrong = [
        f"{name} imports {target}"
        for name in files
        for target in imports(known[name], known)
        if target.startswith(f"{ROOT}.")
        if floor(target) > floor(name) or same_floor(name, target)
    ]
    assert wrong == []


def same_floor(name: str, target: str) -> bool:
    """Plots and tables know nothing of each other."""
    return floor(name) == floor(target) and {name.split(".")[2], target.split(".")[2]} == {
        "plots",
        "tables",
    }
