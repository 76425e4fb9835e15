"""Small classifiers that export in about a second each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.export.onnx.export import ExportReport, export_onnx
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import AudioMambaConfig, CPMobileConfig
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.registry import build
from aum_edge.models.student_config import MambaStudentConfig

FRONTEND = FrontEndConfig(sample_rate=8000, n_fft=256, win_length=256, hop_length=500, n_mels=32)
LABELS = ("cat", "dog", "sea")
SIZE = {"n_classes": 3, "n_mels": 32, "n_frames": 17}
STUDENT = {**SIZE, "d_model": 16, "depth": 1, "d_state": 4, "stem_channels": (4, 4)}
CONFIGS: dict[str, BackboneConfig] = {
    "s6": MambaStudentConfig(mixer="s6", **STUDENT),
    "ssd": MambaStudentConfig(mixer="ssd", **STUDENT),
    "cp": CPMobileConfig(**SIZE, base_channels=8),
    "aum": AudioMambaConfig(
        **SIZE, patch_size=(8, 8), d_model=16, depth=1, d_state=4, direction="bi-bi"
    ),
}


def make(kind: str) -> AudioClassifier:
    torch.manual_seed(3)
    model = AudioClassifier(
        build(CONFIGS[kind]),
        frontend=FRONTEND,
        normalization=Normalization(mean=-4.0, std=2.5),
        labels=LABELS,
    )
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith(("norm.weight", "norm_f.weight", ".1.weight", "running_var")):
                tensor.uniform_(0.5, 1.5)
            elif name.endswith(("running_mean", ".1.bias", "mixer.D")):
                tensor.normal_()
    return model.eval()


@pytest.fixture(scope="session")
def classifier() -> Callable[[str], AudioClassifier]:
    """A fresh classifier with weights that no test can mistake for another's."""
    return make


@pytest.fixture(scope="session")
def clips() -> torch.Tensor:
    """Features of five clips."""
    noise = torch.randn(5, 1, 32, 17, generator=torch.Generator().manual_seed(1))
    return noise * 2.5 - 4


@dataclass(frozen=True)
class Exported:
    model: AudioClassifier
    report: ExportReport


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    """Files such as s6, s6-unrolled, cp-int8 and ssd-float16, each made once for all tests."""
    folder = tmp_path_factory.mktemp("exported")
    done: dict[str, Exported] = {}
    logging.getLogger("torch.__trace").setLevel(logging.ERROR)

    def get(name: str) -> Exported:
        if name not in done:
            kind, _, variant = name.partition("-")
            model = make(kind)
            if variant in ("int8", "float16"):
                dtype = "float16" if variant == "float16" else "float32"
                model = quantize(model, QuantizeConfig(float_dtype=dtype))
            form = "unrolled" if variant == "unrolled" else "scan"
            config = ExportConfig(scan=form)
            report = export_onnx(model, folder / f"{name}.onnx", config, extra={"licence": "CC0"})
            done[name] = Exported(model, report)
        return done[name]

    return get
