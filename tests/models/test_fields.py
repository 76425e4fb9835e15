"""No config field is dead: each one changes parameters, output or training of the network."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from aum_edge.models.config import AudioMambaConfig, CPMobileConfig
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.registry import build
from aum_edge.models.student_config import MambaStudentConfig

AUM = AudioMambaConfig(
    n_classes=3,
    n_mels=16,
    n_frames=12,
    patch_size=(4, 4),
    d_model=16,
    depth=2,
    d_state=4,
    direction="bi-bi",
)
UNTOKENED = replace(AUM, class_token="none", pooling="mean")
SSD = MambaStudentConfig(
    n_classes=3,
    n_mels=16,
    n_frames=12,
    d_model=8,
    depth=2,
    d_state=4,
    head_dim=4,
    stem_channels=(2, 4),
)
S6 = replace(SSD, mixer="s6")
CNN = CPMobileConfig(n_classes=3, n_mels=16, n_frames=12, base_channels=8)

CHANGES: list[tuple[BackboneConfig, str, Any]] = [
    (AUM, "n_classes", 4),
    (AUM, "n_mels", 24),
    (AUM, "n_frames", 16),
    (AUM, "patch_size", (2, 4)),
    (AUM, "stride", (2, 4)),
    (AUM, "d_model", 32),
    (AUM, "depth", 3),
    (AUM, "d_state", 5),
    (AUM, "d_conv", 3),
    (AUM, "expand", 3),
    (AUM, "direction", "fo-fo"),
    (AUM, "direction", "fo-bi"),
    (replace(AUM, pooling="mean"), "class_token", "none"),
    (AUM, "pooling", "mean"),
    (AUM, "pooling", "all"),
    (AUM, "head", "norm-linear"),
    (AUM, "head", "mlp"),
    (AUM, "final_norms", 2),
    (AUM, "class_token", "first"),
    (AUM, "class_token", "last"),
    (AUM, "class_token", "double"),
    (UNTOKENED, "pooling", "max"),
    (UNTOKENED, "pooling", "last"),
    (AUM, "token_order", "time"),
    (AUM, "position_embedding", False),
    (AUM, "norm", "layer"),
    (AUM, "norm_eps", 1e-2),
    (AUM, "halve_directions", False),
    (AUM, "layer_pairs", True),
    (AUM, "layer_scale", 0.5),
    (AUM, "drop_path", 0.9),
    (AUM, "inner", (32, 24)),
    (AUM, "states", (4, 3)),
    (AUM, "dt_ranks", (1, 2)),
    (SSD, "n_classes", 4),
    (SSD, "n_mels", 32),
    (SSD, "n_frames", 24),
    (SSD, "mixer", "s6"),
    (SSD, "bidirectional", False),
    (S6, "bidirectional", False),
    (SSD, "d_model", 12),
    (SSD, "depth", 3),
    (SSD, "expand", 3),
    (SSD, "d_state", 5),
    (SSD, "head_dim", 8),
    (SSD, "d_conv", 3),
    (SSD, "stem_channels", (3, 4)),
    (SSD, "stem_channels", (2, 5)),
    (SSD, "mixer", "none"),
    (SSD, "sharing", "separate"),
    (S6, "sharing", "separate"),
    (SSD, "stem", "patch"),
    (SSD, "time_stride", 2),
    (replace(SSD, stem="patch"), "time_stride", 1),
    (SSD, "frequency_groups", 2),
    (SSD, "norm", "layer"),
    (SSD, "pooling", "max"),
    (SSD, "pooling", "mean-max"),
    (SSD, "pooling", "last"),
    (SSD, "width", 12),
    (SSD, "directions", ("both", "forward")),
    (S6, "directions", ("backward", "both")),
    (SSD, "dropout", 0.5),
    (SSD, "folded", True),
    (SSD, "inner", (16, 12)),
    (SSD, "states", (4, 3)),
    (S6, "dt_ranks", (1, 2)),
    (CNN, "n_classes", 4),
    (CNN, "n_mels", 32),
    (CNN, "n_frames", 24),
    (CNN, "base_channels", 16),
    (CNN, "channels_multiplier", 2.5),
    (CNN, "expansion_rate", 4.0),
    (CNN, "folded", True),
]


def behaviour(config: BackboneConfig) -> tuple[dict[str, tuple[int, ...]], list[Tensor]]:
    """Shapes of the state dict, and what known weights answer, in eval and in training mode."""
    network = build(config)
    with torch.no_grad():
        for name, parameter in sorted(network.named_parameters()):
            wave = torch.sin(torch.arange(parameter.numel()) * 0.7 + len(name))
            parameter.copy_(0.5 * wave.view_as(parameter))
    shape = (4, 1, config.n_mels, config.n_frames)
    x = torch.cos(torch.arange(4 * config.n_mels * config.n_frames) * 0.3).view(shape)
    answers = []
    for training in (False, True):
        torch.manual_seed(0)
        answers.append(network.train(training)(x).detach())
    return {key: tuple(t.shape) for key, t in network.state_dict().items()}, answers


@pytest.mark.parametrize(
    ("base", "name", "value"),
    CHANGES,
    ids=[f"{type(base).__name__}-{name}-{value}" for base, name, value in CHANGES],
)
def test_every_field_changes_the_network(base: BackboneConfig, name: str, value: Any) -> None:
    assert getattr(base, name) != value
    old_shapes, old_answers = behaviour(base)
    new_shapes, new_answers = behaviour(replace(base, **{name: value}))
    same = old_shapes == new_shapes and all(
        old.shape == new.shape and torch.equal(old, new)
        for old, new in zip(old_answers, new_answers, strict=True)
    )
    assert not same


def test_the_measure_calls_equal_networks_equal() -> None:
    for base in (AUM, SSD, S6, CNN):
        first, second = behaviour(base), behaviour(replace(base))
        assert first[0] == second[0]
        assert all(torch.equal(a, b) for a, b in zip(first[1], second[1], strict=True))


@pytest.mark.parametrize("kind", [AudioMambaConfig, MambaStudentConfig, CPMobileConfig])
def test_every_field_is_tried(kind: type[BackboneConfig]) -> None:
    tried = {name for base, name, _ in CHANGES if isinstance(base, kind)}
    assert tried == {field.name for field in fields(kind)}
