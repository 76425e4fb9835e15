"""The front end's own cost, against multiplications counted one by one."""

from __future__ import annotations

import cmath
import math

import pytest

from aum_edge.audio.config import FrontEndConfig, aum_fbank, epic_sounds_mel
from aum_edge.audio.mel import mel_filters
from aum_edge.complexity.frontend_cost import front_end_cost
from aum_edge.complexity.sizes import streaming_state
from aum_edge.models.presets import preset
from aum_edge.models.registry import build


class Complex:
    """A complex number whose products cost four multiplications of reals."""

    macs = 0

    def __init__(self, value: complex) -> None:
        self.value = value

    def times(self, other: complex) -> Complex:
        Complex.macs += 4
        return Complex(self.value * other)


def fft(x: list[Complex]) -> list[Complex]:
    """Radix 2, every butterfly with its twiddle factor."""
    n = len(x)
    if n == 1:
        return x
    even, odd = fft(x[::2]), fft(x[1::2])
    turned = [odd[k].times(cmath.exp(-2j * math.pi * k / n)) for k in range(n // 2)]
    sums = [Complex(e.value + t.value) for e, t in zip(even, turned, strict=True)]
    return sums + [Complex(e.value - t.value) for e, t in zip(even, turned, strict=True)]


def test_a_real_fft_is_counted_as_a_complex_one_of_half_the_length() -> None:
    n = 64
    signal = [math.sin(0.3 * i) + 0.1 * i for i in range(n)]
    Complex.macs = 0
    packed = fft([Complex(complex(signal[2 * i], signal[2 * i + 1])) for i in range(n // 2)])
    spectrum = []
    for k in range(n // 2):
        a, b = packed[k].value, packed[-k % (n // 2)].value.conjugate()
        odd = Complex((a - b) / 2j)
        # By symmetry a quarter of these turns serves all bins: n / 4 products of 4.
        macs = Complex.macs
        turned = odd.times(cmath.exp(-2j * math.pi * k / n))
        Complex.macs = macs + (4 if k < n // 4 else 0)
        spectrum.append((a + b) / 2 + turned.value)
    for k in (0, 1, 5, 31):
        exact = sum(s * cmath.exp(-2j * math.pi * k * i / n) for i, s in enumerate(signal))
        assert abs(spectrum[k] - exact) < 1e-9
    assert n * math.log2(n) == Complex.macs


def test_stages_add_up_over_all_frames() -> None:
    config = FrontEndConfig()
    cost = front_end_cost(config)
    bins = config.n_fft // 2 + 1
    filters = int((mel_filters(config) != 0).sum())
    frame = config.win_length + config.n_fft * 12 + 2 * bins + filters
    assert cost.macs == 65 * frame == sum(cost.macs_by_stage.values())
    assert cost.macs_dense_filters - cost.macs == 65 * (bins * 256 - filters)
    assert cost.special_functions == {"log": 256 * 65}
    assert cost.feature_bytes == 4 * 256 * 65


def test_each_kind_has_its_own_stages() -> None:
    assert "pre-emphasis" in front_end_cost(aum_fbank(n_frames=128)).macs_by_stage
    assert front_end_cost(epic_sounds_mel(64)).special_functions["sqrt"] == 64 * 1025
    assert "pre-emphasis" not in front_end_cost(FrontEndConfig()).macs_by_stage


@pytest.mark.parametrize("name", ["student-ssd-causal", "student-ssd", "cp-mobile"])
def test_only_causal_students_stream(name: str) -> None:
    network = build(preset(name, n_classes=10, n_mels=256, n_frames=65)).eval()
    state = streaming_state(network)
    if name != "student-ssd-causal":
        assert state is None
        return
    recurrent = 4 * 96 * 16
    tokens = 4 * 4 * (96 + 2 * 16)
    stem = 1 * 256 + 2 * 8 * 128 + 16 * 64
    assert state == recurrent + tokens + stem + 48 + 1
