"""Import of every module of a package, so that what stands in them registers itself."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module


@cache
def import_modules(package: str, *, deep: bool = False) -> None:
    """Import the modules of a package once; with ``deep`` those of its sub-packages as well."""
    walk = pkgutil.walk_packages if deep else pkgutil.iter_modules
    for found in walk(import_module(package).__path__, f"{package}."):
        import_module(found.name)
