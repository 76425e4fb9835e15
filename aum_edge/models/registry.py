"""Architectures: a config class, its network, their name in config.json and their presets.

Every module of ``architectures`` is imported when one is first looked up, so that a new file there
is all that a new architecture takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from aum_edge.core.modules import import_modules
from aum_edge.models.architectures.base import Backbone
from aum_edge.models.fields import BackboneConfig

Role = Literal["teacher", "student", "control"]
Factory = Callable[..., BackboneConfig]
"""Called with ``n_classes``, ``n_mels`` and ``n_frames``."""
Network = TypeVar("Network", bound=type[Backbone])
_KNOWN: dict[str, Architecture] = {}


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One kind of network."""

    name: str
    """In config.json."""
    config: type[BackboneConfig]
    network: type[Backbone]
    """Called with a config."""
    role: Role
    """What its presets are listed as."""
    presets: Mapping[str, Factory]


def register_architecture(
    name: str,
    config: type[BackboneConfig],
    *,
    role: Role,
    presets: Mapping[str, Factory] | None = None,
) -> Callable[[Network], Network]:
    """Class decorator: the network of ``config``, called ``name`` in config.json.

    Raises:
        ValueError: If another network has that name or that config.
    """

    def register(network: Network) -> Network:
        made = Architecture(
            name=name, config=config, network=network, role=role, presets=presets or {}
        )
        for other in _KNOWN.values():
            if (other.name == name or other.config is config) and other != made:
                raise ValueError(f"There is an architecture `{other.name}` of that name or config.")
        _KNOWN[name] = made
        return network

    return register


def architectures() -> dict[str, Architecture]:
    """Every architecture by its name."""
    import_modules("aum_edge.models.architectures")
    return dict(_KNOWN)


def architecture(config: BackboneConfig) -> Architecture:
    """The architecture of a config.

    Raises:
        KeyError: If there is none.
    """
    found = [known for known in architectures().values() if known.config is type(config)]
    if not found:
        raise KeyError(f"{type(config).__name__} is the config of no registered architecture")
    return found[0]


def architecture_of(config: BackboneConfig) -> str:
    """The name that config.json gives this kind of network."""
    return architecture(config).name


def build(config: BackboneConfig) -> Backbone:
    """A network with fresh weights, in training mode."""
    return architecture(config).network(config)
