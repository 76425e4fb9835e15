"""Networks made to break counters: what they do is counted, or named as not counted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.complexity.crosscheck import crosscheck
from aum_edge.complexity.limits import get_limits
from aum_edge.complexity.onnx.counter import count_onnx
from aum_edge.complexity.report import analyse_module
from aum_edge.complexity.sizes import module_sizes
from aum_edge.complexity.torch_counter import count

LIMITS = get_limits("dcase2025")


class Shared(nn.Module):
    """One weight in two layers, and a module called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = self.first(x)
        return self.second(x)


class Unused(nn.Module):
    """A layer that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle = nn.Linear(4, 4), nn.Linear(400, 400)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)


class Functional(nn.Module):
    """Weights that belong to no layer, einsum, and a matmul by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 4))

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight)
        return torch.einsum("bi,ij->bj", y, self.weight) @ self.weight.T


class Branching(nn.Module):
    """Control flow on values and on sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(x.shape[0]):
            x = self.layer(x) if x.sum() > -1e9 else x
        return x


@torch.library.custom_op("aum_edge_test::secret", mutates_args=())
def secret(x: Tensor) -> Tensor:
    return 2 * x


def test_shared_weights_are_stored_once_and_work_every_time() -> None:
    result = analyse_module(Shared(), (1, 4), LIMITS).to_dict()
    assert result["exact"]["macs"] == 4 * 16
    assert result["exact"]["n_params"] == 16 + 4 + 4
    assert result["exact"]["param_bytes"] == 4 * 24


def test_unused_modules_cost_bytes_and_no_macs() -> None:
    result = analyse_module(Unused(), (1, 4), LIMITS).to_dict()
    assert result["exact"]["macs"] == 16
    assert result["exact"]["n_params"] == 20 + 400 * 401


def test_functional_weights_and_einsum_are_seen() -> None:
    assert count(Functional(), torch.randn(2, 4)).macs == 2 * (24 + 24 + 24)


def test_control_flow_counts_what_runs() -> None:
    assert count(Branching(), torch.ones(3, 4)).macs == 3 * 3 * 16


def test_custom_operators_are_named_not_zero() -> None:
    class Custom(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return secret(x)

    result = analyse_module(Custom(), (1, 4), LIMITS)
    assert result.counts.unsupported == {"aum_edge_test.secret": 1}
    assert any("aum_edge_test.secret" in line for line in result.warnings)


def test_lstm_is_counted_or_named() -> None:
    counts = count(nn.LSTM(4, 4, batch_first=True), torch.randn(1, 5, 4))
    assert counts.unsupported or counts.macs >= 5 * 2 * 4 * 16


def test_double_buffers_and_zeros() -> None:
    layer = nn.Linear(4, 4)
    with torch.no_grad():
        layer.weight[0] = 0
    sizes = module_sizes(nn.Sequential(layer.half(), nn.BatchNorm1d(4)))
    assert sizes.zero_params == 4 + 4  # the row, and the norm's bias
    assert {n: r.bytes for n, r in sizes.by_precision.items()} == {"float16": 40, "float32": 64}
    assert sizes.buffer_bytes == 32


def test_other_tools_that_fail_or_are_absent_are_said_to() -> None:
    network = Branching()
    rows = crosscheck(network, torch.ones(2, 4), count(network, torch.ones(2, 4)))
    assert {row.tool for row in rows} >= {"torchinfo 1.8.0", "thop", "torch FlopCounterMode / 2"}
    flops = next(row for row in rows if row.tool.startswith("torch Flop"))
    assert flops.macs == 64
    assert flops.reason == "agrees"
    assert all(
        row.macs is not None or "installed" in row.reason or "failed" in row.reason for row in rows
    )


def macs_of(network: nn.Module, *shape: int) -> int:
    counts = count(network.eval(), torch.rand(shape))
    assert not counts.unsupported, counts.unsupported
    return counts.macs


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def test_transposed_convolutions_count_their_inputs(tmp_path: Path) -> None:
    layer = nn.ConvTranspose2d(4, 6, 3, stride=2)
    assert macs_of(layer, 1, 4, 5, 5) == 4 * 25 * 6 * 9
    assert macs_of(nn.ConvTranspose1d(4, 4, 4, stride=4, groups=2), 1, 4, 10) == 40 * 2 * 4
    torch.onnx.export(
        layer, (torch.rand(1, 4, 5, 5),), tmp_path / "m.onnx", dynamo=True, verbose=False
    )
    assert count_onnx(tmp_path / "m.onnx").macs == 4 * 25 * 6 * 9


def test_inference_mode_hides_nothing() -> None:
    @torch.inference_mode()
    def quiet(x: Tensor) -> Tensor:
        return torch.softmax(F.linear(x, torch.ones(3, 4)), dim=-1)

    assert macs_of(Call(quiet), 2, 4) == 24


@pytest.mark.parametrize(
    "function", [lambda x: x ** torch.rand(4), lambda x: 2**x, lambda x: x ** (x + 1)]
)
def test_powers_of_tensors_are_special_functions(function) -> None:
    assert count(Call(function), torch.rand(2, 4)).special_functions["pow"] == 8


def test_whole_layers_are_counted_by_their_parts() -> None:
    length, width = 5, 8
    attention = 4 * length * width * width + 2 * length * length * width
    layer = nn.TransformerEncoderLayer(width, 2, 16, batch_first=True)
    assert macs_of(layer, 1, length, width) >= attention + 2 * length * width * 16
    lstm = nn.LSTM(4, 6, batch_first=True)
    assert macs_of(lstm, 1, length, 4) >= length * 4 * 6 * (4 + 6)
    assert macs_of(nn.GRU(4, 6, batch_first=True), 1, length, 4) >= length * 3 * 6 * (4 + 6)


def test_norms_of_their_own_input_are_not_free() -> None:
    assert macs_of(nn.InstanceNorm2d(3, affine=True), 2, 3, 4, 4) == 3 * 96
    assert macs_of(nn.BatchNorm2d(3, track_running_stats=False), 2, 3, 4, 4) == 3 * 96
    assert macs_of(nn.GroupNorm(3, 6), 1, 6, 4) == 3 * 24
    assert macs_of(nn.LayerNorm(6, elementwise_affine=False), 1, 4, 6) == 2 * 24
    assert macs_of(nn.BatchNorm2d(3), 2, 3, 4, 4) == 0


@pytest.mark.parametrize(
    ("function", "macs"),
    [
        (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), 4 * 4 * 16),
        (F.leaky_relu, 16),
        (F.elu, 16),
        (lambda x: 1 - x, 0),
        (lambda x: 1 / x, 0),
        (lambda x: torch.add(x, x, alpha=0.5), 16),
        (lambda x: torch.addmm(x[0, 0], x[0, 0], x[0, 0], alpha=2, beta=3), 64 + 32),
        (lambda x: torch.addcmul(x, x, x, value=0.5), 32),
        (lambda x: torch.view_as_complex(torch.stack([x, x], -1)) ** 2, 64),
        (lambda x: torch._int_mm(*[torch.ones(32, 32, dtype=torch.int8)] * 2).float(), 32**3),
        (lambda x: x.topk(2).values.sort().values, 0),
    ],
)
def test_operators_that_are_easily_missed(function, macs: int) -> None:
    assert macs_of(Call(function), 1, 1, 4, 4) == macs


def test_counting_leaves_every_module_in_its_own_mode() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    network[1].eval()
    count(network, torch.rand(2, 4))
    assert [module.training for module in network.modules()] == [True, True, False]


def test_without_a_rule_there_is_no_verdict() -> None:
    class Custom(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return secret(x)

    assert analyse_module(Custom(), (1, 4), LIMITS).to_dict()["within_limits"]["exact"] is None


def test_types_that_the_official_script_refuses_are_a_note() -> None:
    network = nn.Linear(4, 4).double()
    result = analyse_module(network, (1, 4), LIMITS)
    assert result.counts.macs == 16
    assert result.official.macs is None
    assert any("float64" in line for line in result.warnings)


def test_a_parameter_called_scale_is_a_weight() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(50))
            self.register_buffer("again", self.scale.detach())

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale

    sizes = module_sizes(Scaled())
    assert (sizes.n_params, sizes.buffer_bytes) == (50, 0)
