"""Written WAV files hold what they should, and are whole or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from aum_edge.audio.io import read_audio
from aum_edge.audio.wav import write_wav
from aum_edge.errors import AudioError
from tests.audio.test_io import RATE, noise


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_written_wav_has_the_bits_and_the_samples(tmp_path: Path, bits: int) -> None:
    x = noise(channels=2).astype(np.float64)
    write_wav(tmp_path / "a.wav", x, RATE, bits)
    assert soundfile.info(tmp_path / "a.wav").subtype == f"PCM_{bits}"
    got, rate = soundfile.read(tmp_path / "a.wav")
    assert rate == RATE
    assert np.abs(got - x).max() <= 2.0 ** (1 - bits)


def test_writing_clips_instead_of_wrapping(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.array([2.0, -2.0], np.float32), RATE)
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav")[0], [1, -1], atol=1e-6)


def test_a_failed_write_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, noise(), RATE)
    before = path.read_bytes()

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_wav(path, noise(0.5), RATE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("samples", "rate", "bits", "reason"),
    [
        (np.zeros(4), RATE, 8, "16, 24 or 32"),
        (np.zeros(4), 0, 24, "at least 1 Hz"),
        (np.zeros(0), RATE, 24, "floating samples"),
        (np.zeros((1, 2, 3)), RATE, 24, "floating samples"),
        (np.zeros(4, np.int16), RATE, 24, "int16"),
        (np.array([0.0, np.nan]), RATE, 24, "finite"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, samples: np.ndarray, rate: int, bits: int, reason: str
) -> None:
    with pytest.raises(AudioError, match=reason):
        write_wav(tmp_path / "a.wav", samples, rate, bits)
    assert not list(tmp_path.iterdir())
