"""ONNX forms: what is captured instead of a layer's own code, by the type of the layer.

onnxruntime spends about a microsecond on every operator, whatever it computes, and a student's
layers compute less than that: a form is the same arithmetic in fewer, larger operators. Weights,
names and multiplications stay those of the model. A layer without a form is captured as its
``forward`` is. Every module of ``fused`` is imported at the first capture, so that a new file
there is all that a form takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor, nn

from aum_edge.core.modules import import_modules

Layer = TypeVar("Layer", bound=nn.Module)
_FORMS: dict[type[nn.Module], Callable[[Any], None]] = {}


def register_onnx_form(
    kind: type[Layer],
) -> Callable[[Callable[[Layer], None]], Callable[[Layer], None]]:
    """Decorator of a function that gives a layer of exactly this type its form, in place."""

    def register(rewrite: Callable[[Layer], None]) -> Callable[[Layer], None]:
        _FORMS[kind] = rewrite
        return rewrite

    return register


def fuse(model: nn.Module) -> None:
    """Give the layers of a copy made for capture their forms, in place."""
    import_modules("aum_edge.export.onnx.fused")
    for layer in list(model.modules()):
        if type(layer) in _FORMS:
            _FORMS[type(layer)](layer)


def bound(function: Callable[..., Tensor], layer: nn.Module) -> Any:
    """``function`` as a method of ``layer`` with one argument."""
    return lambda x: function(layer, x)
