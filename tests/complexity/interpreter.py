"""Whole networks on scalars: every multiplication that really happens raises a counter.

Arrays hold ``Number`` objects, so numpy's own loops do the arithmetic; no code is shared with the
counters or with the networks. Weights come from a state dict by their names.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import ClassVar

import numpy as np


class Number:
    """A float that counts what is done to it."""

    __slots__ = ("value",)
    macs = 0
    special: ClassVar[Counter[str]] = Counter()

    def __init__(self, value: float) -> None:
        self.value = float(value)

    def __mul__(self, other):
        Number.macs += 1
        return Number(self.value * value_of(other))

    __rmul__ = __mul__

    def __add__(self, other):
        return Number(self.value + value_of(other))

    __radd__ = __add__

    def __sub__(self, other):
        return Number(self.value - value_of(other))

    def __neg__(self):
        return Number(-self.value)


def value_of(x) -> float:
    return x.value if isinstance(x, Number) else float(x)


def special(name: str, function):
    """A function of one scalar that is counted under its name."""

    def call(x):
        Number.special[name] += 1
        return Number(function(x.value))

    return np.vectorize(call, otypes=[object])


exp = special("exp", math.exp)
sigmoid = special("sigmoid", lambda x: 1 / (1 + math.exp(-x)))
rsqrt = special("rsqrt", lambda x: x**-0.5)
sqrt = special("sqrt", math.sqrt)
softplus = np.vectorize(lambda x: Number(math.log1p(math.exp(x.value))), otypes=[object])
relu = np.vectorize(lambda x: Number(max(0.0, x.value)), otypes=[object])


def numbers(tensor):
    """An object array of Numbers."""
    return np.vectorize(Number, otypes=[object])(tensor.detach().numpy())


def values(array):
    return np.vectorize(value_of, otypes=[float])(array)


def start() -> None:
    Number.macs = 0
    Number.special = Counter()


def silu(x):
    return x * sigmoid(x)


def mean(x, axis: int):
    """A division by a constant, which is no multiplication here."""
    return np.vectorize(lambda s: Number(s.value / x.shape[axis]), otypes=[object])(x.sum(axis))


def convolution(x, weight, stride=(1, 1), padding=((0, 0), (0, 0)), groups: int = 1):
    """x (C, F, T), weight (O, C / groups, f, t); padded zeros are multiplied like all others."""
    zero = Number(0.0)
    x = np.pad(x, ((0, 0), *padding), constant_values=zero)
    outputs, share, kf, kt = weight.shape
    steps = [(x.shape[i + 1] - k) // stride[i] + 1 for i, k in enumerate((kf, kt))]
    out = np.empty((outputs, *steps), dtype=object)
    for o in range(outputs):
        first = o // (outputs // groups) * share
        for f in range(steps[0]):
            for t in range(steps[1]):
                rows, columns = f * stride[0], t * stride[1]
                patch = x[first : first + share, rows : rows + kf, columns : columns + kt]
                out[o, f, t] = (patch * weight[o]).sum()
    return out


def token_convolution(x, weight, bias, left: int, right: int):
    """x (L, C), one filter a channel (C, 1, K)."""
    rows = convolution(
        x.T[:, None, :], weight[:, None], padding=((0, 0), (left, right)), groups=x.shape[1]
    )
    return rows[:, 0].T + bias


def rms_norm(x, weight, eps: float):
    return x * rsqrt(mean(x * x, -1) + eps)[..., None] * weight


def layer_norm(x, weight, bias, eps: float):
    centred = x - mean(x, -1)[..., None]
    return centred * rsqrt(mean(centred * centred, -1) + eps)[..., None] * weight + bias


def scan(v, delta, A, B, C, reverse: bool):
    """S6 without D: v, delta (L, E); A (E, N); B, C (L, N)."""
    length = len(v)
    state = np.vectorize(Number, otypes=[object])(np.zeros(A.shape))
    out = np.empty(v.shape, dtype=object)
    for t in reversed(range(length)) if reverse else range(length):
        decay = exp(delta[t][:, None] * A)
        state = decay * state + (delta[t] * v[t])[:, None] * B[t]
        out[t] = (state * C[t]).sum(-1)
    return out


def ssd(u, dt, A, B, C):
    """The matrix form: u (L, H, P); dt (L, dirs, H); A (dirs, H); B, C (L, N)."""
    length = len(u)
    rate = dt * A
    scores = C @ B.T
    weights = 0
    for way in range(dt.shape[1]):
        reach = np.cumsum(rate[:, way] if way == 0 else rate[::-1, way], axis=0)
        reach = reach if way == 0 else reach[::-1]
        gap = reach[:, None] - reach[None, :]
        seen = np.tril(np.ones((length, length))) if way == 0 else np.triu(np.ones((length,) * 2))
        # Hidden pairs are computed as well, with a weight of zero: nothing is skipped.
        masked = np.where(seen[..., None] > 0, gap, Number(-700.0))
        weights = weights + exp(masked) * dt[None, :, way]
    mixed = weights * scores[..., None]
    return np.stack([mixed[..., h] @ u[:, h] for h in range(u.shape[1])], axis=1)


def attention(x, w, heads: int):
    """Scaled dot products of one sequence (L, D), scores scaled by 1 / sqrt(head)."""
    q, k, v = np.split(x @ w["in_proj_weight"].T + w["in_proj_bias"], 3, axis=-1)
    width = x.shape[1] // heads
    out = []
    for h in range(heads):
        cut = slice(h * width, (h + 1) * width)
        scores = (q[:, cut] @ k[:, cut].T) * width**-0.5
        weights = exp(scores)
        total = weights.sum(-1, keepdims=True)
        share = np.vectorize(lambda a, b: Number(a.value / b.value), otypes=[object])
        out.append(share(weights, total) @ v[:, cut])
    return np.concatenate(out, axis=-1) @ w["out_proj.weight"].T + w["out_proj.bias"]


class Student:
    """A folded MambaStudent from its config and state dict."""

    def __init__(self, config, state) -> None:
        self.config = config
        self.w = {name: numbers(tensor) for name, tensor in state.items()}
        self.eps = {}

    def __call__(self, features):
        """(F, T) normalised features to logits."""
        x = features[None]
        for i, stride in enumerate(((2, 2), (2, 1), (2, 2))):
            weight = self.w[f"stem.convs.{i}.0.weight"]
            left = 2 if not self.config.bidirectional else 1
            groups = x.shape[0] if i == 2 else 1
            x = convolution(x, weight, stride, ((1, 1), (left, 2 - left)), groups)
            x = x + self.w[f"stem.convs.{i}.0.bias"][:, None, None]
            x = relu(x) if i < 2 else x
        x = convolution(x, self.w["stem.fold.weight"])[:, 0].T + self.w["stem.fold.bias"]
        for i in range(self.config.depth):
            normed = rms_norm(x, self.w[f"blocks.{i}.norm.weight"], 1e-5)
            x = x + self.mixer(normed, i)
        tokens = rms_norm(x, self.w["norm_f.weight"], 1e-5)
        return mean(tokens, 0) @ self.w["head.weight"].T + self.w["head.bias"]

    def mixer(self, x, i: int):
        w = {
            name.split(".mixer.")[1]: array
            for name, array in self.w.items()
            if name.startswith(f"blocks.{i}.mixer.")
        }
        config = self.config
        inner, states = config.block_inner[i], config.block_d_state[i]
        reach = config.d_conv - 1
        sides = (reach // 2, reach // 2) if config.bidirectional else (reach, 0)
        run = self.s6 if config.mixer == "s6" else self.ssd
        y, z = run(w, x @ w["in_proj.weight"].T, inner, states, sides)
        return rms_norm(y * silu(z), w["norm.weight"], 1e-5) @ w["out_proj.weight"].T

    def s6(self, w, rows, inner: int, states: int, sides):
        u, z = rows[:, :inner], rows[:, inner:]
        v = silu(token_convolution(u, w["conv1d.weight"], w["conv1d.bias"], *sides))
        dt, B, C = np.split(v @ w["x_proj.weight"].T, [-2 * states, -states], axis=1)
        delta = softplus(dt @ w["dt_proj.weight"].T + w["dt_proj.bias"])
        A = -np.vectorize(lambda a: Number(math.exp(a.value)), otypes=[object])(w["A_log"])
        y = scan(v, delta, A, B, C, False)
        if self.config.bidirectional:
            y = (y + scan(v, delta, A, B, C, True)) * 0.5
        return y + v * w["D"], z

    def ssd(self, w, rows, inner: int, states: int, sides):
        mixed = inner + 2 * states
        z, rows, dt = np.split(rows, [inner, inner + mixed], axis=1)
        rows = silu(token_convolution(rows, w["conv1d.weight"], w["conv1d.bias"], *sides))
        u, B, C = np.split(rows, [inner, inner + states], axis=1)
        heads = inner // self.config.head_dim
        u = u.reshape(len(u), heads, -1)
        ways = 2 if self.config.bidirectional else 1
        dt = softplus(dt.reshape(len(dt), ways, heads) + w["dt_bias"])
        A = -np.vectorize(lambda a: Number(math.exp(a.value)), otypes=[object])(w["A_log"])
        y = ssd(u, dt, A, B, C) + u * w["D"][:, None]
        return y.reshape(len(y), inner), z


class Teacher:
    """An AudioMamba with a class token in the middle, from its config and state dict."""

    def __init__(self, config, state) -> None:
        self.config = config
        self.w = {name: numbers(tensor) for name, tensor in state.items()}

    def __call__(self, features):
        """(F, T) normalised features to logits."""
        w, config = self.w, self.config
        stride = config.stride or config.patch_size
        x = convolution(features[None], w["patch_embed.proj.weight"], stride)
        x = x.reshape(len(x), -1).T + w["patch_embed.proj.bias"]
        table = w["pos_embed.pos_embed"][0]
        middle = len(x) // 2
        x, token = x + table[1:], w["cls_token"][0] + table[:1]
        hidden = np.concatenate([x[:middle], token, x[middle:]])
        residual = None
        for i in range(config.depth):
            residual = hidden if residual is None else residual + hidden
            hidden = self.mixer(self.norm(residual, f"layers.{i}.norm"), f"layers.{i}.mixer.")
        out = self.norm(residual + hidden, "norm_f")[middle]
        return out @ w["head.weight"].T + w["head.bias"]

    def norm(self, x, name: str):
        weight = self.w[f"{name}.weight"]
        if self.config.norm == "rms":
            return rms_norm(x, weight, self.config.norm_eps)
        return layer_norm(x, weight, self.w[f"{name}.bias"], self.config.norm_eps)

    def mixer(self, x, prefix: str):
        w = {n.removeprefix(prefix): a for n, a in self.w.items() if n.startswith(prefix)}
        u, z = np.split(x @ w["in_proj.weight"].T, 2, axis=1)
        gate = silu(z)
        y = self.path(w, u, "", False, "A_log")
        if self.config.direction == "bi-bi":
            y = (y + self.path(w, u, "_b", True, "A_b_log")) * 0.5
        return (y * gate) @ w["out_proj.weight"].T

    def path(self, w, u, suffix: str, reverse: bool, decay: str):
        states, reach = self.config.d_state, self.config.d_conv - 1
        u = u[::-1] if reverse else u
        # As upstream: padded on both sides, and what lies beyond the last token is cut off.
        rows = token_convolution(
            u, w[f"conv1d{suffix}.weight"], w[f"conv1d{suffix}.bias"], reach, reach
        )
        v = silu(rows[: len(u)])
        dt, B, C = np.split(v @ w[f"x_proj{suffix}.weight"].T, [-2 * states, -states], axis=1)
        delta = softplus(dt @ w[f"dt_proj{suffix}.weight"].T + w[f"dt_proj{suffix}.bias"])
        A = -np.vectorize(lambda a: Number(math.exp(a.value)), otypes=[object])(w[decay])
        y = scan(v, delta, A, B, C, False)
        y = y + v * w[f"D{suffix}"]
        return y[::-1] if reverse else y
