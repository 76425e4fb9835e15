"""Augmentations register; those that came before keep their draws and their keys."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor

from aum_edge.audio.augment import registry
from aum_edge.audio.augment.config import AugmentConfig
from aum_edge.audio.augment.pipeline import Augment
from aum_edge.audio.augment.registry import Augmentation, register
from aum_edge.audio.config import FrontEndConfig
from aum_edge.errors import RecipeError
from aum_edge.pipeline.read_recipe import load_recipe
from aum_edge.pipeline.recipe import plain

FRONT_END = FrontEndConfig(
    sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20, clip_seconds=0.5
)
OFF = AugmentConfig(roll_seconds=0.0, mixstyle_p=0.0)
ALL = AugmentConfig(
    roll_seconds=0.1,
    mixstyle_p=1.0,
    freq_warp=0.2,
    time_stretch=0.1,
    colour_db=3.0,
    floor_db=20.0,
    freq_mask=6,
    time_mask=9,
    mask_count=2,
    noise=0.1,
    mixup_p=0.7,
    waveform_mixup_p=0.5,
    ir_p=0.6,
)


def test_draws_and_their_order_stay_as_they_were() -> None:
    """Values taken before augmentations registered: resumed trainings go on as they began."""
    generator = torch.Generator().manual_seed(3)
    features = torch.sin(torch.arange(4 * 20 * 51.0)).reshape(4, 1, 20, 51)
    waves = torch.cos(torch.arange(4 * 4000.0) * 0.3).reshape(4, 4000)
    augment = Augment(ALL, FRONT_END, 2.0)
    heard = augment.waveform(waves, generator)
    mixed = augment.mix_waveforms(heard, None, torch.eye(4), generator)
    varied = augment.features(features, generator)
    again = augment.mixup(varied, torch.eye(4), generator)
    classes = mixed.targets * torch.arange(4.0)
    found = [heard, mixed.waveform, classes, varied, again[0], again[3]]
    sums = [float(x.double().abs().sum()) for x in found]
    want = [11769.7419, 10926.193, 5.5722, 1521.6009, 1496.7411, 3.8834]
    assert sums == pytest.approx(want, rel=1e-6, abs=1e-4)
    assert int(torch.randint(10**6, (), generator=generator)) == 967338


def test_what_keys_hash_stays_where_nothing_is_registered() -> None:
    text = repr(AugmentConfig(mixup_p=0.5))
    assert text.startswith("AugmentConfig(roll_seconds=0.1, mixstyle_p=0.4, mixstyle_alpha=0.3, ")
    assert text.endswith("ir_p=0.0, ir_dir='', ir_seed=0)")
    assert list(plain(asdict(AugmentConfig())))[-1] == "ir_seed"


@pytest.fixture
def gain(monkeypatch) -> type[Augmentation]:
    """An augmentation as one file of the folder, or a notebook, would add it."""
    registry.augmentations()
    monkeypatch.setattr(registry, "_AUGMENTATIONS", dict(registry._AUGMENTATIONS))

    @register("gain")
    @dataclass(frozen=True, kw_only=True)
    class Gain(Augmentation):
        """Another loudness for each clip."""

        most: float = 1.0

        def __post_init__(self) -> None:
            if self.most < 0:
                raise RecipeError(f"`most` must be at least 0, got {self.most}.")

        def features(self, x: Tensor, frontend: FrontEndConfig, generator: Generator) -> Tensor:
            return x + self.most * torch.rand(len(x), 1, 1, 1, generator=generator)

    @register("flip")
    @dataclass(frozen=True, kw_only=True)
    class Flip(Augmentation):
        """Waveforms upside down."""

        needs_waveforms = True

        def waveform(self, x: Tensor, frontend: FrontEndConfig, generator: Generator) -> Tensor:
            return -x

    return Gain


def test_a_new_augmentation_is_one_class(gain, tmp_path: Path) -> None:
    text = "{freq_mask: 3, gain: {most: 2.0}, flip: {}}"
    (tmp_path / "r.yaml").write_text(
        f"name: a\nstudent: {{train: {{augment: {text}}}}}\n"
        f"teacher: {{also: [{{model: {{preset: cp-mobile}}, train: {{augment: {text}}}}}]}}\n"
    )
    recipe = load_recipe(tmp_path / "r.yaml", ["student.train.augment.gain.most=3"])
    config = recipe.student.train.augment
    assert config.registered["gain"] == gain(most=3.0)
    assert recipe.teacher.also[0].train.augment.registered["gain"] == gain(most=2.0)
    assert recipe.resolved()["student"]["train"]["augment"]["gain"] == {"most": 3.0}
    assert "gain=Gain" not in repr(OFF)
    assert "most=3.0" in repr(config)
    assert config.needs_waveforms
    x = torch.zeros(6, 1, 20, 51)
    only = replace(OFF, registered={"gain": gain(most=3.0)})
    assert not only.needs_waveforms
    varied = Augment(only, FRONT_END).features(x, torch.Generator().manual_seed(0))
    want = 3 * torch.rand(6, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(varied, want.expand_as(varied))
    assert torch.equal(
        Augment(config, FRONT_END).waveform(torch.ones(2, 4000), torch.Generator()),
        -torch.ones(2, 4000),
    )


def test_a_clip_without_its_mean_loses_it_again(gain) -> None:
    config = replace(OFF, registered={"gain": gain()})
    augment = Augment(config, replace(FRONT_END, clip_mean=True))
    varied = augment.features(torch.zeros(3, 1, 20, 51), torch.Generator().manual_seed(0))
    assert varied.abs().max() < 1e-6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{gain: {least: 1}}", "`student.train.augment.gain.least`"),
        ("{gain: {most: x}}", "`student.train.augment.gain.most`"),
        ("{gain: {most: -1}}", "`most` must be at least 0"),
        ("{gain: 3}", "`student.train.augment.gain` holds settings of its own, got 3"),
        ("{registered: {gain: {most: 1}}}", "no key `student.train.augment.registered`"),
        ("{registered: {gain: {class_path: x}}}", "augment.registered.*could have a program run"),
        ("{gains: {}}", "no key `student.train.augment.gains`"),
    ],
)
def test_wrong_settings_are_one_line(gain, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.yaml").write_text(f"name: a\nstudent: {{train: {{augment: {text}}}}}\n")
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(tmp_path / "r.yaml")
    assert "\n" not in str(caught.value)


def test_an_augmentation_that_lacks_a_part_cannot_register(gain) -> None:
    with pytest.raises(TypeError, match="an augmentation `gain` already"):
        register("gain")(gain)
    with pytest.raises(TypeError, match="must be a frozen dataclass"):
        register("bare")(Augmentation)
    idle = dataclass(frozen=True)(type("Idle", (Augmentation,), {}))
    with pytest.raises(TypeError, match="needs `features` or `waveform`"):
        register("idle")(idle)
    deaf = dataclass(frozen=True)(type("Deaf", (Augmentation,), {"waveform": lambda *a: a[1]}))
    with pytest.raises(TypeError, match="needs_waveforms = True"):
        register("deaf")(deaf)
    with pytest.raises(RecipeError, match=r"`augment.gain` is no registered augmentation"):
        AugmentConfig(registered={"gain": idle()})
