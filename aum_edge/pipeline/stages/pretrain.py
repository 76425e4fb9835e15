"""Pretraining as a run: its recipe, and its stages from audio to an encoder's model directory."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from aum_edge.core.distributed import is_rank_zero, require_launch
from aum_edge.data.datamodule import AudioData
from aum_edge.data.subset import UnlabelledAudio
from aum_edge.models.architectures.masked_patch import MaskedPatchModel
from aum_edge.models.architectures.patches import patch_grid
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.storage.directory import save
from aum_edge.pipeline.pretrain_recipe import PretrainRecipe
from aum_edge.pipeline.recipe import plain
from aum_edge.pipeline.run import Run, Stage
from aum_edge.training.initialise import initial_model, initial_model_key
from aum_edge.training.pretraining.fit import pretrain
from aum_edge.training.pretraining.masking import MaskSampler


class PretrainRun(Run):
    """A run whose recipe is for pretraining and whose data has no test clips."""

    recipe: PretrainRecipe  # type: ignore[assignment]

    @cached_property
    def data(self) -> AudioData:
        """The corpus's training and validation clips."""
        data = UnlabelledAudio(
            self.recipe.data,
            self.recipe.frontend,
            batch_size=self.recipe.pretrain.batch_size,
            seed=self.recipe.seed,
            cache_dir=self.cache_dir,
            progress=self.progress,
        )
        data.setup()
        return data


def prepare(run: Run, folder: Path) -> dict[str, Any]:
    """What the corpus holds, and the normalisation of its training split."""
    data = run.data
    return {
        "corpus": data.manifest.name,
        "clips": {split: len(arrays) for split, arrays in data.arrays.items()},
        "normalization": asdict(data.normalization),
        "fingerprint": data.fingerprint,
    }


def pretrain_encoder(run: Run, folder: Path) -> dict[str, Any]:
    """Train the masked-patch model and save it as a model directory."""
    recipe: Any = run.recipe
    data = run.data
    assert isinstance(data, UnlabelledAudio)
    torch.manual_seed(recipe.seed)
    network = MaskedPatchModel(recipe.network())
    step = {"step": "pretraining", "preset": recipe.model.preset, "seed": recipe.seed}
    step |= {"corpus": data.manifest.name, "clips": len(data.arrays["train"])}
    model = AudioClassifier(
        network,
        frontend=recipe.frontend,
        normalization=data.normalization,
        labels=(),
        lineage=({**step, "settings": plain(asdict(recipe.pretrain))},),
    )
    if recipe.model.init:
        initial_model(model, Path(recipe.model.init), recipe.model.init_rule)
    result = pretrain(model, data, recipe.pretrain, folder / "fit", seed=recipe.seed)
    if is_rank_zero():
        save(result.model, folder / "model")
    kept = result.history[result.epoch - 1]
    return {"epoch": result.epoch, "kept": kept, "history": result.history}


def check(recipe: PretrainRecipe) -> None:
    """Refuse what would only fail after the features are made.

    Raises:
        RecipeError: The network or its masks do not fit the front end's features, or several
            devices are asked for without torchrun.
    """
    grid = patch_grid(recipe.network())
    settings = recipe.pretrain
    require_launch(settings.trainer.devices, settings.trainer.num_nodes)
    MaskSampler(grid, settings.masked_patches, rule=settings.masks, shape=settings.mask_shape)


def _settings(recipe: Any) -> dict[str, Any]:
    return {
        "seed": recipe.seed,
        "model": asdict(recipe.model),
        "pretrain": asdict(recipe.pretrain),
        "init": initial_model_key(recipe.model.init),
    }


STAGES = (
    Stage(
        name="data",
        needs=(),
        settings=lambda r: {"data": r.data.key(), "frontend": asdict(r.frontend)},
        work=prepare,
        job="pretrain",
    ),
    Stage(
        name="pretrain",
        needs=("data",),
        settings=_settings,
        work=pretrain_encoder,
        trains=True,
        job="pretrain",
    ),
)
