"""The recipes of AuM and SSAMBA load, give the published settings and the published sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from aum_edge.audio.augment.pipeline import Augment
from aum_edge.audio.config import aum_fbank, epic_sounds_mel
from aum_edge.models.registry import build
from aum_edge.pipeline.read_recipe import load_recipe
from aum_edge.pipeline.recipe import Recipe
from aum_edge.training.config import TrainConfig

RECIPES = Path(__file__).parent.parent / "recipes"
OTHERS = {
    path
    for pattern in ("pretrain_*.yaml", "search_*.yaml", "compare/*.yaml")
    for path in RECIPES.glob(pattern)
}
EVERY = sorted(set(RECIPES.rglob("*.yaml")) - OTHERS)
"""Those of runs; the tests of pretraining, search and comparison load the others."""


@dataclass(frozen=True)
class Published:
    """What docs of the projects state about one corpus."""

    classes: int
    frames: int
    mean: float
    std: float
    base: int
    """Parameters of AuM-base Fo-Bi."""
    small: int
    """Parameters of AuM-small Bi-Bi."""


AUM = {
    "audioset": Published(527, 1024, -4.2677393, 4.5689974, 92_107_535, 25_539_215),
    "audioset_balanced": Published(527, 1024, -4.2677393, 4.5689974, 92_107_535, 25_539_215),
    "vggsound": Published(309, 1024, -5.0767093, 4.4533687, 91_939_893, 25_455_285),
    "voxceleb": Published(1251, 1024, -3.7614744, 4.2011642, 92_664_291, 25_817_955),
    "speechcommands": Published(35, 128, -6.845978, 5.5654526, 91_385_123, 25_177_763),
    "epic_sounds": Published(44, 1024, 0.0, 0.5, 91_736_108, 25_353_260),
}
"""EPIC-SOUNDS is not normalised: its divisor is 1, which a factor of 1 and std 1 give."""
ENCODERS = {
    "aum-tiny": (6_922_176, 192),
    "aum-small": (25_345_920, 384),
    "aum-base": (96_698_112, 768),
}
"""Parameters of SSAMBA's pretraining encoders, of 512 patches and a class token; width."""
SSAMBA = {
    "audioset20k": (527, 1024, -4.2677393, 4.5689974),
    "esc50": (50, 512, -6.6268077, 5.358466),
    "speechcommands_v1": (30, 128, -6.845978, 5.5654526),
    "speechcommands_v2": (35, 128, -6.845978, 5.5654526),
}


def count(recipe: Recipe) -> int:
    """Parameters of the recipe's model, built without memory."""
    config = recipe.teacher.model.config(recipe.data.n_classes, recipe.frontend)
    with torch.device("meta"):
        model = build(config)
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("path", EVERY, ids=lambda path: str(path.relative_to(RECIPES)))
def test_every_recipe_loads_and_its_augmentation_fits_its_front_end(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name
    Augment(recipe.teacher.train.augment, recipe.frontend)


def test_every_published_family_has_a_recipe() -> None:
    assert {path.stem for path in (RECIPES / "aum").iterdir()} == set(AUM)
    assert {path.stem for path in (RECIPES / "ssamba").iterdir()} == set(SSAMBA)


@pytest.mark.parametrize("name", AUM)
def test_aum_recipes_give_published_inputs_and_sizes(name: str) -> None:
    want = AUM[name]
    path = RECIPES / "aum" / f"{name}.yaml"
    recipe = load_recipe(path)
    front_end = epic_sounds_mel() if name == "epic_sounds" else aum_fbank(n_frames=want.frames)
    assert recipe.frontend == front_end
    assert recipe.frontend.n_frames == want.frames
    normalization = recipe.data.normalization
    assert normalization is not None
    assert normalization.mean == want.mean
    assert normalization.scale == pytest.approx(2 * want.std)
    assert recipe.data.n_classes == want.classes
    assert count(recipe) == want.base
    assert count(load_recipe(path, ["teacher.model.preset=aum-small"])) == want.small


@pytest.mark.parametrize("name", SSAMBA)
@pytest.mark.parametrize("size", ENCODERS)
def test_ssamba_recipes_give_published_inputs_and_sizes(name: str, size: str) -> None:
    classes, frames, mean, std = SSAMBA[name]
    path = RECIPES / "ssamba" / f"{name}.yaml"
    recipe = load_recipe(path, [f"teacher.model.preset={size}"])
    assert recipe.frontend == aum_fbank(n_frames=frames)
    normalization = recipe.data.normalization
    assert normalization is not None
    assert (normalization.mean, normalization.scale) == (mean, pytest.approx(2 * std))
    encoder, width = ENCODERS[size]
    patches = 12 * ((frames - 16) // 10 + 1)
    head = 2 * width + classes * (width + 1)
    assert count(recipe) == encoder + (patches - 512) * width + head


@dataclass(frozen=True)
class Training:
    """What a script of the projects passes to its training."""

    epochs: int
    batch_size: int
    lr: float
    steps: tuple[int, int, float]
    """Learning rate: epochs done at the first drop, epochs between drops, what is left."""
    loss: str
    monitor: str
    masks: tuple[int, int]
    """Frequency and time."""
    mixup: float = 0.0
    warmup_steps: int = 1000
    noise: float = 0.0
    sampling: str = "shuffle"
    head_lr_factor: float = 1.0


SPEECH = Training(30, 128, 2.5e-4, (5, 1, 0.85), "bce", "accuracy", (48, 48), mixup=0.6, noise=0.1)
TRAININGS = {
    "aum/audioset": Training(
        5, 12, 1e-5, (2, 1, 0.5), "bce", "map", (48, 192), mixup=0.5, sampling="balanced"
    ),
    "aum/audioset_balanced": Training(
        25, 12, 5e-5, (10, 5, 0.5), "bce", "map", (48, 192), mixup=0.5
    ),
    "aum/vggsound": Training(20, 12, 1e-5, (5, 2, 0.75), "bce", "accuracy", (48, 192)),
    "aum/voxceleb": Training(20, 12, 1e-5, (5, 2, 0.75), "cross-entropy", "accuracy", (48, 192)),
    "aum/speechcommands": replace(SPEECH, warmup_steps=0),
    "ssamba/audioset20k": Training(
        50, 24, 1e-4, (15, 10, 0.75), "bce", "map", (48, 192), 0.5, 0, head_lr_factor=3.0
    ),
    "ssamba/esc50": Training(
        50, 48, 1e-4, (6, 1, 0.85), "cross-entropy", "accuracy", (24, 96), 0.0, 0, noise=0.1
    ),
    "ssamba/speechcommands_v1": SPEECH,
    "ssamba/speechcommands_v2": SPEECH,
}


@pytest.mark.parametrize("name", TRAININGS)
def test_recipes_give_the_published_training(name: str) -> None:
    train = load_recipe(RECIPES / f"{name}.yaml").teacher.train
    augment, schedule = train.augment, train.schedule
    assert TRAININGS[name] == Training(
        train.epochs,
        train.batch_size,
        train.lr,
        (schedule.start, schedule.every, schedule.factor),
        train.loss,
        train.monitor,
        (augment.freq_mask, augment.time_mask),
        augment.waveform_mixup_p,
        schedule.warmup_steps,
        augment.noise,
        train.batches.sampling,
        train.optimizer.head_lr_factor,
    )
    assert schedule.kind == "step"
    assert schedule.warmup_steps or train.warmup == 0
    assert augment.mask_fill == "zero"
    assert augment.waveform_mixup_alpha == 10
    assert (augment.roll_seconds > 0) == (augment.noise > 0)
    assert_adam(train)


def test_epic_sounds_has_a_table_of_its_own_and_masks_twice() -> None:
    train = load_recipe(RECIPES / "aum" / "epic_sounds.yaml").teacher.train
    assert (train.epochs, train.batch_size, train.lr) == (30, 12, 1e-5)
    assert (train.loss, train.monitor) == ("cross-entropy", "accuracy")
    assert train.schedule.table == {10: 0.05, 20: 0.01}
    assert train.warmup * train.epochs == pytest.approx(2, abs=1e-3)
    assert (train.augment.mask_fill, train.augment.mask_count) == ("mean", 2)
    assert_adam(train)


def assert_adam(train: TrainConfig) -> None:
    assert (train.optimizer.name, train.optimizer.betas) == ("adam", (0.95, 0.999))
    assert (train.optimizer.eps, train.weight_decay) == (1e-8, 5e-7)
    assert (train.gradient_clip, train.precision) == (0.0, "16-mixed")
