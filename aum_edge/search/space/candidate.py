"""A point of the space as a model and its training; what it costs, before anything is trained."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from aum_edge.audio.config import Normalization
from aum_edge.complexity.limits import Figure, Limits
from aum_edge.complexity.report import analyse
from aum_edge.complexity.verdict import VerdictRow, excess
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.registry import build
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.pipeline.recipe import ModelChoice
from aum_edge.search.config import SearchRecipe

QUIET = ("aum_edge.training", "aum_edge.compression", "aum_edge.data", "aum_edge.export")
NAMES: dict[Figure, str] = {"macs": "macs", "param_bytes": "bytes", "n_params": "params"}


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
    unknown: tuple[str, ...] = ()
    """Limited figures that a count of the constraints does not give."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self) | {"unknown": list(self.unknown)}

    @property
    def fits(self) -> bool:
        """Whether every limit is known to be met."""
        return not self.over and not self.unknown

    @property
    def why_not(self) -> str:
        """``over exact_macs by 25.0 %``: every limit that is not met or not known to be."""
        return ", ".join(
            [f"over {name} by {excess(share)}" for name, share in self.over.items()]
            + [f"{name} not known" for name in self.unknown]
        )


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
    asked = {"exact": recipe.constraints.exact, "official": recipe.constraints.official}
    rows = [(_name(row), row) for row in found.verdict.rows if asked[row.count]]
    return Cost(
        macs=found.counts.macs,
        bytes=int(found.sizes["param_bytes"]),
        n_params=found.n_params,
        official_macs=found.official.macs,
        official_bytes=found.official.param_bytes,
        over={name: row.share - 1 for name, row in rows if row.state == "over" and row.share},
        unknown=tuple(name for name, row in rows if row.state == "unknown"),
    )


def _name(row: VerdictRow) -> str:
    """As the records of a search name a limit: ``exact_macs``, ``official_bytes``."""
    return f"{row.count}_{NAMES[row.what]}"


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
