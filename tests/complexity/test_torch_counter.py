from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from aum_edge.complexity.torch_counter import count
from aum_edge.complexity.torch_rules import RULES
from aum_edge.models.config import AudioMambaConfig, CPMobileConfig
from aum_edge.models.registry import build
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.ssm.layers import RMSNorm
from aum_edge.ssm.scan.operator import scan
from aum_edge.ssm.scan.ssd import ssd
from tests.complexity import oracle


class Apply(nn.Module):
    """A function of one tensor as a module."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def values(rows) -> torch.Tensor:
    if isinstance(rows, list):
        return torch.stack([values(row) for row in rows])
    return torch.tensor(rows.value)


@pytest.mark.parametrize(
    ("inputs", "outputs", "kernel", "stride", "padding", "groups"),
    [(3, 4, 3, 1, 0, 1), (4, 4, 3, 2, 1, 2), (4, 4, 4, 1, 3, 4), (2, 6, 1, 1, 0, 1)],
)
def test_convolution_matches_the_interpreter(inputs, outputs, kernel, stride, padding, groups):
    torch.manual_seed(0)
    layer = nn.Conv1d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    x = torch.randn(1, inputs, 9)
    tally = oracle.Tally()
    out = oracle.convolution(
        oracle.numbers(x[0], tally),
        oracle.numbers(layer.weight, tally),
        stride,
        padding,
        groups,
        tally,
    )
    torch.testing.assert_close(values(out), layer(x)[0])
    assert count(layer, x).macs == tally.macs


def test_linear_matches_the_interpreter() -> None:
    layer = nn.Linear(5, 3)
    x = torch.randn(1, 7, 5)
    tally = oracle.Tally()
    out = oracle.linear(oracle.numbers(x[0], tally), oracle.numbers(layer.weight, tally), tally)
    torch.testing.assert_close(values(out) + layer.bias, layer(x)[0])
    assert count(layer, x).macs == tally.macs == 7 * 5 * 3


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_matches_the_interpreter(reverse: bool) -> None:
    torch.manual_seed(0)
    L, E, N = 5, 3, 2
    u, delta = torch.randn(1, L, E), torch.rand(1, L, E)
    A, B, C = -torch.rand(E, N), torch.randn(1, L, 1, N), torch.randn(1, L, 1, N)
    tally = oracle.Tally()
    parts = [oracle.numbers(x, tally) for x in (u[0], delta[0], A, B[0, :, 0], C[0, :, 0])]
    out = oracle.scan(*parts, reverse, tally)
    model = Apply(lambda x: scan(x, delta, A, B, C, reverse)[0])
    torch.testing.assert_close(values(out), model(u)[0])
    counts = count(model, u)
    assert counts.macs == tally.macs == L * E * (4 * N + 1)
    assert counts.special_functions["exp"] == L * E * N
    assert counts.state_elements == E * N


def test_ssd_costs_what_its_docstring_says() -> None:
    L, H, P, N = 6, 3, 4, 5
    dt, A = torch.rand(1, L, 2, H), -torch.rand(2, H)
    B, C = torch.randn(1, L, N), torch.randn(1, L, N)
    counts = count(Apply(lambda x: ssd(x, dt, A, B, C)), torch.randn(1, L, H, P))
    products = L * L * N + L * L * H * P
    weights = 2 * L * L * H + L * L * H
    assert counts.macs == products + weights + 2 * L * H
    assert counts.special_functions["exp"] == 2 * L * L * H


@pytest.mark.parametrize(
    ("function", "each"),
    [
        (lambda x: x * x, 1),
        (lambda x: x * 0.5, 1),
        (F.silu, 1),
        (torch.relu, 0),
        (lambda x: x + x, 0),
        (lambda x: F.avg_pool2d(x, 2), 0),
        (lambda x: x.transpose(2, 3).reshape(1, -1), 0),
        (nn.BatchNorm2d(2).eval(), 0),
        (nn.LayerNorm(6), 3),
        (RMSNorm(6), 3),
    ],
    ids=["mul", "scale", "silu", "relu", "add", "pool", "view", "batch", "layer", "rms"],
)
def test_elementwise_rules(function, each: int) -> None:
    x = torch.randn(1, 2, 4, 6)
    counts = count(Apply(function), x)
    assert counts.macs == each * x.numel()
    assert not counts.unsupported


def test_attention_counts_both_products() -> None:
    L, D = 5, 8
    layer = nn.MultiheadAttention(D, 2, batch_first=True)
    counts = count(Apply(lambda x: layer(x, x, x, need_weights=False)[0]), torch.randn(1, L, D))
    projections, products = 4 * L * D * D, 2 * L * L * D
    assert projections + products <= counts.macs <= projections + products + 4 * (L * L + L * D)
    assert not counts.unsupported


def test_layers_add_up_and_functional_weights_are_seen() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 6, bias=False)

        def forward(self, x):
            return self.inner.weight.T @ self.inner(x).T

    counts = count(Functional(), torch.randn(3, 4))
    assert counts.macs == 2 * 3 * 4 * 6
    assert sum(sum(ops.values()) for ops in counts.layers.values()) == counts.macs
    assert set(counts.layers) == {"inner", ""}


def test_a_module_called_twice_counts_twice() -> None:
    layer = nn.Linear(4, 4, bias=False)
    assert count(nn.Sequential(layer, layer), torch.randn(1, 4)).macs == 32


def test_an_operator_without_a_rule_is_named() -> None:
    counts = count(Apply(torch.linalg.inv), torch.eye(3))
    assert any("inv" in name for name in counts.unsupported)


def test_cp_mobile_has_its_published_count() -> None:
    model = build(CPMobileConfig(n_classes=10))
    assert count(model, torch.zeros(1, 1, 256, 65)).macs == 29_416_448


@pytest.mark.parametrize("mixer", ["s6", "ssd"])
def test_counting_on_the_meta_device_gives_the_same(mixer: str) -> None:
    config = MambaStudentConfig(n_classes=4, n_mels=32, n_frames=20, mixer=mixer)
    model, x = build(config), torch.randn(1, 1, 32, 20)
    real = count(model, x)
    assert count(model.to("meta"), x.to("meta")).macs_by_op.total() == real.macs


def test_counting_leaves_the_model_as_it_was() -> None:
    model = build(MambaStudentConfig(n_classes=4, n_mels=32, n_frames=20)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count(model, torch.randn(1, 1, 32, 20))
    assert model.training
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name])
    assert not any(module._forward_hooks for module in model.modules())


def test_peak_activation_is_that_of_the_widest_moment() -> None:
    model = nn.Sequential(nn.Linear(10, 1000), nn.ReLU(), nn.Linear(1000, 10))
    peak = count(model, torch.randn(1, 10)).peak_activation_bytes
    assert 2 * 4000 <= peak <= 2 * 4000 + 200


def test_every_rule_name_is_an_operator_of_torch() -> None:
    missing = []
    for name in RULES:
        namespace, operator = name.split(".")
        if not hasattr(getattr(torch.ops, namespace), operator):
            missing.append(name)
    assert missing == []


@pytest.mark.parametrize(("frames", "macs"), [(65, 1_754_411_264), (1024, 27_657_638_144)])
def test_the_published_scene_classifier_costs_billions(frames: int, macs: int) -> None:
    config = AudioMambaConfig(
        n_classes=10,
        n_mels=256,
        n_frames=frames,
        d_model=384,
        direction="bi-bi",
        layer_pairs=True,
        position_embedding=False,
        head="mlp",
    )
    with torch.device("meta"):
        network = build(config)
        assert sum(p.numel() for p in network.parameters()) == 25_342_346
        assert count(network, torch.zeros(1, 1, 256, frames)).macs == macs
    tokens = frames // 16 * 16 + 1
    scans = 24 * 2 * tokens * 768
    projections = 384 * 1536 + 768 * 384 + 2 * (768 * 56 + 24 * 768)
    # Each of the 2 directions of 24 layers: 4 N + 1 in the scan, D u outside of it.
    known = scans * (4 * 16 + 2) + 24 * tokens * projections
    assert 0.95 < known / macs < 1
