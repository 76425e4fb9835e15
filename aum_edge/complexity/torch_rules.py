"""MACs and special functions of each torch operator: the register of counting rules.

One multiplication is one MAC, with or without an addition into an accumulator; bias additions,
comparisons, pooling and moving data are free. exp, log, square roots, sigmoids and divisions are
special functions, counted by element under their names.

=====================================  =============================================================
convolution                            outputs * (inputs / groups) * kernel size
transposed convolution                 inputs * (outputs / groups) * kernel size
mm, bmm, addmm, linear, matmul         rows * columns * inner size
mul, square, pow 2                     1 an output element
layer, group, instance norm            3 an element, 1 square root and division a row; 2 without a
                                       learned gain
batch_norm (eval)                      0: folded into its convolution before it runs anywhere
linear interpolation                   its neighbours: 2, 4 or 8 an output element
complex numbers                        4 times as many
alpha, beta, value (not 0, 1, -1)      1 an output element
silu                                   1 an element and 1 sigmoid
softmax                                exp and division an element
attention                              2 products, 1 a score for the scale, and a softmax
scan (S6)                              4 N + 1 a channel and token, N exponentials (D u and gates
                                       are multiplications of their own: 4 N + 2 in all)
cumsum, sums, means, views, pooling    0
=====================================  =============================================================

A new rule is one function under :func:`mac_rule`, here or in any module that is imported before the
count; README.md of this folder shows how.

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
    """MACs of one call, special functions by name, and the elements of state a scan carries."""

    macs: int = 0
    special: dict[str, int] = field(default_factory=dict)
    state_elements: int = 0


MacRule = Callable[[tuple[Any, ...], Any], OperatorCost]
"""From an operator's positional arguments and its result to the cost of that call."""
FREE = OperatorCost()
RULES: dict[str, MacRule] = {}
FREE_NAMES = """
    _adaptive_avg_pool2d _adaptive_avg_pool3d _conj _native_batch_norm_legit_no_training _to_copy
    _unsafe_view _reshape_alias abs adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d
    adaptive_max_pool2d add alias all amax amin any arange argmax argmin argsort as_strided
    as_strided_scatter avg_pool1d avg_pool2d avg_pool3d bernoulli bitwise_and bitwise_not bitwise_or
    bitwise_xor bucketize cat ceil chunk clamp clamp_max clamp_min clone col2im complex
    constant_pad_nd copy count_nonzero cudnn_batch_norm cumsum detach diag diag_embed diagonal
    embedding empty empty_like empty_strided eq expand eye fill flip floor full full_like gather ge
    gt hardtanh im2col index index_add index_copy index_fill index_put index_select isfinite isinf
    isnan le lift_fresh lift_fresh_copy linspace logical_and logical_not logical_or lt masked_fill
    masked_scatter masked_select max max_pool2d max_pool2d_with_indices max_pool3d_with_indices
    maximum min minimum native_dropout ne neg new_empty new_empty_strided new_full new_ones
    new_zeros nonzero normal ones ones_like permute pixel_shuffle pixel_unshuffle rand rand_like
    randint randn randn_like randperm real reflection_pad1d reflection_pad2d relu repeat
    replication_pad1d replication_pad2d reshape roll round rsub scalar_tensor scatter scatter_add
    scatter_reduce searchsorted select select_scatter sgn sign slice slice_scatter sort split
    split_with_sizes squeeze stack sub sum t threshold topk transpose tril triu trunc unbind unfold
    uniform unsafe_split unsafe_split_with_sizes unsqueeze upsample_nearest1d upsample_nearest2d
    view view_as_complex view_as_real where zeros zeros_like imag set_ resize_ _local_scalar_dense
""".split()
"""Operators of ``aten`` that multiply nothing: moving, comparing, adding, pooling."""


def mac_rule(*names: str) -> Callable[[MacRule], MacRule]:
    """Register a function as the counting rule of torch operators.

    Args:
        names: Namespace and name without overload, such as ``aten.mul``; in-place forms share it.

    Raises:
        ValueError: One of them has a rule already.
    """

    def register(rule: MacRule) -> MacRule:
        for name in names:
            if name in RULES:
                raise ValueError(f"The torch operator {name} has a counting rule already.")
            RULES[name] = rule
        return rule

    return register


def rule_for(name: str) -> MacRule | None:
    """The rule of an operator such as ``aten.mul`` (in-place forms share it), or none."""
    return RULES.get(name) or RULES.get(name.rstrip("_"))


@mac_rule("aten.convolution")
def _convolution(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    """Weight is (outputs, inputs / groups, kernel...), transposed (inputs, outputs / groups, ...).

    Every output sums over all but the first; transposed, every input meets all but the first.
    """
    transposed = len(args) > 6 and bool(args[6])
    values = args[0] if transposed else out
    return OperatorCost(values.numel() * math.prod(args[1].shape[1:]))


def _matmul(left: int) -> MacRule:
    """Rows * columns * inner; ``left`` is the position of the left matrix."""
    return lambda args, out: OperatorCost(out.numel() * args[left].shape[-1])


mac_rule("aten.mm", "aten.bmm", "aten.mv", "aten._int_mm")(_matmul(left=0))
mac_rule("aten.addmm", "aten.baddbmm", "aten.addmv")(_matmul(left=1))


@mac_rule("aten.addbmm")
def _summed_matmul(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    """(input, batch1, batch2): every product of the batch is made, then their sum."""
    return OperatorCost(args[1].numel() * args[2].shape[-1])


@mac_rule("aten.dot", "aten.vdot", "aten.prod")
def _each_input(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    return OperatorCost(args[0].numel())


@mac_rule(
    *("aten.addr", "aten.addcmul", "aten.square", "aten.cumprod", "aten.lerp"),
    *("aten.hardsigmoid", "aten.leaky_relu", "aten._prelu_kernel"),
)
def _each_output(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    return OperatorCost(out.numel())


def _times(count: int) -> MacRule:
    """``count`` multiplications an output element."""
    return lambda args, out: OperatorCost(count * out.numel())


mac_rule("aten.upsample_linear1d", "aten.hardswish")(_times(2))
mac_rule("aten.upsample_bilinear2d")(_times(4))
mac_rule("aten.upsample_trilinear3d")(_times(8))


@mac_rule("aten.mul")
def _product(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    """Multiplying by one or minus one is none: torch writes 1 / x as a reciprocal times 1."""
    trivial = any(isinstance(x, int | float) and abs(x) == 1 for x in args[:2])
    return FREE if trivial else OperatorCost(out.numel())


@mac_rule("aten.pow")
def _power(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    exponent = args[1]
    if not isinstance(exponent, int | float):
        return OperatorCost(0, {"pow": out.numel()})
    if exponent == 2:
        return OperatorCost(out.numel())
    return OperatorCost(0, {f"pow {exponent}": out.numel()})


def _special(name: str, macs: int = 0) -> MacRule:
    """One call of ``name`` and ``macs`` multiplications an output element."""
    return lambda args, out: OperatorCost(macs * out.numel(), {name: out.numel()})


mac_rule(
    *("aten.div", "aten.reciprocal", "aten.floor_divide", "aten.remainder", "aten.fmod"),
)(_special("division"))
mac_rule("aten.exp", "aten.expm1")(_special("exp"))
mac_rule("aten.log", "aten.log1p")(_special("log"))
mac_rule("aten.sqrt")(_special("sqrt"))
mac_rule("aten.rsqrt")(_special("rsqrt"))
mac_rule("aten.sigmoid")(_special("sigmoid"))
mac_rule("aten.tanh")(_special("tanh"))
mac_rule("aten.erf")(_special("erf"))
mac_rule("aten.gelu")(_special("erf", macs=2))
mac_rule("aten.silu", "aten.glu")(_special("sigmoid", macs=1))
mac_rule("aten.elu")(_special("exp", macs=1))


@mac_rule("aten.native_layer_norm")
def _layer_norm(args: tuple[Any, ...], out: Any) -> OperatorCost:
    normed = out[0] if isinstance(out, tuple | list) else out
    rows = normed.numel() // math.prod(args[1])
    return _norm(normed, rows, learned=len(args) > 2 and args[2] is not None)


@mac_rule("aten.native_group_norm")
def _group_norm(args: tuple[Any, ...], out: Any) -> OperatorCost:
    """(input, weight, bias, N, C, HxW, group, eps): one mean and spread a clip and group."""
    return _norm(out[0], args[3] * args[6], learned=args[1] is not None)


@mac_rule("aten.native_batch_norm", "aten._native_batch_norm_legit")
def _batch_norm(args: tuple[Any, ...], out: Any) -> OperatorCost:
    """Free with stored statistics; with those of its input (instance norm) it is a norm."""
    if not any(argument is True for argument in args[3:]):
        return FREE
    return _norm(out[0], args[0].shape[1], learned=args[1] is not None)


def _norm(normed: Tensor, rows: int, learned: bool) -> OperatorCost:
    macs = (3 if learned else 2) * normed.numel()
    return OperatorCost(macs, {"sqrt": rows, "division": rows})


@mac_rule("aten.var", "aten.var_mean")
def _variance(args: tuple[Any, ...], out: Any) -> OperatorCost:
    results = out[0] if isinstance(out, tuple | list) else out
    return OperatorCost(args[0].numel(), {"division": results.numel()})


@mac_rule("aten.linalg_vector_norm")
def _vector_norm(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    return OperatorCost(args[0].numel(), {"sqrt": out.numel()})


@mac_rule("aten.mean")
def _mean(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    return OperatorCost(0, {"division": out.numel()})


@mac_rule("aten._softmax", "aten._log_softmax", "aten._safe_softmax")
def _softmax(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    return OperatorCost(0, {"exp": out.numel(), "division": out.numel()})


@mac_rule("aten.softplus")
def _softplus(args: tuple[Any, ...], out: Tensor) -> OperatorCost:
    return OperatorCost(0, {"exp": out.numel(), "log": out.numel()})


@mac_rule("aum_edge.scan")
def _scan(args: tuple[Any, ...], out: Any) -> OperatorCost:
    """Delta A, delta u, (delta u) B, decay h and C h; u is (B, L, E), A is (E, N)."""
    u, d_state = args[0], args[2].shape[1]
    exps = u.numel() * d_state
    elements = u.shape[2] * d_state
    return OperatorCost(u.numel() * (4 * d_state + 1), {"exp": exps}, state_elements=elements)


@mac_rule(
    "aten._scaled_dot_product_flash_attention_for_cpu",
    "aten._scaled_dot_product_attention_math",
    "aten._scaled_dot_product_flash_attention",
    "aten._scaled_dot_product_efficient_attention",
    "aten._scaled_dot_product_cudnn_attention",
    "aten._scaled_dot_product_fused_attention_overrideable",
)
def _attention(args: tuple[Any, ...], out: Any) -> OperatorCost:
    query, key, value = args[0], args[1], args[2]
    scores = query.shape[:-1].numel() * key.shape[-2]
    macs = scores * (query.shape[-1] + value.shape[-1]) + scores
    return OperatorCost(macs, {"exp": scores, "division": scores})


@mac_rule(*(f"aten.{name}" for name in FREE_NAMES))
def _free(args: tuple[Any, ...], out: Any) -> OperatorCost:
    return FREE
