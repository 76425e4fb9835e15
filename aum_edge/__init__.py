"""From an Audio Mamba teacher to a small Mamba student inside an edge budget.

===================  =============================================================
``load``             a model or run directory to an :class:`AudioClassifier`
``from_pretrained``  the same from a folder or, by OWNER/NAME, from a model hub
``save``             an :class:`AudioClassifier` to a model directory
``convert``          a published checkpoint to an :class:`AudioClassifier`
``fit``              a model trained on labels
``distill``          a student trained on labels and on teachers
``prune``            a smaller model by explicit Mamba groups
``quantize``         int8 weights per channel, the scan in float
``complexity``       MACs, bytes and the verdict by a challenge's limits
``export``           a verified file that runs elsewhere: its ending names the target
``bench``            latency of models side by side
``predict``          labels of audio files
===================  =============================================================

Every verb takes a model, or its path, and a config; ``AudioData`` is a corpus. ``complexity``,
``export`` and ``bench`` are packages that can be called, see ``core/callable_package.py``.
"""

from __future__ import annotations

import os
import warnings
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# onnxruntime since 1.29 reports sessions and models to its maker, also on Linux, unless this is
# set before it is imported; later switches leave a device id behind and send a first event.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_NAMES = {
    "api.compression": "prune quantize",
    "runtimes.predictor": "predict",
    "api.training": "fit distill",
    "audio.augment.config": "AugmentConfig",
    "audio.config": "FrontEndConfig Normalization",
    "bench.config": "BenchConfig BenchPlan",
    "checkpoints.convert": "convert",
    "comparison.config": "ArmConfig CompareRecipe",
    "complexity.limits": "Limits",
    "compression.pruning.config": "PruneConfig",
    "compression.quantization.config": (
        "QuantizeConfig QatConfig CalibrationConfig SensitivityConfig StaticConfig"
    ),
    "data.config": "DataConfig",
    "data.corpora.audio": "AudioFolderConfig",
    "data.corpora.esc": "EscConfig",
    "data.corpora.folder": "FolderConfig",
    "data.corpora.fsdd": "FsddConfig",
    "data.corpora.manifest_file": "ManifestConfig",
    "data.corpora.speech_commands": "SpeechCommandsConfig",
    "data.corpora.synthetic.generate": "SyntheticConfig",
    "data.corpora.tau2022": "Tau2022Config",
    "data.datamodule": "AudioData",
    "export.c.config": "CExportConfig",
    "export.onnx.config": "ExportConfig",
    "models.architectures.masked_patch": "MaskedPatchConfig",
    "models.classifier": "AudioClassifier load from_pretrained",
    "models.config": "AudioMambaConfig AstConfig CPMobileConfig",
    "models.storage.directory": "save",
    "models.student_config": "MambaStudentConfig",
    "pipeline.pretrain_recipe": "PretrainRecipe",
    "pipeline.recipe": "Recipe TeacherConfig StudentConfig PruningConfig ControlConfig",
    "search.config": "SearchRecipe SamplerConfig",
    "submission.config": "SubmissionConfig",
    "training.config": (
        "TrainConfig OptimizerConfig ScheduleConfig FreezeConfig BatchConfig TrainerConfig"
    ),
    "training.device_finetuning": "DevicesConfig",
    "training.distillation.config": "DistillConfig",
    "training.pretraining.config": "PretrainConfig",
}
_HOME = {name: home for home, names in _NAMES.items() for name in names.split()}
_CALLABLE = ("bench", "complexity", "export")
_OLD = {
    "analyse": ("complexity.report", "complexity(model, limits)"),
    "export_onnx": ("export.onnx.export", 'export(model, "model.onnx")'),
}
"""Names of the release before, read once more with a warning."""
__all__ = ["__version__", *_CALLABLE, *_HOME]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import aum_edge` costs nothing."""
    if name in _HOME:
        return getattr(import_module(f"aum_edge.{_HOME[name]}"), name)
    if name in _CALLABLE:
        return import_module(f"aum_edge.{name}")
    if name in _OLD:
        home, instead = _OLD[name]
        warnings.warn(
            f"aum_edge.{name} goes with the next release: use aum_edge.{instead}.",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(import_module(f"aum_edge.{home}"), name)
    raise AttributeError(f"module 'aum_edge' has no attribute '{name}'")


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted({*globals(), *__all__})
