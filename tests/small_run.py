"""A corpus, a model and a recipe small enough that whole runs take seconds."""

from __future__ import annotations

import numpy as np
import torch

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.audio.wav import write_wav
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import AudioMambaConfig
from aum_edge.models.registry import build
from aum_edge.models.student_config import MambaStudentConfig

RATE = 8000
FRONTEND = FrontEndConfig(
    sample_rate=RATE, n_fft=256, win_length=256, hop_length=250, n_mels=16, clip_seconds=1.0
)
LABELS = ("high", "low", "mid")
PITCH = {"low": 300.0, "mid": 900.0, "high": 2500.0}


def tones(root, per_class: int = 12, seed: int = 0):
    """A folder corpus root/<split>/<label>/*.wav of noisy tones."""
    rng = np.random.default_rng(seed)
    time = np.arange(RATE) / RATE
    for split, count in (("train", per_class), ("val", 4), ("test", 4)):
        for label, pitch in PITCH.items():
            folder = root / split / label
            folder.mkdir(parents=True, exist_ok=True)
            for index in range(count):
                tone = np.sin(2 * np.pi * pitch * rng.uniform(0.9, 1.1) * time)
                sound = 0.2 * tone + 0.1 * rng.standard_normal(RATE)
                write_wav(folder / f"{label}{index}.wav", sound, RATE, bits=16)
    return root


def student(seed: int = 0, **fields) -> AudioClassifier:
    """A tiny student for the tones."""
    torch.manual_seed(seed)
    values = {"d_model": 16, "depth": 2, "d_state": 4, "head_dim": 8, "stem_channels": (4, 4)}
    config = MambaStudentConfig(
        n_classes=3, n_mels=FRONTEND.n_mels, n_frames=FRONTEND.n_frames, **(values | fields)
    )
    return AudioClassifier(
        build(config),
        frontend=FRONTEND,
        normalization=Normalization(mean=-2.0, std=3.0),
        labels=LABELS,
    )


def teacher(seed: int = 0, n_classes: int = 3, **fields) -> AudioClassifier:
    """A tiny AuM for the tones, without dropout or batch norms."""
    torch.manual_seed(seed)
    values = {"d_model": 16, "depth": 2, "d_state": 4, "patch_size": (8, 8)}
    config = AudioMambaConfig(
        n_classes=n_classes,
        n_mels=FRONTEND.n_mels,
        n_frames=FRONTEND.n_frames,
        **(values | fields),
    )
    return AudioClassifier(
        build(config),
        frontend=FRONTEND,
        normalization=Normalization(mean=-2.0, std=3.0),
        labels=LABELS[:n_classes],
    )


SIZES = "{d_model: 16, depth: 2, d_state: 4, head_dim: 8, stem_channels: [4, 4]}"


def recipe_text(root) -> str:
    """The whole main job on the tones."""
    train = "{epochs: 2, batch_size: 12, lr: 5.0e-3, augment: {mixup_p: 0.5}}"
    return f"""
name: tones
data: {{corpus: folder, root: {root}}}
frontend: {{sample_rate: 8000, n_fft: 256, win_length: 256, hop_length: 250, n_mels: 16}}
teacher:
  model: {{preset: aum-mini, overrides: {{d_model: 16, depth: 2, d_state: 4}}}}
  train: {train}
student:
  model: {{preset: student-ssd, overrides: {SIZES}}}
  train: {train}
prune:
  cut: {{max_bytes: 6000, steps: 2, rounds: 2, round_epochs: 1, curve_clips: 8}}
  recover: {{epochs: 1, batch_size: 12}}
control:
  model: {{preset: cp-mobile, overrides: {{base_channels: 8}}}}
  train: {{epochs: 1, batch_size: 12}}
bench: {{runs: 5, warmup: 1}}
"""
