"""What a submission is made of: a label, a general model and perhaps one for each device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aum_edge.complexity.limits import get_limits
from aum_edge.errors import RecipeError
from aum_edge.submission.label import Label, parse_label
from aum_edge.submission.runtime.scenes import KNOWN

YEARS = (2022, 2023, 2024, 2025)
SPLITS = (5, 10, 25, 50, 100)
"""Percent of the training data that each of 2024's five systems saw."""


@dataclass(frozen=True, kw_only=True)
class SubmissionConfig:
    """One system. A model is a model directory or an .onnx file of ``aum-edge export``.

    2025: ``general`` serves every device that ``devices`` does not name, unknown ones included.
    2024: ``splits`` are the five models, ``general`` is the one of 25 %. Before: ``general`` alone.
    """

    label: str
    general: Path
    devices: Mapping[str, Path] = field(default_factory=dict)
    """Models by device id: a, b, c, s1, s2, s3."""
    splits: Mapping[int, Path] = field(default_factory=dict)
    """2024: models by percent of the training data."""
    year: int = 2025
    limits: str = ""
    """A preset or a YAML file; empty is that of the year."""
    depend_on_aum_edge: bool = False
    """The package imports aum_edge instead of carrying copies of its modules."""

    def __post_init__(self) -> None:
        parse_label(self.label)
        if self.year not in YEARS:
            raise RecipeError(
                f"`year` must be one of {', '.join(map(str, YEARS))}, got {self.year}."
            )
        foreign = [name for name in self.devices if name not in KNOWN]
        if foreign:
            raise RecipeError(
                f"There is no training device `{foreign[0]}`: models of their own have "
                f"{', '.join(KNOWN)}; all other devices are served by the general model."
            )
        if self.devices and self.year != 2025:
            raise RecipeError(
                f"Device-specific models came with 2025; {self.year} takes one model for all: "
                "leave the devices out."
            )
        get_limits(self.limits_name)
        self._check_splits()

    def _check_splits(self) -> None:
        if self.year != 2024 and self.splits:
            raise RecipeError(
                f"Models by training split are for 2024, not for {self.year}: leave them out."
            )
        if self.year == 2024 and tuple(sorted(self.splits)) != SPLITS:
            raise RecipeError(
                f"2024 takes one model for each training split {', '.join(map(str, SPLITS))}; got "
                f"{', '.join(map(str, sorted(self.splits))) or 'none'}."
            )

    @property
    def parsed(self) -> Label:
        """The label in its parts."""
        return parse_label(self.label)

    @property
    def limits_name(self) -> str:
        """Preset or file of the limits."""
        return self.limits or f"dcase{self.year}"

    @property
    def members(self) -> dict[str, Path]:
        """Every model by its folder's name: ``general``, device ids, or ``split5`` and so on."""
        if self.splits:
            return {f"split{percent}": path for percent, path in sorted(self.splits.items())}
        return {"general": self.general, **{d: self.devices[d] for d in KNOWN if d in self.devices}}


def run_models(run: Path) -> tuple[Path, dict[str, Path]]:
    """The int8 model of a recipe's run and, where it tuned devices, their models.

    Raises:
        RecipeError: If the run has no such model yet.
    """
    general = run / "quantize" / "model"
    if not (general / "config.json").is_file():
        raise RecipeError(f"{run} has no quantize/model yet: finish it with `aum-edge run`.")
    devices = run / "devices"
    tuned = any((devices / name / "model").is_dir() for name in KNOWN)
    return general, device_folders(devices) if tuned else {}


def device_folders(folder: Path) -> dict[str, Path]:
    """Models in the sub-folders of ``folder`` that are named like devices.

    A model lies in the sub-folder itself or in its ``model/``; other sub-folders are not looked at.

    Raises:
        RecipeError: If there is no such folder, or a device's folder holds no model.
    """
    if not folder.is_dir():
        raise RecipeError(f"There is no folder {folder} with a model for each device.")
    found: dict[str, Path] = {}
    for device in KNOWN:
        home = folder / device
        if not home.is_dir():
            continue
        model = home if (home / "config.json").is_file() else home / "model"
        if not (model / "config.json").is_file():
            raise RecipeError(f"{home} holds no model directory, nor does its `model`.")
        found[device] = model
    if not found:
        raise RecipeError(f"{folder} has no folder named like a device ({', '.join(KNOWN)}).")
    return found
