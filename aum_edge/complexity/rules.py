"""What each operator costs: the one table of counting rules.

One multiplication is one MAC, with or without an addition into an accumulator; bias additions,
comparisons, pooling and moving data are free. exp, log, square roots, sigmoids and divisions are
special functions, counted by element under their names.

=====================================  =============================================================
convolution                            outputs * (inputs / groups) * kernel size
mm, bmm, addmm, linear, matmul         rows * columns * inner size
mul, square, pow 2                     1 an output element
layer_norm                             3 an element, 1 square root and division a row
batch_norm (eval)                      0: folded into its convolution before it runs anywhere
silu                                   1 an element and 1 sigmoid
softmax                                exp and division an element
attention                              2 products, 1 a score for the scale, and a softmax
scan (S6)                              4 N + 1 a channel and token, N exponentials (D u and gates
                                       are multiplications of their own: 4 N + 2 in all)
cumsum, sums, means, views, pooling    0
=====================================  =============================================================

Source: DESIGN section 6; the scan's terms are delta A, delta u, (delta u) B, decay h, C h.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class OperatorCost:
    """MACs of one call, special functions by name, and the states a scan carries."""

    macs: int = 0
    special: dict[str, int] = field(default_factory=dict)
    states: int = 0


Rule = Callable[[tuple[Any, ...], Any], OperatorCost]
FREE = OperatorCost()


def _convolution(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    """Weight is (outputs, inputs / groups, kernel...): every output sums over all but the first."""
    return OperatorCost(out.numel() * math.prod(args[1].shape[1:]))


def _matmul(left: int) -> Rule:
    """Rows * columns * inner; ``left`` is the position of the left matrix."""
    return lambda args, out: OperatorCost(out.numel() * args[left].shape[-1])


def _each(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    return OperatorCost(out.numel())


def _power(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    exponent = args[1]
    if exponent == 2:
        return OperatorCost(out.numel())
    return OperatorCost(0, {f"pow {exponent}": out.numel()})


def _special(name: str, macs: int = 0) -> Rule:
    """One call of ``name`` and ``macs`` multiplications an output element."""
    return lambda args, out: OperatorCost(macs * out.numel(), {name: out.numel()})


def _layer_norm(args: tuple[Any, ...], out: Any) -> OperatorCost:
    normed = out[0] if isinstance(out, tuple | list) else out
    rows = normed.numel() // math.prod(args[1])
    return OperatorCost(3 * normed.numel(), {"sqrt": rows, "division": rows})


def _mean(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    return OperatorCost(0, {"division": out.numel()})


def _softmax(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    return OperatorCost(0, {"exp": out.numel(), "division": out.numel()})


def _softplus(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    return OperatorCost(0, {"exp": out.numel(), "log": out.numel()})


def _scan(args: tuple[Any, ...], out: Any) -> OperatorCost:
    u, states = args[0], args[2].shape[1]
    exps = u.numel() * states
    width = u.shape[2] * states
    return OperatorCost(u.numel() * (4 * states + 1), {"exp": exps}, states=width)


def _attention(args: tuple[Any, ...], out: Any) -> OperatorCost:
    query, key, value = args[0], args[1], args[2]
    scores = query.shape[:-1].numel() * key.shape[-2]
    macs = scores * (query.shape[-1] + value.shape[-1]) + scores
    return OperatorCost(macs, {"exp": scores, "division": scores})


def _free(args: tuple[Any, ...], out: Any) -> OperatorCost:
    return FREE


RULES: dict[str, Rule] = {
    "aten.convolution": _convolution,
    "aten.mm": _matmul(0),
    "aten.bmm": _matmul(0),
    "aten.addmm": _matmul(1),
    "aten.baddbmm": _matmul(1),
    "aten.mv": _matmul(0),
    "aten.addmv": _matmul(1),
    "aten.dot": lambda args, out: OperatorCost(args[0].numel()),
    "aten.mul": _each,
    "aten.addcmul": _each,
    "aten.square": _each,
    "aten.pow": _power,
    "aten.native_layer_norm": _layer_norm,
    "aten.div": _special("division"),
    "aten.reciprocal": _special("division"),
    "aten.exp": _special("exp"),
    "aten.expm1": _special("exp"),
    "aten.log": _special("log"),
    "aten.log1p": _special("log"),
    "aten.sqrt": _special("sqrt"),
    "aten.rsqrt": _special("rsqrt"),
    "aten.sigmoid": _special("sigmoid"),
    "aten.tanh": _special("tanh"),
    "aten.erf": _special("erf"),
    "aten.gelu": _special("erf", macs=2),
    "aten.silu": _special("sigmoid", macs=1),
    "aten.hardsigmoid": _each,
    "aten.hardswish": lambda args, out: OperatorCost(2 * out.numel()),
    "aten.softplus": _softplus,
    "aten._softmax": _softmax,
    "aten._log_softmax": _softmax,
    "aten._safe_softmax": _softmax,
    "aten.mean": _mean,
    "aten._scaled_dot_product_flash_attention_for_cpu": _attention,
    "aten._scaled_dot_product_attention_math": _attention,
    "aten._scaled_dot_product_flash_attention": _attention,
    "aten._scaled_dot_product_efficient_attention": _attention,
    "aten._scaled_dot_product_cudnn_attention": _attention,
    "aten._scaled_dot_product_fused_attention_overrideable": _attention,
    "aum_edge.scan": _scan,
}

FREE_NAMES = """
    add sub neg abs relu threshold clamp clamp_min clamp_max minimum maximum where sum amax amin
    max min argmax eq ne lt le gt ge cumsum native_batch_norm _native_batch_norm_legit_no_training
    cudnn_batch_norm native_dropout bernoulli max_pool2d_with_indices max_pool2d avg_pool2d
    _adaptive_avg_pool2d adaptive_avg_pool2d avg_pool1d constant_pad_nd reflection_pad1d
    reflection_pad2d fill zero zeros ones full empty empty_like empty_strided zeros_like ones_like
    full_like new_zeros new_ones new_empty arange scalar_tensor copy clone _to_copy detach alias
    view _unsafe_view reshape _reshape_alias as_strided expand permute transpose t squeeze
    unsqueeze slice select split split_with_sizes chunk unbind narrow cat stack flip roll repeat
    index index_select gather unfold im2col masked_fill tril triu lift_fresh embedding
    upsample_bilinear2d pixel_shuffle hardtanh leaky_relu isfinite logical_not bitwise_not
""".split()
RULES |= {f"aten.{name}": _free for name in FREE_NAMES}


def rule_for(name: str) -> Rule | None:
    """The rule of an operator such as ``aten.mul`` (in-place forms share it), or none."""
    return RULES.get(name) or RULES.get(name.rstrip("_"))
