"""How a real FFT is cut into passes whose inner loops run over neighbouring numbers.

A real FFT of ``n_fft`` samples is a complex one of ``N = n_fft / 2`` points, even samples as real
and odd ones as imaginary parts. Those points are a matrix of ``rows`` by ``columns`` in row order;
the FFT is one over every column, a multiplication by twiddle factors, a transposition, and one over
every column of that (Bailey, "FFTs in external or hierarchical memory", 1990). Each of the two has
neighbours in memory side by side as lanes, so every compiler can put them into vector registers,
and its result is in natural order.
"""

from __future__ import annotations

from dataclasses import dataclass

from aum_edge.errors import ExportError

PRIMES = (2, 3, 5, 7)
LANES = 16
"""Neighbours that a tile of the first step holds: one register of AVX-512."""


@dataclass(frozen=True, kw_only=True)
class FftPlan:
    """A real FFT's factors."""

    n_fft: int
    rows: int
    columns: int
    tile: int
    """Columns that the first step takes at once."""
    row_radices: tuple[int, ...]
    """Passes of the FFT over rows, whose product is ``rows``."""
    column_radices: tuple[int, ...]

    @property
    def points(self) -> int:
        """Of the complex FFT."""
        return self.n_fft // 2


def plan(n_fft: int) -> FftPlan:
    """The cut of a real FFT.

    Raises:
        ExportError: If ``n_fft`` is no multiple of 4, or has a prime factor above 7.
    """
    rest = n_fft
    for prime in PRIMES:
        while rest % prime == 0:
            rest //= prime
    if n_fft % 4 or rest != 1 or n_fft < 16:
        raise ExportError(
            f"The C front end needs `n_fft` from 16 on, a multiple of 4 without prime factors "
            f"above 7, got {n_fft}: train with {_near(n_fft)}, which the same window fits."
        )
    rows, columns = _split(n_fft // 2)
    return FftPlan(
        n_fft=n_fft,
        rows=rows,
        columns=columns,
        tile=_tile(columns),
        row_radices=radices(rows),
        column_radices=radices(columns),
    )


def radices(length: int) -> tuple[int, ...]:
    """Factors of one FFT, the largest first: 8 and 4 while they fit, then primes."""
    found: list[int] = []
    twos = (length & -length).bit_length() - 1
    while twos:
        # Never end with a 2 where 4 and 4 do the same: 16 is 4 x 4, not 8 x 2.
        step = 3 if twos == 3 or twos > 4 else min(twos, 2)
        found.append(1 << step)
        twos -= step
    length //= length & -length
    for prime in PRIMES[1:]:
        while length % prime == 0:
            found.append(prime)
            length //= prime
    return tuple(sorted(found, reverse=True))


def position(index: int, factors: tuple[int, ...]) -> int:
    """The row in which the output ``index`` of an FFT in place is found."""
    place, block = 0, 1
    for radix in factors:
        block *= radix
    for radix in factors:
        block //= radix
        place += index % radix * block
        index //= radix
    return place


def _split(points: int) -> tuple[int, int]:
    """Rows and columns: both of whole registers if that can be, and as alike as possible."""

    def cost(rows: int) -> tuple[int, int, int]:
        columns = points // rows
        lanes = -(-rows // LANES) * LANES * columns + -(-columns // LANES) * LANES * rows
        return lanes, max(rows, columns), rows

    # The second step pairs columns k and columns - k: an even number of them is simplest.
    usable = [r for r in range(2, points) if points % r == 0 and points // r % 2 == 0]
    rows = min(usable, key=cost)
    return rows, points // rows


def _tile(columns: int) -> int:
    return max(width for width in range(1, LANES + 1) if columns % width == 0)


def _near(n_fft: int) -> int:
    """The next larger power of two."""
    return max(16, 1 << (n_fft - 1).bit_length())
