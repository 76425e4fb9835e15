"""Seeking in Ogg Vorbis, where libsndfile lands off the mark on the last page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from aum_edge.audio.containers import ogg_end
from aum_edge.audio.io import read_audio


@pytest.mark.parametrize(
    ("seconds", "rate"), [(3.0, 8000), (0.4, 8000), (20.0, 8000), (5.0, 44100)]
)
def test_every_part_of_a_vorbis_file_is_a_slice_of_the_whole(
    tmp_path: Path, seconds: float, rate: int
) -> None:
    path = tmp_path / "a.ogg"
    rng = np.random.default_rng(2)
    soundfile.write(path, rng.uniform(-0.5, 0.5, round(seconds * rate)), rate)
    whole, _ = read_audio(path)
    for first in np.linspace(1, len(whole) - 1, 25).astype(int):
        part, _ = read_audio(path, first / rate, (first + 300) / rate)
        np.testing.assert_allclose(part, whole[first : first + 300], atol=1e-5)


def test_the_end_of_an_ogg_file_is_read_without_decoding(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.random.default_rng(2).uniform(-0.5, 0.5, 24_000), 8000)
    end = ogg_end(path)
    assert end is not None
    assert end.missing is None
    assert 0 < end.last_start < 24_000
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    end = ogg_end(path)
    assert end is not None
    assert end.missing == "its last Ogg page is not whole"


def test_other_files_are_no_ogg(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    (tmp_path / "b.wav").write_bytes(b"")
    assert ogg_end(tmp_path / "a.wav") is None
    assert ogg_end(tmp_path / "b.wav") is None
