"""Every problem is found, named, and found only where it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from aum_edge.audio.quality import check_audio

RATE = 16000
SOUND = np.random.default_rng(0).uniform(-0.4, 0.4, RATE)


def with_value(value: float) -> np.ndarray:
    x = SOUND.copy()
    x[100] = value
    return x


CASES = {
    "good": (SOUND, RATE, None),
    "good stereo": (np.stack([SOUND, np.roll(SOUND, 50)], axis=1), RATE, None),
    "loud but not flat": (SOUND * 3, RATE, None),
    "silent": (np.zeros(RATE), RATE, "silent: all zeros"),
    "nearly silent": (SOUND * 1e-3, RATE, "silent: peak"),
    "clipped": (np.clip(SOUND * 4, -1, 1), RATE, "clipped"),
    "offset": (SOUND + 0.2, RATE, "constant offset"),
    "nan": (with_value(np.nan), RATE, "NaN or infinite: 1 "),
    "inf": (with_value(np.inf), RATE, "NaN or infinite: 1 "),
    "short": (SOUND[:800], RATE, "very short: 800 samples"),
    "low rate": (SOUND, 4000, "low sample rate: 4000"),
    "dead channel": (np.stack([SOUND, 0 * SOUND], axis=1), RATE, "dead channel: 1 of 2"),
    "cancelling": (np.stack([SOUND, -SOUND], axis=1), RATE, "channels cancel"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_has_the_problem_it_was_given_and_no_other(tmp_path: Path, name: str) -> None:
    samples, rate, problem = CASES[name]
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    found = check_audio(tmp_path / "a.wav")
    assert len(found) == (problem is not None), found
    if problem is not None:
        assert found[0].startswith(problem)


def test_integer_clipping_is_found(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.clip(SOUND * 4, -1, 1), RATE, subtype="PCM_16")
    assert [line.split(":")[0] for line in check_audio(tmp_path / "a.wav")] == ["clipped"]


def test_unreadable_files_are_problems_and_no_exceptions(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("nothing to hear")
    soundfile.write(tmp_path / "cut.flac", np.tile(SOUND, 5), RATE)
    whole = (tmp_path / "cut.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    assert "cannot be decoded" in check_audio(tmp_path / "text.wav")[0]
    assert "cut short" in check_audio(tmp_path / "cut.flac")[0]
    assert "does not exist" in check_audio(tmp_path / "none.wav")[0]
    assert "is a folder" in check_audio(tmp_path)[0]
