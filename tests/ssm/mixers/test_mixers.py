from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from aum_edge.ssm.layers import TokenConv, softplus
from aum_edge.ssm.mixers.mamba import MambaMixer
from aum_edge.ssm.mixers.s6 import S6Mixer
from aum_edge.ssm.mixers.ssd import SSDMixer
from aum_edge.ssm.scan.ssd import ssd, ssd_ref


def s6(bidirectional: bool) -> S6Mixer:
    return S6Mixer(12, d_inner=16, d_state=4, d_conv=5, bidirectional=bidirectional, dt_rank=2)


def ssd_mixer(bidirectional: bool) -> SSDMixer:
    return SSDMixer(12, d_inner=16, d_state=4, d_conv=5, bidirectional=bidirectional, head_dim=8)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("length", [1, 2, 17])
def test_ssd_equals_the_recurrence(directions, length) -> None:
    torch.manual_seed(0)
    u = torch.randn(2, length, 3, 4, dtype=torch.float64)
    dt = torch.rand(2, length, directions, 3, dtype=torch.float64)
    A = -10 * torch.rand(directions, 3, dtype=torch.float64)
    B, C = (torch.randn(2, length, 5, dtype=torch.float64) for _ in range(2))
    torch.testing.assert_close(ssd(u, dt, A, B, C), ssd_ref(u, dt, A, B, C))


def test_ssd_stays_finite_when_decays_are_extreme() -> None:
    u = torch.randn(1, 200, 2, 4)
    dt = torch.full((1, 200, 2, 2), 50.0)
    B = C = torch.randn(1, 200, 3)
    for rate in (-1e-4, -1.0, -100.0):
        y = ssd(u, dt, torch.full((2, 2), rate), B, C)
        assert torch.isfinite(y).all()


@pytest.mark.parametrize("make", [s6, ssd_mixer])
def test_one_direction_never_looks_ahead(make) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 9, 12)
    changed = x.clone()
    changed[:, 5:] += 1
    causal, both = make(False).eval(), make(True).eval()
    torch.testing.assert_close(causal(x)[:, :5], causal(changed)[:, :5])
    assert not torch.allclose(both(x)[:, :5], both(changed)[:, :5])


def test_both_directions_of_s6_are_the_mean_of_the_two_scans() -> None:
    torch.manual_seed(0)
    mixer = s6(True)
    x = torch.randn(1, 8, 12)
    with torch.no_grad():
        mixer.conv1d.weight.copy_((mixer.conv1d.weight + mixer.conv1d.weight.flip(2)) / 2)
    torch.testing.assert_close(mixer(x.flip(1)), mixer(x).flip(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [s6, ssd_mixer])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_parameter_of_a_student_mixer_learns(make, bidirectional) -> None:
    torch.manual_seed(0)
    mixer = make(bidirectional)
    mixer(torch.randn(2, 6, 12)).square().sum().backward()
    for name, parameter in mixer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("direction", ["fo-fo", "fo-bi", "bi-bi"])
def test_every_parameter_of_the_upstream_mixer_learns(direction) -> None:
    torch.manual_seed(0)
    mixer = MambaMixer(
        8, d_inner=16, d_state=4, d_conv=4, dt_rank=1, direction=direction, layer_scale=0.1
    )
    mixer(torch.randn(2, 6, 8)).square().sum().backward()
    for name, parameter in mixer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_token_convolution_is_centred_or_causal() -> None:
    x = torch.zeros(1, 9, 1)
    x[0, 4] = 1
    with torch.no_grad():
        for causal, reached in ((False, {2, 3, 4, 5, 6}), (True, {4, 5, 6, 7, 8})):
            layer = TokenConv(1, 5, causal)
            layer.weight.fill_(1)
            layer.bias.zero_()
            assert set(layer(x)[0, :, 0].nonzero().flatten().tolist()) == reached


def test_softplus_is_that_of_torch() -> None:
    x = torch.linspace(-40, 40, 4001)
    torch.testing.assert_close(softplus(x), F.softplus(x), rtol=1e-6, atol=1e-7)
    assert torch.isnan(softplus(torch.tensor(float("nan"))))


@pytest.mark.parametrize("length", [1, 2, 17])
def test_ssd_of_the_future_is_ssd_of_the_past_turned_round(length) -> None:
    torch.manual_seed(0)
    u = torch.randn(2, length, 3, 4, dtype=torch.float64)
    dt = torch.rand(2, length, 1, 3, dtype=torch.float64)
    A = -torch.rand(1, 3, dtype=torch.float64)
    B, C = (torch.randn(2, length, 5, dtype=torch.float64) for _ in range(2))
    turned = [x.flip(1) for x in (u, dt, B, C)]
    past = ssd(turned[0], turned[1], A, turned[2], turned[3], reversals=(False,)).flip(1)
    torch.testing.assert_close(ssd(u, dt, A, B, C, reversals=(True,)), past)


def test_separate_directions_of_s6_with_the_same_weights_equal_shared_ones() -> None:
    torch.manual_seed(0)
    shared = s6(True)
    sizes = {"d_inner": 16, "d_state": 4, "d_conv": 5, "dt_rank": 2}
    separate = S6Mixer(12, **sizes, bidirectional=True, separate=True)
    weights = shared.state_dict()
    twin = {}
    for name in separate.state_dict():
        twin[name] = weights[name.replace("_b_log", "_log").replace("_b.", ".").removesuffix("_b")]
    separate.load_state_dict(twin)
    x = torch.randn(2, 7, 12)
    torch.testing.assert_close(separate(x), shared(x))
    with torch.no_grad():
        separate.get_parameter("A_b_log").add_(1)
    assert not torch.allclose(separate(x), shared(x))


def test_separate_directions_of_ssd_with_the_same_weights_equal_shared_ones() -> None:
    torch.manual_seed(0)
    shared = ssd_mixer(True)
    sizes = {"d_inner": 16, "d_state": 4, "d_conv": 5, "head_dim": 8}
    separate = SSDMixer(12, **sizes, bidirectional=True, separate=True)
    twin = dict(shared.state_dict())
    for name in ("in_proj.weight", "conv1d.weight", "conv1d.bias"):
        start = 32 if name == "in_proj.weight" else 16
        rows = twin[name]
        twin[name] = torch.cat([rows[: start + 8], rows[start : start + 8], rows[start + 8 :]])
    separate.load_state_dict(twin)
    x = torch.randn(2, 7, 12)
    torch.testing.assert_close(separate(x), shared(x))


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("mixer", ["s6", "ssd"])
def test_a_block_of_one_direction_sees_the_rest_through_its_convolution_alone(
    mixer: str, direction: str, separate: bool
) -> None:
    torch.manual_seed(0)
    sizes = {"d_inner": 16, "d_state": 4, "d_conv": 1, "bidirectional": True}
    sizes |= {"directions": direction, "separate": separate}
    block = S6Mixer(12, **sizes, dt_rank=2) if mixer == "s6" else SSDMixer(12, **sizes, head_dim=8)
    x = torch.randn(1, 9, 12)
    changed = x.clone()
    changed[:, 4] += 1
    moved = (block(x) - block(changed)).abs().amax(dim=2)[0] > 1e-5
    expected = [t >= 4 if direction == "forward" else t <= 4 for t in range(9)]
    assert moved.tolist() == expected
