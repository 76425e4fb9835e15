"""Registry of augmentations: each is a dataclass of its settings that varies batches.

A file of this folder is one more augmentation once it holds a class under :func:`register`; nothing
else names it. A class registered anywhere else, as in a notebook, serves as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

from aum_edge.audio.config import FrontEndConfig
from aum_edge.core.modules import import_modules
from aum_edge.errors import RecipeError

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Augmentation:
    """One augmentation of training clips: a frozen dataclass whose fields are its settings.

    It overrides :meth:`waveform`, :meth:`features` or both. Every draw comes from the generator,
    which lives on the CPU; tensors may be anywhere, and no input is changed in place.
    """

    needs_waveforms: ClassVar[bool] = False
    """Whether batches must hold waveforms instead of features."""

    def waveform(self, x: Tensor, frontend: FrontEndConfig, generator: Generator) -> Tensor:
        """Vary waveforms (B, samples) at the front end's rate."""
        return x

    def features(self, x: Tensor, frontend: FrontEndConfig, generator: Generator) -> Tensor:
        """Vary log-mel features (B, 1, n_mels, n_frames), not normalised."""
        return x


Kind = TypeVar("Kind", bound=Augmentation)
_AUGMENTATIONS: dict[str, type[Augmentation]] = {}


def register(name: str) -> Callable[[type[Kind]], type[Kind]]:
    """Make a class an augmentation: ``augment: {NAME: {its fields}}`` in a recipe.

    Raises:
        TypeError: If the class is no dataclass, varies nothing, or the name is taken.
    """

    def add(kind: type[Kind]) -> type[Kind]:
        if not is_dataclass(kind):
            raise TypeError(f"The augmentation `{name}` must be a frozen dataclass.")
        if kind.features is Augmentation.features and kind.waveform is Augmentation.waveform:
            raise TypeError(f"The augmentation `{name}` needs `features` or `waveform`.")
        if kind.waveform is not Augmentation.waveform and not kind.needs_waveforms:
            raise TypeError(f"The augmentation `{name}` must set `needs_waveforms = True`.")
        if name in _AUGMENTATIONS:
            raise TypeError(f"There is an augmentation `{name}` already.")
        _AUGMENTATIONS[name] = kind
        return kind

    return add


def augmentations() -> dict[str, type[Augmentation]]:
    """All registered augmentations, by their names in order."""
    import_modules("aum_edge.audio.augment")
    return dict(sorted(_AUGMENTATIONS.items()))


def check_registered(given: dict[str, Augmentation]) -> None:
    """Each augmentation stands under its own name.

    Raises:
        RecipeError: If there is no such augmentation, or it is another class.
    """
    known = augmentations() if given else {}
    for name, one in given.items():
        if type(one) is not known.get(name):
            raise RecipeError(
                f"`augment.{name}` is no registered augmentation; there are "
                f"{', '.join(known) or 'none'}."
            )
