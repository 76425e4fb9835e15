"""Callable packages: ``aum_edge.bench`` is a package and a function.

``import aum_edge.bench.config``, anywhere in the process, binds the package as the attribute
``bench`` of ``aum_edge``, and hides whatever the package ``aum_edge`` offers under that name. So
that ``aum_edge.bench(...)`` works in every order of imports, the package itself can be called.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class CallablePackage(ModuleType):
    """A package that hands a call on to one function of its own, imported at the first call."""

    def __call__(self, *args: Any, **values: Any) -> Any:
        """Call the function."""
        return self.__wrapped__(*args, **values)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name, as functions are: a pool of processes takes the verb as its task."""
        return import_module, (self.__name__,)

    @property
    def __wrapped__(self) -> Any:
        """The function, so that its signature and help are those of the package."""
        home = import_module(f"{self.__name__}.{self.VERB_HOME}")
        return getattr(home, self.__name__.rpartition(".")[2])


def make_callable(package: str, home: str) -> None:
    """Let calls of a package go to the function of its own name in its module ``home``."""
    module = sys.modules[package]
    module.__dict__["VERB_HOME"] = home
    module.__class__ = CallablePackage
