"""The recipe of a pretraining, read without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aum_edge.audio.config import FrontEndConfig
from aum_edge.data.config import DataConfig
from aum_edge.errors import RecipeError
from aum_edge.pipeline.recipe import ModelChoice, plain
from aum_edge.training.pretraining.config import PretrainConfig

if TYPE_CHECKING:
    from aum_edge.models.architectures.masked_patch import MaskedPatchConfig


@dataclass(frozen=True, kw_only=True)
class PretrainRecipe:
    """One pretraining from audio to an encoder. Labels of the corpus are ignored."""

    name: str
    """Of the run, and of its folder ``runs/NAME``: letters, digits, ``.``, ``_`` and ``-``."""
    title: str = ""
    """Heading of the run."""
    seed: int = 0
    """Of weights, batches and augmentation; the same seed gives the same run."""
    data: DataConfig = DataConfig()
    frontend: FrontEndConfig = FrontEndConfig()
    model: ModelChoice = field(default_factory=lambda: ModelChoice(preset="aum-mini"))
    """The encoder: a preset of AuM."""
    pretrain: PretrainConfig = PretrainConfig()

    def resolved(self) -> dict[str, Any]:
        """Every value, defaults included, as plain JSON and YAML values."""
        return dict(plain(asdict(self) | {"data": self.data.to_recipe()}))

    def network(self) -> MaskedPatchConfig:
        """The network: the preset without overlap, pooled over its patches unless overridden.

        Raises:
            RecipeError: If the preset is no AuM, or ``stride`` is set to another size than patches.
        """
        from aum_edge.models.architectures.masked_patch import masked_patch_config
        from aum_edge.models.config import AudioMambaConfig

        # Presets of other kinds must have classes to be made at all: they are refused by kind.
        bare = replace(self.model, overrides={}).config(1, self.frontend)
        if not isinstance(bare, AudioMambaConfig):
            raise RecipeError(
                f"Only an AuM has patches to hide; the preset `{self.model.preset}` is none. Give "
                "aum-mini, aum-tiny, aum-small or aum-base."
            )
        choice = replace(self.model, overrides={"pooling": "mean"} | self.model.overrides)
        config = choice.config(0, self.frontend)
        assert isinstance(config, AudioMambaConfig)
        made = masked_patch_config(config)
        return replace(made, stride=config.stride) if "stride" in self.model.overrides else made
