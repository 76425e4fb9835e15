"""Modules of a package are imported once, those of sub-packages where that is asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aum_edge.core.modules import import_modules


def test_modules_are_imported_once_and_sub_packages_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("__init__", "one", "inner/__init__", "inner/two"):
        path = tmp_path / "toy_package" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    monkeypatch.syspath_prepend(tmp_path)
    import_modules("toy_package")
    assert {"toy_package.one", "toy_package.inner"} <= sys.modules.keys()
    assert "toy_package.inner.two" not in sys.modules
    import_modules("toy_package", deep=True)
    assert sys.modules.pop("toy_package.inner.two")
    import_modules("toy_package", deep=True)
    assert "toy_package.inner.two" not in sys.modules
    for name in [name for name in sys.modules if name.split(".")[0] == "toy_package"]:
        del sys.modules[name]
