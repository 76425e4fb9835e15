"""Descriptions for the meta file, derived from the models and their run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from aum_edge.submission.models import SubmissionModel

METHODS = {
    "mamba_student": "Mamba",
    "audio_mamba": "Audio Mamba",
    "cp_mobile": "CNN (CP-Mobile)",
    "ast": "Audio Spectrogram Transformer",
}
AUGMENTATIONS = {
    "roll_seconds": "time rolling",
    "mixstyle_p": "freq-mixstyle",
    "freq_mask": "frequency masking",
    "time_mask": "time masking",
    "mixup_p": "mixup",
    "waveform_mixup_p": "waveform mixup",
    "ir_p": "device impulse responses",
    "noise": "noise",
    "freq_warp": "frequency warping",
    "time_stretch": "time stretching",
    "colour_db": "spectral colouring",
    "floor_db": "noise floor",
}
"""By the recipe's key; a value above 0 means that it was used."""


@dataclass(frozen=True)
class Run:
    """The recipe that made the models, as far as there is one."""

    recipe: dict[str, Any]

    @property
    def impulse_folders(self) -> list[str]:
        """Outside impulse responses that augmentation used."""
        return sorted(
            {str(a["ir_dir"]) for a in self.augmentations() if a.get("ir_dir") and a.get("ir_p")}
        )

    @property
    def outside_starts(self) -> list[str]:
        """Checkpoints that training started from or learnt from."""
        teacher = self.recipe.get("teacher")
        teacher = teacher if isinstance(teacher, dict) else {}
        model = teacher.get("model")
        start = model.get("init") if isinstance(model, dict) else None
        return [str(path) for path in (start, *(teacher.get("checkpoints") or ())) if path]

    def augmentations(self) -> Iterator[dict[str, Any]]:
        """Every augmentation's settings."""
        yield from _augments(self.recipe)


def find_run(model: Path, run: Path | None) -> Run:
    """The recipe of ``run``, or of the run folder above the model; empty where there is none."""
    folders = [run] if run else list(model.resolve().parents)[:4]
    for folder in folders:
        path = folder / "recipe.yaml"
        if path.is_file():
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
            return Run(values if isinstance(values, dict) else {})
    return Run({})


def description(members: dict[str, SubmissionModel], run: Run) -> dict[str, str | None]:
    """Every field of ``system.description`` of any year; None is not known."""
    models = list(members.values())
    names = ", ".join(_used(run))
    return {
        "input_sampling_rate": _joined(
            f"{member.frontend.sample_rate / 1000:g}kHz" for member in members.values()
        ),
        "acoustic_features": _joined(
            "log-mel energies" if member.frontend.kind == "log_mel" else "Kaldi filter bank"
            for member in members.values()
        ),
        "embeddings": "none",
        "data_augmentation": names or (None if not run.recipe else "none"),
        "machine_learning_method": _joined(
            METHODS.get(member.architecture, member.architecture) for member in members.values()
        ),
        "ensemble_method_subsystem_count": "1",
        "decision_making": "argmax",
        "complexity_management": _together(_management(member, run) for member in models),
        "pipeline": _pipeline(models[0], run),
        "framework": _framework(members),
        "device_information": _devices(members),
        "split_adaptations": "one model for each split",
        "system_adaptations": "none",
    }


def _framework(members: dict[str, SubmissionModel]) -> str:
    onnx = any(member.config["architecture"] == "onnx" for member in members.values())
    return "pytorch, onnxruntime" if onnx else "pytorch"


def _devices(members: dict[str, SubmissionModel]) -> str:
    own = [name for name in members if name != "general"]
    if not own:
        return "not used: one model for all devices"
    return f"device-specific models for {', '.join(own)}; the general model for unknown devices"


def _management(member: SubmissionModel, run: Run) -> str | None:
    """What made the model small."""
    steps = [str(step.get("step", "")) for step in member.lineage]
    words = ["knowledge distillation"] if _distilled(run) else []
    words += ["pruning"] if "prune" in steps else []
    quantization = member.config.get("quantization") or {}
    if "quantize" in steps or quantization.get("layers"):
        words.append("int8 weights")
    if quantization.get("float16"):
        words.append("16-bit weights")
    return ", ".join(words) or ("none" if member.lineage else None)


def _pipeline(member: SubmissionModel, run: Run) -> str | None:
    """The order of the work."""
    steps = [str(step["step"]) for step in member.lineage if step.get("step")]
    return ", ".join((["teacher training"] if _distilled(run) else []) + steps) or None


def _distilled(run: Run) -> bool:
    student = run.recipe.get("student")
    return isinstance(student, dict) and bool(student.get("distill"))


def _used(run: Run) -> list[str]:
    """Augmentations that any stage used."""
    found = {
        name
        for values in run.augmentations()
        for key, name in AUGMENTATIONS.items()
        if _positive(values.get(key))
    }
    return [name for name in AUGMENTATIONS.values() if name in found]


def _positive(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(isinstance(item, int | float) and item > 0 for item in values)


def _augments(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "augment" and isinstance(item, dict):
                yield item
            else:
                yield from _augments(item)


def _together(lists: Iterable[str | None]) -> str | None:
    """Every word of several lists once; None where nothing is known."""
    words = [word for words in lists if words for word in words.split(", ")]
    real = [word for word in dict.fromkeys(words) if word != "none"]
    return ", ".join(real) or ("none" if words else None)


def _joined(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))
