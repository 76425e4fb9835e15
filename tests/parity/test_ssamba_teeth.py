"""The checkers of SSAMBA's pretraining have teeth: one small mistake, and the oracle disagrees.

pytest tests/parity/test_ssamba_teeth.py --fixtures DIR
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from aum_edge.models.architectures import masked_patch
from aum_edge.training.pretraining import loss as masked_patch_loss
from aum_edge.training.pretraining import masking
from tests.parity.compare import fixture
from tests.parity.test_fixtures import checker

Patch = Callable[[pytest.MonkeyPatch], None]
Model = masked_patch.MaskedPatchModel
LOSSES, MASKS = "ssamba_pretrain_plain_rms", "ssamba_masks"


def class_token_counted(patch: pytest.MonkeyPatch) -> None:
    """Predictions are taken one token too early: the class token is forgotten."""
    patch.setattr(masked_patch, "without", lambda tokens, places: tokens)


def patches_time_major(patch: pytest.MonkeyPatch) -> None:
    """Targets are flattened time first."""
    cut = Model.masked_patches

    def turned(self: Any, x: Tensor, masked: Tensor) -> Tensor:
        size = self.config.patch_size
        return cut(self, x, masked).unflatten(2, size).transpose(2, 3).flatten(2)

    patch.setattr(Model, "masked_patches", turned)


def softmax_over_patches(patch: pytest.MonkeyPatch) -> None:
    """InfoNCE asks which patch belongs to a prediction instead of the other way round."""
    loss = masked_patch_loss.info_nce
    patch.setattr(masked_patch_loss, "info_nce", lambda p, e: loss(e, p))


def scores_normalised(patch: pytest.MonkeyPatch) -> None:
    """Scores are cosines, as other contrastive losses have them."""
    loss, unit = masked_patch_loss.info_nce, torch.nn.functional.normalize
    patch.setattr(masked_patch_loss, "info_nce", lambda p, e: loss(unit(p, dim=2), unit(e, dim=2)))


def both_objectives_on_one_mask(patch: pytest.MonkeyPatch) -> None:
    """The generative objective is given the contrastive one's mask."""
    hide = Model.masked_tokens
    first: list[Tensor] = []

    def again(self: Any, x: Tensor, masked: Tensor) -> Tensor:
        first.append(masked)
        return hide(self, x, first[0])

    patch.setattr(Model, "masked_tokens", again)


def nothing_hidden(patch: pytest.MonkeyPatch) -> None:
    """The patches stay visible: everything learns to copy."""

    def seen(self: Any, x: Tensor, masked: Tensor) -> Tensor:
        tokens = self.encoder.encode(self.encoder.embed(x))[:, 1:]
        return tokens.gather(1, masked.unsqueeze(2).expand(-1, -1, tokens.shape[2]))

    patch.setattr(Model, "masked_tokens", seen)


def first_patch_maskable(patch: pytest.MonkeyPatch) -> None:
    """Patch 0 may be hidden, as one would expect."""

    class Shifted(random.Random):
        def randrange(self, stop: int) -> int:
            return super().randrange(stop) - (1 if stop > 5 else 0)

    patch.setattr(random, "Random", Shifted)


def one_square_more(patch: pytest.MonkeyPatch) -> None:
    """Squares of 2 to 4 instead of 3 to 5."""
    patch.setattr(masking, "SIZES", (2, 3, 4))


MISTAKES: dict[Patch, str] = {
    class_token_counted: LOSSES,
    patches_time_major: LOSSES,
    softmax_over_patches: LOSSES,
    scores_normalised: LOSSES,
    both_objectives_on_one_mask: LOSSES,
    nothing_hidden: LOSSES,
    first_patch_maskable: MASKS,
    one_square_more: MASKS,
}


def disagreements(folder: Path, name: str) -> list[str]:
    return checker(name)(*fixture(folder, name))


@pytest.mark.parametrize("name", [LOSSES, MASKS])
def test_the_right_implementation_agrees(name: str, request: pytest.FixtureRequest) -> None:
    assert disagreements(request.config.getoption("--fixtures"), name) == []


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_a_mistake_is_found(
    mistake: Patch, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    mistake(monkeypatch)
    assert disagreements(request.config.getoption("--fixtures"), MISTAKES[mistake])
