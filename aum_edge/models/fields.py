"""Base classes and field checks of architecture configs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import NoneType
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from aum_edge.core.validation import check

WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    NoneType: "null",
}
"""Types as messages name them."""


def check_fields(config: Any) -> None:
    """Check every value against its field's annotation; a config may come from any file."""
    names = get_type_hints(type(config))
    check_values(type(config), {name: getattr(config, name) for name in names})


def check_values(kind: type, values: Mapping[str, Any]) -> None:
    """Values by field name are what the annotations of the dataclass ``kind`` say.

    Raises:
        RecipeError: With the first field whose value is of another type.
    """
    hints = get_type_hints(kind)
    for name, value in values.items():
        check(
            _fits(value, hints[name]),
            f"`{name}` must be {_words(hints[name])}, got {value!r}.",
        )


def _fits(value: Any, hint: Any) -> bool:
    """Whether the value has this type: no bool is a number, and an int is a float as well."""
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return value in parts
    if get_origin(hint) is tuple:
        if not isinstance(value, tuple):
            return False
        each = parts[:1] * len(value) if parts[-1] is ... else parts
        pairs = zip(value, each, strict=False)
        return len(value) == len(each) and all(_fits(item, part) for item, part in pairs)
    if parts:
        return any(_fits(value, part) for part in parts)
    if hint in (int, float):
        return isinstance(value, int | hint) and not isinstance(value, bool)
    return isinstance(value, hint)


def _words(hint: Any) -> str:
    """What ``_fits`` lets through: "a whole number", "a tuple (whole number, ...) or null"."""
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if get_origin(hint) is tuple:
        each = ["..." if part is ... else _words(part).removeprefix("a ") for part in parts]
        return f"a tuple ({', '.join(each)})"
    if parts:
        return " or ".join(_words(part) for part in parts)
    return WORDS.get(hint, hint.__name__)


def check_sizes(config: Any, *names: str) -> None:
    """Every number of the named fields is at least 1."""
    for name in names:
        value = getattr(config, name)
        check(
            min(value if isinstance(value, tuple) else (value,)) >= 1,
            f"`{name}` must be at least 1, got {value}.",
        )


def check_share(config: Any, name: str) -> None:
    """The named field is a share below 1."""
    value = getattr(config, name)
    check(0 <= value < 1, f"`{name}` must be at least 0 and below 1, got {value}.")


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """The config of a network: a frozen dataclass whose values are all that builds it."""

    n_classes: int
    n_mels: int
    n_frames: int

    def deployed(self) -> Self:
        """The same network with its batch norms folded; itself if it has none or folded ones."""
        names = [field.name for field in fields(self)]
        return replace(self, folded=True) if "folded" in names else self  # type: ignore[call-arg]


class Blocks:
    """Sizes of each block: one default for all of them, or what pruning left of each."""

    d_model: int
    """Channels of a token, the width of the residual stream."""
    depth: int
    """Blocks."""
    d_state: int
    """State size N of each channel."""
    expand: int
    """Inner channels of a block, as a multiple of d_model."""
    inner: tuple[int, ...] | None
    states: tuple[int, ...] | None
    dt_ranks: tuple[int, ...] | None

    @property
    def block_inner(self) -> tuple[int, ...]:
        """Inner channels of each block."""
        return self.inner or (self.expand * self.d_model,) * self.depth

    @property
    def block_d_state(self) -> tuple[int, ...]:
        """State size of each block."""
        return self.states or (self.d_state,) * self.depth

    @property
    def block_dt_ranks(self) -> tuple[int, ...]:
        """Delta rank of each block."""
        return self.dt_ranks or (-(-self.d_model // 16),) * self.depth

    def check_blocks(self) -> None:
        """Sizes are positive, and there is one for every block."""
        check_sizes(self, "d_model", "depth", "d_state", "expand")
        for name in ("inner", "states", "dt_ranks"):
            values = getattr(self, name)
            check(
                values is None or (len(values) == self.depth and min(values) >= 1),
                f"`{name}` must give one size of at least 1 for each of {self.depth} blocks, "
                f"got {values}.",
            )
