"""Settings of distillation: loss, temperature, features, and which clips teachers take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from aum_edge.core.validation import at_least, one_of, within
from aum_edge.errors import RecipeError

Teaching = Literal["cached", "views", "online"]


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """(1 - kd_lambda) * hard loss + kd_lambda * T² * KL(teacher || student) + feature loss.

    With ``loss: bce`` every class is a yes or no of its own: KL is that of two coins, the mean
    over clips and classes, as the hard loss is. Sources: Hinton et al., arXiv 1503.02531, with the
    weighting of the DCASE systems; teachers given the student's inputs, Beyer et al., arXiv
    2106.05237; stored logits of augmented clips, Shen & Xing, arXiv 2112.01528.
    """

    temperature: float = 2.0
    """Logits are divided by it before the softmax; above 1 is softer."""
    kd_lambda: float = 0.9
    """Share of the teachers' soft targets in the loss; 0 trains on hard labels alone."""
    teaching: Teaching = "cached"
    """cached: logits of the clips as they are, computed once. views: every clip is varied in
    ``views`` ways, drawn from the seed; epoch e trains on way e modulo ``views`` and on the
    teachers' logits of exactly that, which are computed in the first round and kept on disk for
    the later ones. online: every epoch draws anew and the teachers run on each batch; nothing is
    stored, and every step costs their forward pass."""
    views: int = 0
    """Ways that each clip is varied; goes with ``teaching: views``. Batches repeat with the
    round, since Freq-MixStyle and mixup make a clip's variation out of its batch."""
    feature_weight: float = 0.0
    """Weight of 1 - cosine between the student's tokens, projected, and the first teacher's."""
    feature_pairs: tuple[tuple[int, int], ...] = ()
    """(student block, teacher block), counted from 1; empty pairs each of the student's with the
    teacher's at the same relative depth."""
    store_gb: float = 4.0
    """The most that stored logits may take on disk, in 10⁹ bytes; they are refused before
    anything is computed. Logits take 4 bytes a class, features 2 bytes a value."""

    def __post_init__(self) -> None:
        one_of("distill.teaching", self.teaching, get_args(Teaching))
        within("kd_lambda", self.kd_lambda, 0, 1)
        at_least("distill.views", self.views, 0)
        if not self.temperature > 0:
            raise RecipeError(f"`temperature` must be above 0, got {self.temperature}.")
        for name in ("feature_weight", "store_gb"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise RecipeError(
                    f"`distill.{name}` must be at least 0, got {getattr(self, name)}."
                )
        if (self.views > 0) != (self.teaching == "views"):
            raise RecipeError(
                f"`distill.views` goes with `teaching: views` and is then at least 1: got "
                f"{self.views} with teaching {self.teaching}."
            )
        self._check_pairs()

    def _check_pairs(self) -> None:
        if self.feature_pairs and not self.feature_weight:
            raise RecipeError(
                f"`distill.feature_pairs` {self.feature_pairs} do nothing while "
                "`distill.feature_weight` is 0: give it a weight or take the pairs out."
            )
        for pair in self.feature_pairs:
            if len(pair) != 2 or min(pair) < 1:
                raise RecipeError(
                    "`distill.feature_pairs` holds (student block, teacher block), counted from 1; "
                    f"got {pair}."
                )
