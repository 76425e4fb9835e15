"""Reading what people really have, and refusing the rest in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from aum_edge.audio.io import BLOCK, audio_info, read_audio
from aum_edge.errors import AudioError

RATE = 8000
FORMATS = [
    ("a.wav", "PCM_U8", 1e-2),
    ("a.wav", "PCM_16", 1e-4),
    ("a.wav", "PCM_24", 1e-6),
    ("a.wav", "PCM_32", 1e-6),
    ("a.wav", "FLOAT", 0),
    ("a.wav", "DOUBLE", 0),
    ("a.wav", "ULAW", 3e-2),
    ("a.flac", "PCM_16", 1e-4),
    ("a.flac", "PCM_24", 1e-6),
    ("a.ogg", "VORBIS", 0.2),
    ("a.aiff", "PCM_16", 1e-4),
]
CUT = [name for name, _, _ in FORMATS[1:2] + FORMATS[7:8] + FORMATS[9:]]


def noise(seconds: float = 2.0, channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(1)
    shape = (int(seconds * RATE), channels)
    tone = np.sin(np.arange(shape[0]) * 0.2)[:, None] * 0.5
    return (tone + rng.uniform(-0.2, 0.2, shape)).astype(np.float32)


@pytest.mark.parametrize(("name", "subtype", "atol"), FORMATS)
def test_every_format_gives_the_samples_that_were_written(
    tmp_path: Path, name: str, subtype: str, atol: float
) -> None:
    x = noise()
    soundfile.write(tmp_path / name, x, RATE, subtype=subtype)
    got, rate = read_audio(tmp_path / name)
    info = audio_info(tmp_path / name)
    assert (rate, got.dtype, got.shape) == (RATE, np.float32, (2 * RATE,))
    assert (info.sample_rate, info.channels, info.samples, info.seconds) == (RATE, 1, 2 * RATE, 2.0)
    assert np.abs(got - x[:, 0]).max() <= atol


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_a_part_is_a_slice_of_the_whole(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / name, noise(3), RATE)
    whole, _ = read_audio(tmp_path / name)
    for start, end in [(0.5, 1.25), (None, 0.1), (2.9, None), (2.5, 99.0), (1.0, 1.000001)]:
        part, _ = read_audio(tmp_path / name, start, end)
        first = int((start or 0) * RATE)
        stop = len(whole) if end is None else max(first + 1, int(end * RATE))
        np.testing.assert_allclose(part, whole[first:stop], atol=1e-5)


def test_a_part_of_a_long_file_decodes_only_that_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "a.flac", noise(60), RATE)
    decoded = []
    read = soundfile.SoundFile.read

    def counted(self: soundfile.SoundFile, frames: int, **options: object) -> np.ndarray:
        decoded.append(frames)
        return read(self, frames, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    read_audio(tmp_path / "a.flac", 30.0, 31.0)
    assert sum(decoded) == RATE


def test_channels_become_their_mean_across_block_borders(tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (BLOCK + 77, 3)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", x, RATE, subtype="FLOAT")
    got, _ = read_audio(tmp_path / "a.wav")
    np.testing.assert_allclose(got, x.mean(axis=1), atol=1e-7)
    assert audio_info(tmp_path / "a.wav").channels == 3


def test_float_samples_above_full_scale_are_kept(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.5, -3.0, 2.0]), RATE, subtype="FLOAT")
    assert read_audio(tmp_path / "a.wav")[0].tolist() == [0.5, -3.0, 2.0]


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    soundfile.write(path, noise(20), RATE)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(AudioError, match=r"cut short|cannot be decoded"):
        read_audio(path)


def test_an_ogg_file_cut_between_two_pages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, noise(20), RATE)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rfind(b"OggS")])
    with pytest.raises(AudioError, match="not marked as the end"):
        audio_info(path)


def test_a_recorder_that_does_not_know_its_length_is_no_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(1), RATE)
    data = bytearray(path.read_bytes())
    at = data.find(b"data")
    data[4:8] = data[at + 4 : at + 8] = b"\xff" * 4
    path.write_bytes(data)
    assert len(read_audio(path)[0]) == RATE


def test_a_flac_stream_without_a_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(1), RATE)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = b"\0" * 4
    path.write_bytes(data)
    with pytest.raises(AudioError, match="does not state its length"):
        read_audio(path)


def test_what_is_no_audio_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not audio at all")
    (tmp_path / "zero.wav").touch()
    (tmp_path / "bare.raw").write_bytes(b"\0" * 100)
    (tmp_path / "folder.wav").mkdir()
    soundfile.write(tmp_path / "empty.wav", noise()[:0], RATE)
    expected = {
        "text.wav": "cannot be decoded",
        "zero.wav": "0 bytes",
        "bare.raw": "no header",
        "folder.wav": "is a folder",
        "empty.wav": "0 samples",
        "missing.wav": "does not exist",
        "x" * 5000: r"file name|does not exist",
    }
    for name, reason in expected.items():
        for function in (read_audio, audio_info):
            with pytest.raises(AudioError, match=reason) as caught:
                function(tmp_path / name)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(tmp_path: Path, bad: float) -> None:
    x = noise()
    x[100] = bad
    soundfile.write(tmp_path / "a.wav", x, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="NaN or infinite"):
        read_audio(tmp_path / "a.wav")
    assert len(read_audio(tmp_path / "a.wav", 1.0)[0]) == RATE


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (2.0, None, "not inside"),
        (-1.0, None, "from 0 on"),
        (float("nan"), None, "from 0 on"),
        (1.0, 1.0, "after `start`"),
        (1.0, 0.5, "after `start`"),
        (0.0, float("inf"), "from 0 on"),
    ],
)
def test_a_span_that_makes_no_sense_is_refused(
    tmp_path: Path, start: float, end: float | None, reason: str
) -> None:
    soundfile.write(tmp_path / "a.wav", noise(2), RATE)
    with pytest.raises(AudioError, match=reason):
        read_audio(tmp_path / "a.wav", start, end)
