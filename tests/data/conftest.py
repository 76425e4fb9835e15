"""Small corpora on disk that the tests of this room read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.wav import write_wav
from aum_edge.data.corpora.synthetic.generate import SyntheticConfig, generate

WriteTone = Callable[..., Path]


@pytest.fixture(scope="session")
def write_tone() -> WriteTone:
    """Write a tone in noise: path, seconds, rate, seed, parts of it silent."""

    def write(
        path: Path,
        seconds: float = 1.0,
        rate: int = 8000,
        seed: int = 0,
        silent: tuple[tuple[float, float], ...] = (),
    ) -> Path:
        rng = np.random.default_rng(seed)
        t = np.arange(round(seconds * rate)) / rate
        samples = 0.3 * np.sin(2 * np.pi * rng.uniform(200, 2000) * t)
        samples += 0.02 * rng.standard_normal(len(t))
        for start, end in silent:
            samples[round(start * rate) : round(end * rate)] = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        write_wav(path, samples.astype(np.float32), rate)
        return path

    return write


@pytest.fixture(scope="session")
def frontend() -> FrontEndConfig:
    return FrontEndConfig(sample_rate=8000, n_fft=256, win_length=256, hop_length=200, n_mels=16)


@pytest.fixture(scope="session")
def small_config() -> SyntheticConfig:
    return SyntheticConfig(n_train=60, n_test=27, pieces=1)


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory: pytest.TempPathFactory, small_config: SyntheticConfig) -> Path:
    return generate(small_config, tmp_path_factory.mktemp("synthetic") / "corpus")


@pytest.fixture(scope="session")
def fsdd_corpus(tmp_path_factory: pytest.TempPathFactory, write_tone: WriteTone) -> Path:
    """Three digits, three speakers, four takes: 36 short recordings."""
    root = tmp_path_factory.mktemp("fsdd")
    for digit in range(3):
        for speaker in ("ada", "bo", "cy"):
            for take in range(4):
                seed = digit * 100 + take
                name = f"{digit}_{speaker}_{take}.wav"
                write_tone(root / "recordings" / name, 0.2 + 0.1 * take, seed=seed)
    return root
