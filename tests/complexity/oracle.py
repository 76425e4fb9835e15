"""A plain interpreter: executes tiny layers on numbers that count their own multiplications.

It shares no code with the counters. Every scalar is a ``Number``; multiplying two of them, or one
by a constant, raises the counter by one; additions, comparisons and exponentials do not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


class Tally:
    """Multiplications so far."""

    def __init__(self) -> None:
        self.macs = 0


@dataclass(frozen=True)
class Number:
    value: float
    tally: Tally

    def __mul__(self, other: Number) -> Number:
        self.tally.macs += 1
        return Number(self.value * other.value, self.tally)

    def __add__(self, other: Number) -> Number:
        return Number(self.value + other.value, self.tally)

    def exp(self) -> Number:
        return Number(math.exp(self.value), self.tally)


def numbers(tensor, tally: Tally):
    """Nested lists of Numbers from a tensor."""
    if tensor.ndim == 0:
        return Number(float(tensor), tally)
    return [numbers(row, tally) for row in tensor]


def total(terms: list[Number], tally: Tally) -> Number:
    result = Number(0.0, tally)
    for term in terms:
        result = result + term
    return result


def convolution(x, weight, stride: int, padding: int, groups: int, tally: Tally):
    """x [channels][length], weight [outputs][channels/groups][kernel]; zeros are multiplied too."""
    zero = Number(0.0, tally)
    rows = [[zero] * padding + row + [zero] * padding for row in x]
    kernel, share = len(weight[0][0]), len(weight[0])
    steps = (len(rows[0]) - kernel) // stride + 1
    out = []
    for index, filters in enumerate(weight):
        first = index // (len(weight) // groups) * share
        out.append(
            [
                total(
                    [
                        filters[c][k] * rows[first + c][t * stride + k]
                        for c in range(share)
                        for k in range(kernel)
                    ],
                    tally,
                )
                for t in range(steps)
            ]
        )
    return out


def linear(rows, weight, tally: Tally):
    """rows [n][in], weight [out][in]."""
    return [
        [total([w * x for w, x in zip(f, row, strict=True)], tally) for f in weight] for row in rows
    ]


def scan(u, delta, A, B, C, reverse: bool, tally: Tally):
    """S6 over tokens: u, delta [L][E]; A [E][N]; B, C [L][N]; y [L][E] without D and gate."""
    length, channels, states = len(u), len(u[0]), len(A[0])
    zero = Number(0.0, tally)
    state = [[zero] * states for _ in range(channels)]
    out = [[zero] * channels for _ in range(length)]
    for t in reversed(range(length)) if reverse else range(length):
        for e in range(channels):
            push = delta[t][e] * u[t][e]
            for n in range(states):
                decay = (delta[t][e] * A[e][n]).exp()
                state[e][n] = decay * state[e][n] + push * B[t][n]
            out[t][e] = total([C[t][n] * state[e][n] for n in range(states)], tally)
    return out
