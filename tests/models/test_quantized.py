"""int8 layers: the arithmetic of the float layer with a rounded weight."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from aum_edge.models.quantized import (
    QuantConv1d,
    QuantConv2d,
    QuantizedLayer,
    QuantLinear,
    QuantTokenConv,
    quantized_layer,
    replace_layer,
    rounded_input,
)
from aum_edge.ssm.layers import TokenConv

CASES: list[tuple[type[QuantizedLayer], nn.Module, tuple[int, ...]]] = [
    (QuantLinear, nn.Linear(6, 5), (2, 3, 6)),
    (QuantLinear, nn.Linear(6, 5, bias=False), (2, 6)),
    (QuantConv1d, nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), (2, 4, 9)),
    (QuantConv2d, nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0)), (2, 4, 8, 7)),
    (QuantConv2d, nn.Conv2d(4, 4, 3, groups=4, bias=False), (2, 4, 8, 7)),
    (QuantTokenConv, TokenConv(4, 5, causal=False), (2, 9, 4)),
    (QuantTokenConv, TokenConv(4, 5, causal=True), (2, 9, 4)),
]


def int8_twin(
    kind: type[QuantizedLayer], layer: nn.Module, codes: Tensor, scale: Tensor
) -> QuantizedLayer:
    """``layer`` with int8 ``codes`` in its weight's shape and ``scale`` (out,)."""
    small = kind(layer)
    with torch.no_grad():
        small.weight.copy_(codes)
        small.scale.copy_(scale)
    return small


def codes_for(layer: nn.Module) -> tuple[Tensor, Tensor]:
    generator = torch.manual_seed(4)
    weight = layer.get_parameter("weight")
    codes = torch.randint(-127, 128, weight.shape, dtype=torch.int8, generator=generator)
    return codes, 0.01 + torch.rand(len(weight), generator=generator)


@pytest.mark.parametrize(("kind", "layer", "shape"), CASES, ids=str)
def test_computes_with_code_times_scale(
    kind: type[QuantizedLayer], layer: nn.Module, shape: tuple[int, ...]
) -> None:
    codes, scale = codes_for(layer)
    small = int8_twin(kind, layer, codes, scale)
    rounded = copy.deepcopy(layer)
    with torch.no_grad():
        rounded.weight.copy_(codes * scale.view(-1, *[1] * (codes.ndim - 1)))
    x = torch.randn(shape)
    assert torch.equal(small(x), rounded(x))


@pytest.mark.parametrize(("kind", "layer", "shape"), CASES, ids=str)
def test_every_layer_finds_its_twin(
    kind: type[QuantizedLayer], layer: nn.Module, shape: tuple[int, ...]
) -> None:
    assert type(quantized_layer(layer)) is kind


def test_other_layers_have_none() -> None:
    assert quantized_layer(nn.BatchNorm2d(3)) is None
    with pytest.raises(TypeError, match="no int8 form"):
        replace_layer(nn.Sequential(nn.ReLU()), "0")


def test_only_codes_scale_and_bias_are_stored() -> None:
    small = int8_twin(QuantLinear, nn.Linear(6, 5), *codes_for(nn.Linear(6, 5)))
    sizes = {key: (t.dtype, tuple(t.shape)) for key, t in small.state_dict().items()}
    assert sizes == {
        "weight": (torch.int8, (5, 6)),
        "scale": (torch.float32, (5,)),
        "bias": (torch.float32, (5,)),
    }
    assert {name for name, _ in small.named_parameters()} == set(sizes)
    assert not any(parameter.requires_grad for parameter in small.parameters())


@pytest.fixture
def linear() -> QuantLinear:
    return int8_twin(QuantLinear, nn.Linear(6, 5), *codes_for(nn.Linear(6, 5)))


def answer(layer: QuantLinear, x: Tensor) -> Tensor:
    return nn.functional.linear(x, layer.weight.float() * layer.scale[:, None], layer.bias)


def test_the_float_weight_is_made_once(linear: QuantLinear) -> None:
    first = linear.float_weight()
    linear(torch.randn(2, 6))
    assert linear.float_weight() is first


@pytest.mark.parametrize("change", ["weight", "scale"])
def test_the_float_weight_follows_its_codes(linear: QuantLinear, change: str) -> None:
    x = torch.randn(2, 6)
    before = linear(x)
    with torch.no_grad():
        linear.get_parameter(change).mul_(-1)
    torch.testing.assert_close(linear(x), answer(linear, x))
    assert not torch.equal(linear(x), before)


def test_the_float_weight_follows_a_loaded_state(linear: QuantLinear) -> None:
    state = {key: value.clone() for key, value in linear.state_dict().items()}
    state["weight"] = torch.full_like(state["weight"], 3)
    x = torch.randn(2, 6)
    for assign in (False, True):
        linear.load_state_dict(state, assign=assign)
        torch.testing.assert_close(linear(x), answer(linear, x))


def test_copies_and_pickles_compute_the_same(linear: QuantLinear) -> None:
    x = torch.randn(2, 6)
    for twin in (copy.deepcopy(linear), pickle.loads(pickle.dumps(linear))):
        assert torch.equal(twin(x), linear(x))
        with torch.no_grad():
            twin.weight.zero_()
        assert not torch.equal(twin(x), linear(x))


def test_follows_casts_and_moves(linear: QuantLinear) -> None:
    assert linear.double()(torch.randn(2, 6).double()).dtype == torch.float64
    assert linear.weight.dtype == torch.int8
    assert linear.float()(torch.randn(2, 6)).dtype == torch.float32
    assert linear.to("meta")(torch.zeros(2, 6, device="meta")).is_meta


def test_gradients_pass_after_inference_mode() -> None:
    layer = nn.Linear(6, 5)
    small = QuantLinear(layer)
    with torch.inference_mode():
        small(torch.randn(2, 6))
    x = torch.randn(2, 6, requires_grad=True)
    small(x).sum().backward()
    assert x.grad is not None


def test_works_inside_inference_mode() -> None:
    with torch.inference_mode():
        small = QuantLinear(nn.Linear(6, 5))
        assert small(torch.randn(2, 6)).shape == (2, 5)


def test_a_traced_program_holds_the_codes(linear: QuantLinear) -> None:
    x = torch.randn(2, 6)
    kept = linear.float_weight()
    program = torch.export.export(linear, (x,))
    stored = {name: tensor.dtype for name, tensor in program.state_dict.items()}
    assert stored["weight"] == torch.int8
    torch.testing.assert_close(program.module()(x), linear(x))
    assert linear.float_weight() is kept


def test_compiles_without_a_break(linear: QuantLinear) -> None:
    x = torch.randn(2, 6)
    compiled = torch.compile(linear, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), answer(linear, x))


@pytest.mark.parametrize(("kind", "layer", "shape"), CASES, ids=str)
def test_rounded_inputs_enter_the_float_arithmetic(
    kind: type[QuantizedLayer], layer: nn.Module, shape: tuple[int, ...]
) -> None:
    small = int8_twin(kind, layer, *codes_for(layer))
    plain = int8_twin(kind, layer, *codes_for(layer))
    small.with_rounded_input()
    with torch.no_grad():
        small.input_grid.copy_(torch.tensor([0.02, 100.0]))
    x = torch.randn(shape)
    codes = torch.quantize_per_tensor(x, 0.02, 100, torch.quint8)
    assert torch.equal(small(x), plain(codes.dequantize()))
    assert not torch.equal(small(x), plain(x))
    assert "input_grid" in small.state_dict()
    assert "input_grid" not in plain.state_dict()


def test_rounded_input_leaves_float_layers_alone() -> None:
    x = torch.randn(3, 6)
    assert rounded_input(nn.Linear(6, 5), x) is x
    layer = QuantLinear(nn.Linear(6, 5))
    assert rounded_input(layer, x) is x
    assert not torch.equal(rounded_input(layer.with_rounded_input(), x), x)
