"""A point of the space as a model and its training; what it costs, before anything is trained."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from aum_edge.audio.config import Normalization
from aum_edge.complexity.limits import Limits
from aum_edge.complexity.report import analyse
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import BackboneConfig, MambaStudentConfig
from aum_edge.models.registry import build
from aum_edge.pipeline.recipe import ModelChoice
from aum_edge.search.config import SearchRecipe

QUIET = ("aum_edge.training", "aum_edge.compression", "aum_edge.data", "aum_edge.export")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of the int8 model on one clip; official figures are None where the tool gives none."""

    macs: int
    bytes: int
    n_params: int
    official_macs: int | None
    official_bytes: int | None
    over: dict[str, float]
    """Share above each limit that the recipe's constraints name: 0.25 is a quarter too much."""

    @property
    def fits(self) -> bool:
        """Whether every limit is met."""
        return not self.over


def student_config(choice: ModelChoice, n_classes: int, recipe: SearchRecipe) -> MambaStudentConfig:
    """The architecture of a choice.

    Raises:
        RecipeError: If the values do not fit each other, or the preset is no student.
    """
    config = choice.config(n_classes, recipe.frontend)
    if not isinstance(config, MambaStudentConfig):
        raise RecipeError(
            f"The space is of the student family and `student.model.preset` is {choice.preset}: "
            "give a preset whose name begins with student-."
        )
    return config


def fresh(
    config: BackboneConfig,
    recipe: SearchRecipe,
    labels: tuple[str, ...],
    normalization: Normalization | None = None,
    lineage: tuple[dict[str, Any], ...] = (),
) -> AudioClassifier:
    """A classifier with new weights from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    return AudioClassifier(
        build(config),
        frontend=recipe.frontend,
        normalization=normalization or Normalization(mean=0.0, std=1.0),
        labels=labels,
        lineage=lineage,
        activation="sigmoid" if recipe.student.train.loss == "bce" else "softmax",
    )


def cost_of(model: AudioClassifier, recipe: SearchRecipe, limits: Limits) -> Cost:
    """Exact and official cost of the model in int8; its weights do not matter.

    Cost: one forward pass for each count, a few hundredths of a second.
    """
    # The bytes do not depend on how scales are found, and the largest weight is the quickest.
    with errors_only():
        small = quantize(model, replace(recipe.quantize, method="max"))
    found = analyse(small, limits)
    exact, official = found.counts.macs, found.official
    size, weights = int(found.sizes["param_bytes"]), found.n_params
    over: dict[str, float] = {}
    if recipe.constraints.exact:
        over |= _over("exact", limits, exact, size, weights)
    if recipe.constraints.official:
        over |= _over("official", limits, official.macs, official.param_bytes, official.n_params)
    return Cost(
        macs=exact,
        bytes=size,
        n_params=weights,
        official_macs=official.macs,
        official_bytes=official.param_bytes,
        over=over,
    )


def _over(
    count: str, limits: Limits, macs: int | None, size: int | None, weights: int | None
) -> dict[str, float]:
    rows = (
        ("macs", macs, limits.macs),
        ("bytes", size, limits.param_bytes),
        ("params", weights, limits.params),
    )
    return {
        f"{count}_{what}": value / limit - 1
        for what, value, limit in rows
        if limit is not None and value is not None and value > limit
    }


@contextmanager
def errors_only() -> Iterator[None]:
    """Nothing below an error for a block: a search has one line for each trial."""
    loggers = [logging.getLogger(name) for name in QUIET]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
