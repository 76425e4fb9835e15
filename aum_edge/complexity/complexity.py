"""The verb ``complexity``: of a classifier, a file, or any torch module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from aum_edge.complexity.import_path import input_shape as read_shape
from aum_edge.complexity.import_path import is_import_path, network_at
from aum_edge.complexity.limits import Limits, get_limits
from aum_edge.complexity.onnx.report import analyse_onnx
from aum_edge.complexity.report import Complexity, analyse, analyse_module
from aum_edge.core.text import one_line
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier, as_model


def complexity(
    model: AudioClassifier | nn.Module | str | Path,
    limits: Limits | str | Path = "dcase2025",
    *,
    input_shape: tuple[int, ...] | str | None = None,
    crosscheck: bool = False,
) -> Complexity:
    """Exact and official MACs, bytes and parameters of one input, compared with limits.

    Args:
        model: A classifier, a model directory, a run directory, an .onnx file, or any torch module
            (itself, or ``package.module:name``).
        limits: A preset such as dcase2025, a YAML file, or limits of one's own.
        input_shape: Of any other torch module, batch first: (1, 1, 256, 65) or ``1,1,256,65``.
        crosscheck: Add the counts of thop, torchinfo, fvcore and others.

    Cost: one forward pass each for the exact, the official and every other count.

    Raises:
        RecipeError: Unknown limits, or an input shape that is missing, needless or does not fit.
        CheckpointError: If there is no such model.
    """
    budget = limits if isinstance(limits, Limits) else get_limits(str(limits))
    name = str(model) if isinstance(model, str | Path) else type(model).__name__
    if isinstance(model, str) and is_import_path(model):
        return _of_module(lambda: network_at(name), name, input_shape, (budget, crosscheck))
    if isinstance(model, nn.Module) and not isinstance(model, AudioClassifier):
        return _of_module(lambda: model, name, input_shape, (budget, crosscheck))
    if input_shape:
        raise RecipeError(f"`--input-shape` is for package.module:name; {name} has its own.")
    if name.lower().endswith(".onnx"):
        if crosscheck:
            raise RecipeError("`--crosscheck` needs the torch model: other tools read no .onnx.")
        return analyse_onnx(name, budget)
    return analyse(as_model(model), budget, crosscheck)


def _of_module(
    network: Callable[[], nn.Module],
    name: str,
    input_shape: tuple[int, ...] | str | None,
    how: tuple[Limits, bool],
) -> Complexity:
    """Of any torch module; what it raises on such an input becomes one line."""
    if not input_shape:
        raise RecipeError(f"{name} needs `--input-shape`, for example 1,1,256,65.")
    shape = read_shape(input_shape) if isinstance(input_shape, str) else tuple(input_shape)
    module = network()
    try:
        return analyse_module(module, shape, *how)
    except RecipeError:
        raise
    except Exception as error:
        text = one_line(error, 200)
        raise RecipeError(f"{name} does not take an input of {shape}: {text}.") from error
