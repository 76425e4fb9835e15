"""Pruning to targets by the exact counter: met, really smaller, saved, and honest when it fails."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.complexity.torch_counter import count
from aum_edge.compression.pruning.config import PruneConfig
from aum_edge.compression.pruning.cost import Cost, NetworkCosts, model_cost, sizes_of
from aum_edge.compression.pruning.prune import prune
from aum_edge.compression.pruning.slicing import Removal, prunable, shrink
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.errors import CompressionError, RecipeError
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.models.config import AudioMambaConfig, CPMobileConfig
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.registry import build
from aum_edge.models.storage.directory import payload_bytes, save
from aum_edge.models.student_config import MambaStudentConfig

FRONTEND = FrontEndConfig(
    sample_rate=8000, n_fft=256, win_length=256, hop_length=200, n_mels=32, clip_seconds=0.8
)
SHAPE = {"n_mels": 32, "n_frames": FRONTEND.n_frames}
SSD = MambaStudentConfig(n_classes=3, d_model=16, depth=3, d_state=6, head_dim=4, **SHAPE)
TEACHER = AudioMambaConfig(
    n_classes=3, d_model=16, depth=2, d_state=6, patch_size=(16, 8), dt_ranks=(2, 3), **SHAPE
)
CONFIGS: dict[str, BackboneConfig] = {
    "ssd": SSD,
    "ssd-separate": replace(SSD, sharing="separate", frequency_groups=2),
    "s6": replace(SSD, mixer="s6", dt_ranks=(3, 3, 2)),
    "s6-separate": replace(SSD, mixer="s6", sharing="separate", dt_ranks=(3, 3, 2)),
    "one-way": replace(SSD, directions=("both", "backward", "forward"), norm="layer"),
    "none": replace(SSD, mixer="none", stem="patch"),
    "bi-bi": replace(TEACHER, direction="bi-bi", inner=(24, 32)),
    "pairs": replace(TEACHER, layer_pairs=True),
}


def classifier(config: BackboneConfig) -> AudioClassifier:
    torch.manual_seed(3)
    return AudioClassifier(
        build(config),
        frontend=FRONTEND,
        normalization=Normalization(mean=-2.0, std=1.5),
        labels=("a", "b", "c"),
        lineage=({"step": "train"},),
    ).eval()


def clips(batches: int = 2) -> list[tuple[Tensor, Tensor]]:
    torch.manual_seed(7)
    shape = (4, 1, FRONTEND.n_mels, FRONTEND.n_frames)
    return [(-2 + 1.5 * torch.randn(shape), torch.tensor([0, 1, 2, 0])) for _ in range(batches)]


def exact(model: AudioClassifier) -> float:
    return count(model, model.example_input()).macs


@pytest.mark.parametrize("name", CONFIGS)
def test_interpolated_costs_are_the_counted_ones(name: str) -> None:
    model = classifier(CONFIGS[name])
    price = NetworkCosts(model)
    backbone = prunable(model.backbone)
    before = backbone.pruning_groups()
    units = {
        key: frozenset(range(min(1 + key[0], group.units - group.minimum))) - group.fixed
        for key, group in before.items()
        if key != (1, "direction")
    }
    pairs = name == "pairs"
    gone = frozenset() if pairs or len(backbone.mixer_blocks) < 3 else frozenset({1})
    small = model.with_backbone(shrink(backbone, Removal(gone, units)), {})
    sizes = {key: count - len(units.get(key, ())) for key, count in sizes_of(before).items()}
    kept = [index for index in range(len(backbone.mixer_blocks)) if index not in gone]
    counted = model_cost(small)
    assert price(sizes, kept) == counted
    assert price(sizes_of(before), range(len(backbone.mixer_blocks))) == model_cost(model)
    assert counted.macs == exact(small)
    assert counted.macs < 0.98 * model_cost(model).macs


@pytest.mark.parametrize(
    ("name", "importance"),
    [
        ("ssd-separate", "taylor"),
        ("s6", "activation"),
        ("bi-bi", "magnitude"),
        ("one-way", "taylor"),
        ("pairs", "taylor"),
    ],
)
def test_both_targets_are_met_and_the_model_lives(
    name: str, importance: str, tmp_path: Path
) -> None:
    model = classifier(CONFIGS[name])
    start = model_cost(model)
    config = PruneConfig(
        max_macs=0.85 * start.macs, max_bytes=0.8 * start.bytes, importance=importance, steps=2
    )
    small = prune(model, config, clips())
    assert exact(small) <= config.max_macs
    assert payload_bytes(quantize(small, QuantizeConfig(method="max")))[0] <= config.max_bytes
    weights = [sum(p.numel() for p in m.parameters()) for m in (small, model)]
    assert weights[0] < weights[1]
    save(small, tmp_path / "small")
    again = load(tmp_path / "small")
    with torch.no_grad():
        assert torch.equal(small(clips()[0][0]), again(clips()[0][0]))


def test_lineage_tells_what_went_and_is_plain_json() -> None:
    model = classifier(CONFIGS["s6"])
    target = 0.8 * model_cost(model).macs
    small = prune(model, PruneConfig(max_macs=target, steps=2), clips())
    assert [entry["step"] for entry in small.lineage] == ["train", "prune"]
    entry = json.loads(json.dumps(small.lineage[-1]))
    assert entry["after"]["macs"] == exact(small)
    assert entry["after"]["inner"] == list(small.backbone.config.block_inner)
    assert entry["before"]["state"] == [6, 6, 6]
    assert entry["max_macs"] == target


def test_only_the_dimensions_named_are_cut() -> None:
    model = classifier(CONFIGS["s6"])
    limit = model_cost(model).macs - 2000
    small = prune(model, PruneConfig(max_macs=limit, dimensions=("state",), steps=1), clips())
    config = small.backbone.config
    assert config.depth == 3
    assert set(config.block_inner) == {32}
    assert min(config.block_d_state) < 6


def test_blocks_can_go() -> None:
    model = classifier(SSD)
    with torch.no_grad():
        model.backbone.blocks[1].mixer.out_proj.weight.zero_()
    limit = model_cost(model).macs - 2000
    small = prune(model, PruneConfig(max_macs=limit, dimensions=("block",), steps=1), clips())
    assert small.backbone.config.depth == 2
    features = clips()[0][0]
    with torch.no_grad():
        assert (small(features) - model(features)).abs().max() < 1e-5


def test_pruned_channels_of_no_use_leave_the_output_alone() -> None:
    model = classifier(CONFIGS["s6"])
    with torch.no_grad():
        mixer = model.backbone.blocks[0].mixer
        for weight in (mixer.in_proj.weight[:20], mixer.conv1d.weight[:20], mixer.conv1d.bias[:20]):
            weight.zero_()
    limit = model_cost(model).macs - 1000
    small = prune(model, PruneConfig(max_macs=limit, dimensions=("inner",), steps=1), clips())
    features = clips()[0][0]
    with torch.no_grad():
        assert (small(features) - model(features)).abs().max() < 1e-5
    assert small.backbone.config.inner[0] < 32


def test_the_original_is_left_alone() -> None:
    model = classifier(SSD).train()
    before = copy.deepcopy(model.state_dict())
    small = prune(model, PruneConfig(max_bytes=0.8 * model_cost(model).bytes, steps=1), clips())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert model.backbone.config == SSD
    assert model.training
    assert small.training


def test_a_model_within_the_target_comes_back_as_a_copy(caplog: pytest.LogCaptureFixture) -> None:
    model = classifier(SSD)
    with caplog.at_level("INFO"):
        same = prune(model, PruneConfig(max_macs=1e12, max_bytes=1e9), clips())
    assert "Nothing to prune" in caplog.text
    assert same is not model
    assert same.backbone.config == SSD
    assert torch.equal(same.backbone.head.weight, model.backbone.head.weight)


@pytest.mark.parametrize("name", ["s6", "pairs"])
def test_the_smallest_reachable_is_named_and_reachable(name: str) -> None:
    model = classifier(CONFIGS[name])
    with pytest.raises(CompressionError, match="smallest reachable is") as caught:
        prune(model, PruneConfig(max_macs=10), clips())
    words = str(caught.value).split("smallest reachable is ")[1].split(" MACs")[0]
    smallest = float(words.replace(",", ""))
    small = prune(model, PruneConfig(max_macs=smallest, steps=1), clips())
    assert exact(small) == smallest
    with pytest.raises(CompressionError, match="smallest reachable"):
        prune(model, PruneConfig(max_macs=smallest - 1, steps=1), clips())


def test_progress_is_told() -> None:
    seen: list[tuple[int, int]] = []
    model = classifier(SSD)
    limit = 0.9 * model_cost(model).macs
    config = PruneConfig(max_macs=limit, steps=3, dimensions=("state", "inner"))
    prune(model, config, clips(), lambda done, total, _: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_wrong_requests_are_refused() -> None:
    model = classifier(SSD)
    with pytest.raises(CompressionError, match="at least one batch"):
        prune(model, PruneConfig(max_macs=0.9 * exact(model)), [])
    with pytest.raises(CompressionError, match="before quantizing"):
        prune(quantize(model, QuantizeConfig()), PruneConfig(max_macs=1), clips())
    control = classifier(CPMobileConfig(n_classes=3, base_channels=8, **SHAPE))
    with pytest.raises(CompressionError, match="CPMobile"):
        prune(control, PruneConfig(max_macs=1), clips())
    for wrong in ({"max_macs": 0}, {"dimensions": ()}, {"dimensions": ("width",)}, {"steps": 0}):
        with pytest.raises(RecipeError):
            PruneConfig(**wrong)


def test_costs_compare_and_add() -> None:
    assert (Cost(3, 4) + Cost(1, 1) - Cost(2, 2)) * 2 == Cost(4, 6)
    assert Cost(1, 5).within(Cost(1, 6))
    assert not Cost(2, 5).within(Cost(1, 6))
