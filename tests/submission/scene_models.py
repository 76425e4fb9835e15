"""Small models of the ten scenes, and information for a meta file."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import CPMobileConfig
from aum_edge.models.registry import build
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.submission.runtime.scenes import SCENES

FRONTEND = FrontEndConfig(sample_rate=8000, n_fft=256, win_length=256, hop_length=250, n_mels=16)
SHUFFLED = (*SCENES[5:], *SCENES[:5])
LABEL = "Muster_AUM_task1_1"
AUTHOR = {
    "lastname": "Muster",
    "firstname": "Ada",
    "email": "ada@example.org",
    "corresponding": True,
    "affiliation": {
        "abbreviation": "AUM", "institute": "I", "department": "D", "location": "Linz, Austria",
    },
}  # fmt: skip
INFO = {
    "submission": {"name": "A system", "abbreviation": "AumS", "authors": [AUTHOR]},
    "external_datasets": [],
}


def student(
    seed: int = 0, labels: tuple[str, ...] = SCENES, activation: str = "softmax", **fields
) -> AudioClassifier:
    """A random student that tells sounds apart."""
    torch.manual_seed(seed)
    values = {"d_model": 16, "depth": 1, "d_state": 4, "head_dim": 8, "stem_channels": (4, 4)}
    config = MambaStudentConfig(
        n_classes=len(labels),
        n_mels=FRONTEND.n_mels,
        n_frames=FRONTEND.n_frames,
        **(values | fields),
    )
    return classifier(config, labels, activation)


def cnn(seed: int = 0, **fields) -> AudioClassifier:
    """A small CP-Mobile."""
    torch.manual_seed(seed)
    config = CPMobileConfig(
        n_classes=10, n_mels=FRONTEND.n_mels, n_frames=FRONTEND.n_frames, base_channels=8, **fields
    )
    return classifier(config, SCENES, "softmax")


def classifier(config, labels, activation) -> AudioClassifier:
    network = build(config)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith("head."):
                parameter.normal_()
    return AudioClassifier(
        network,
        frontend=FRONTEND,
        normalization=Normalization(mean=-6.0, std=3.0),
        labels=labels,
        activation=activation,
        lineage=({"step": "student", "seed": 0},),
    ).eval()


def write_info(path: Path, **changes) -> Path:
    """A complete information file, some groups changed."""
    path.write_text(yaml.safe_dump(INFO | changes), encoding="utf-8")
    return path
