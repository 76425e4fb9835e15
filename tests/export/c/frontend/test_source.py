"""The C front end gives what torch gives, and what float64 gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aum_edge.audio.config import FrontEndConfig, aum_fbank, epic_sounds_mel
from aum_edge.audio.frontend import FrontEnd
from aum_edge.audio.mel import mel_filters
from aum_edge.audio.streaming import StreamingFrontEnd
from aum_edge.errors import AudioError, ExportError
from aum_edge.export.c.frontend.source import front_end
from tests.export.c.frontend.frontend_program import Program, build, pointer

SMALL = FrontEndConfig(
    sample_rate=8000, n_fft=256, win_length=200, hop_length=90, n_mels=16, clip_seconds=0.2
)
CONFIGS = {
    "default": FrontEndConfig(),
    "small": SMALL,
    "kaldi": aum_fbank(clip_seconds=0.2),
    "kaldi-uneven": replace(aum_fbank(clip_seconds=0.1), win_length=401, hop_length=97),
    "magnitude": replace(epic_sounds_mel(16), padding="audio"),
    "range": replace(SMALL, range_db=30.0),
    "mean": replace(SMALL, clip_mean=True, range_db=20.0, power=1),
    "400": replace(SMALL, n_fft=400, win_length=400, n_mels=20),
    "480": replace(SMALL, n_fft=480, win_length=399, stft_padding="constant"),
    "1764": replace(SMALL, sample_rate=44_100, n_fft=1764, win_length=1763, hop_length=441),
    "16": replace(SMALL, sample_rate=1000, n_fft=16, win_length=16, hop_length=40, n_mels=3),
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Program]:
    made = {}
    for name, config in CONFIGS.items():
        entries = ("clip",) if config.whole_clip else ("frame", "stream", "end")
        isa = "portable" if name in ("400", "kaldi-uneven") else "native"
        made[name] = build(config, entries, tmp_path_factory.mktemp(name), isa)
    return made


def noise(config: FrontEndConfig, level: float = 0.1, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal(config.clip_samples)
    return (level * made).astype(np.float32)


def exact(config: FrontEndConfig, samples: np.ndarray) -> np.ndarray:
    """The front end in float64."""
    return FrontEnd(config).double()(torch.from_numpy(samples)[None])[0].numpy()


@pytest.mark.parametrize("name", CONFIGS)
def test_equals_torch_and_float64(programs: dict[str, Program], name: str) -> None:
    config = CONFIGS[name]
    x = noise(config)
    got, want = programs[name].features(x), exact(config, x)
    torches = FrontEnd(config)(torch.from_numpy(x)[None])[0].numpy()
    # Kaldi's pre-emphasis leaves so little of the lowest bands that torch itself is off by 3e-4.
    bound = 5e-4 if config.kind == "kaldi_fbank" else 1e-4
    assert abs(got - want).max() <= bound
    assert abs(got - torches).max() <= 2 * bound


def test_equals_numpy_written_out(programs: dict[str, Program]) -> None:
    config = CONFIGS["default"]
    x = noise(config).astype(np.float64)
    padded = np.pad(x, config.n_fft // 2, mode="reflect")
    window = np.zeros(config.n_fft)
    window[512:3584] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(3072) / 3072)
    frames = [window * padded[t * 500 : t * 500 + 4096] for t in range(65)]
    power = abs(np.fft.rfft(frames)) ** 2
    expected = np.log(power @ mel_filters(config).double().numpy().T + 1e-5).T
    got = programs["default"].features(x.astype(np.float32))
    assert abs(got - expected).max() <= 1e-5


def signals(config: FrontEndConfig) -> dict[str, np.ndarray]:
    n = config.clip_samples
    time, zeros = np.arange(n) / config.sample_rate, np.zeros(n)
    impulses = zeros.copy()
    impulses[[0, n // 3, n - 1]] = 1, -1, 0.5
    return {
        "silence": zeros,
        "constant": zeros + 0.5,
        "full scale": np.sign(np.sin(2 * np.pi * 437 * time) + 1e-9),
        "sine": 0.9 * np.sin(2 * np.pi * 437 * time),
        "impulses": impulses,
        "denormal": noise(config, 1e-40),
        "quiet": noise(config, 1e-6),
        "beyond full scale": noise(config, 1e4),
    }


@pytest.mark.parametrize("name", ["default", "small", "kaldi", "magnitude", "mean", "1764"])
def test_unusual_signals(programs: dict[str, Program], name: str) -> None:
    config = CONFIGS[name]
    for kind, signal in signals(config).items():
        x = signal.astype(np.float32)
        expected, got = exact(config, x), programs[name].features(x)
        torch_gap = abs(FrontEnd(config)(torch.from_numpy(x)[None])[0].numpy() - expected).max()
        # float32 loses what a loud tone leaves of the other bands: no more than torch loses.
        assert abs(got - expected).max() <= max(1e-4, 3 * torch_gap), kind


def test_silence_is_the_logarithm_of_the_offset(programs: dict[str, Program]) -> None:
    got = programs["small"].features(np.zeros(SMALL.clip_samples))
    np.testing.assert_allclose(got, np.log(np.float32(SMALL.log_offset)), rtol=2e-7)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("name", ["small", "kaldi", "magnitude"])
def test_what_is_no_number_stays_in_its_frames(
    programs: dict[str, Program], name: str, value: float
) -> None:
    config = CONFIGS[name]
    x = noise(config)
    clean = programs[name].features(x)
    at = config.clip_samples // 2
    x[at] = value
    got = programs[name].features(x)
    first = 0 if config.kind == "kaldi_fbank" else -config.win_length // 2
    starts = first + np.arange(config.n_frames) * config.hop_length
    far = (starts > at) | (starts + config.win_length <= at)
    np.testing.assert_array_equal(got[:, far], clean[:, far])
    middle = abs(starts + config.win_length // 2 - at).argmin()
    assert not np.isfinite(got[:, middle]).all()


def test_clip_means_spread_what_is_no_number(programs: dict[str, Program]) -> None:
    x = noise(SMALL)
    x[len(x) // 2] = np.nan
    assert np.isnan(programs["mean"].features(x)).all()


@pytest.mark.parametrize("size", [1, 91, 1000, 100_000])
@pytest.mark.parametrize("name", [n for n, c in CONFIGS.items() if not c.whole_clip])
def test_streams_are_torch_streams(programs: dict[str, Program], name: str, size: int) -> None:
    config = CONFIGS[name]
    samples = noise(config)
    if size == 1:
        samples = samples[: config.n_fft + 3 * config.hop_length + 7]
    stream, expected, counts = StreamingFrontEnd(config), [], []
    for piece in torch.from_numpy(samples).split(size):
        expected.append(stream.push(piece))
        counts.append(expected[-1].shape[1])
    expected.append(stream.finish())
    got, got_counts = programs[name].stream(samples, size)
    assert got_counts == counts
    want = torch.cat(expected, dim=1).numpy()
    bound = 1e-3 if config.kind == "kaldi_fbank" else 1e-4
    assert got.shape == want.shape
    assert abs(got - want).max() <= bound


def test_streams_equal_clips_bit_by_bit(programs: dict[str, Program]) -> None:
    for name in ("default", "kaldi", "480"):
        x = noise(CONFIGS[name])
        np.testing.assert_array_equal(programs[name].stream(x, 777)[0], programs[name].features(x))


@pytest.mark.parametrize("samples", [0, 1, 100, 128, 129, 200, 256, 257])
def test_short_streams(programs: dict[str, Program], samples: int) -> None:
    x = noise(SMALL)[:samples]
    stream = StreamingFrontEnd(SMALL)
    expected = stream.push(torch.from_numpy(x))
    got, _ = programs["small"].stream(x, 50)
    if samples:
        expected = torch.cat([expected, stream.finish()], dim=1)
        assert abs(got - expected.numpy()).max() <= 1e-5
    else:
        with pytest.raises(AudioError):
            stream.finish()
    assert got.shape == tuple(expected.shape)


def test_hops_longer_than_windows(tmp_path: Path) -> None:
    config = replace(SMALL, win_length=64, n_fft=64, hop_length=150)
    program = build(config, ("frame", "stream", "end"), tmp_path)
    x = noise(config)
    want = FrontEnd(config)(torch.from_numpy(x)[None])[0].numpy()
    assert abs(program.features(x) - want).max() <= 1e-5
    for size in (1, 33, 500):
        assert abs(program.stream(x, size)[0] - want).max() <= 1e-5


def test_logarithm_and_root(tmp_path: Path) -> None:
    program = build(replace(SMALL, power=1), ("frame", "log", "root"), tmp_path)
    rng = np.random.default_rng(0)
    x = np.exp2(rng.uniform(-126, 128, 200_000)).astype(np.float32)
    near = np.float32(1) + rng.uniform(-0.4, 0.6, 200_000).astype(np.float32)
    for values in (x, near):
        for name, exactly in (("logs", np.log), ("roots", np.sqrt)):
            got, want = values.copy(), exactly(values.astype(np.float64))
            getattr(program.library, name)(pointer(got), len(got))
            bound = 2e-7 * abs(want) if name == "roots" else 1.2e-7 * abs(want) + 6e-8
            assert (abs(got - want) <= bound).all(), name
    odd = np.array([np.inf, np.nan, -np.nan], np.float32)
    for name in ("logs", "roots"):
        got = odd.copy()
        getattr(program.library, name)(pointer(got), 3)
        np.testing.assert_array_equal(got, odd)


@pytest.mark.parametrize("n_fft", [4096 + 2, 2 * 2 * 11, 441, 8])
def test_lengths_without_a_cut_are_refused(n_fft: int) -> None:
    config = FrontEndConfig(sample_rate=8000, n_fft=n_fft, win_length=8, hop_length=8, n_mels=2)
    with pytest.raises(ExportError, match=rf"got {n_fft}: train with \d+"):
        front_end(config, ("frame",))


def test_other_refusals() -> None:
    with pytest.raises(ExportError, match="log_offset"):
        front_end(replace(SMALL, log_offset=1e-40), ("frame",))
    with pytest.raises(ExportError, match="whole clip"):
        front_end(replace(SMALL, clip_mean=True), ("frame",))
    with pytest.raises(ExportError, match="samples"):
        front_end(replace(SMALL, clip_seconds=2e5), ("frame",))


def test_memory_is_what_the_issue_allows() -> None:
    made = front_end(FrontEndConfig(), ("frame", "stream", "end"))
    assert 4 * made.scratch_floats <= 20_600
    assert made.tables_bytes <= 52_000
    # Far below the count of an FFT as complexity states it.
    assert made.macs <= 4096 * 12 + 3072 + 2 * 2049 + 4067
