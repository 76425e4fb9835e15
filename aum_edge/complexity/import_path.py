"""Networks by their import path, ``package.module:name``."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from aum_edge.core.text import one_line
from aum_edge.errors import RecipeError


def is_import_path(text: str) -> bool:
    """Whether this names an object of a module rather than a file."""
    module, mark, name = text.partition(":")
    return bool(mark) and not Path(text).exists() and _dotted(module) and _dotted(name)


def network_at(text: str) -> nn.Module:
    """The network at ``package.module:name``: a module, or what the callable there returns.

    The folder the command runs in is searched as well.

    Raises:
        RecipeError: If it cannot be imported or built, or is no ``torch.nn.Module``.
    """
    module_name, _, name = text.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found: Any = import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
        network = found if isinstance(found, nn.Module) else found()
    except AttributeError as error:
        raise RecipeError(f"{module_name} has no `{name}` ({error}).") from error
    except ImportError as error:
        raise RecipeError(f"Cannot import {module_name}: {error}.") from error
    except TypeError as error:
        raise RecipeError(
            f"{text} cannot be called without arguments ({error}): give a function that builds it."
        ) from error
    except Exception as error:
        reason = one_line(error, 200)
        raise RecipeError(f"{text} fails with {type(error).__name__}: {reason}.") from error
    finally:
        sys.path.remove(here)
    if not isinstance(network, nn.Module):
        raise RecipeError(f"{text} is a {type(network).__name__}, not a torch.nn.Module.")
    return network


def input_shape(text: str) -> tuple[int, ...]:
    """``1,1,256,65`` as sizes, batch first.

    Raises:
        RecipeError: If it is no list of integers above 0.
    """
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise RecipeError(
            f"`--input-shape` must be sizes such as 1,1,256,65, batch first; got '{text}'."
        )
    return sizes


def _dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))
