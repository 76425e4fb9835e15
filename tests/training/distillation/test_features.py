from __future__ import annotations

import pytest
import torch

from aum_edge.errors import RecipeError
from aum_edge.models.storage.directory import save
from aum_edge.training.distillation.config import DistillConfig
from aum_edge.training.distillation.features import (
    LONGEST,
    FeatureHooks,
    FeatureLoss,
    at_most,
    at_times,
    pair_by_depth,
)
from aum_edge.training.distillation.setup import Distillation
from aum_edge.training.distillation.teacher_logits import teacher_features
from aum_edge.training.fit import fit
from aum_edge.training.optim.optimizer import make_optimizer
from tests.small_run import student, teacher
from tests.training.fine_tuning import settings, weights
from tests.training.killing import fit_in_two_parts
from tests.training.kinds import ast, cnn

KINDS = {
    "aum": lambda: teacher(class_token="double"),
    "aum, time first": lambda: teacher(token_order="time", class_token="first"),
    "aum in pairs": lambda: teacher(depth=4, layer_pairs=True, direction="fo-fo"),
    "ast": ast,
    "student": student,
    "student, groups": lambda: student(frequency_groups=2),
    "cnn": cnn,
}
FEATURES = DistillConfig(kd_lambda=0.0, feature_weight=1.0)


def tokens_of(model, features, block: int = 1) -> torch.Tensor:
    tap = FeatureHooks(model, [block])
    with torch.no_grad(), tap.recording() as taken:
        model.eval()(features)
    return taken[0]


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_in_the_order_of_time(kind) -> None:
    # A click late in the clip changes late tokens most, whatever the network's own layout.
    torch.manual_seed(0)
    model = KINDS[kind]()
    clip = torch.randn(1, 1, 16, model.frontend.n_frames)
    moved = []
    for at in (4, 27):
        other = clip.clone()
        other[..., at : at + 2] += 5.0
        change = (tokens_of(model, other) - tokens_of(model, clip)).norm(dim=2)[0]
        moved.append(int(change.argmax()) / (len(change) - 1))
    assert moved[0] < 0.4
    assert moved[1] > 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_hooks_are_gone_afterwards_and_shapes_are_those_of_the_tokens(kind) -> None:
    model = KINDS[kind]().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tap = FeatureHooks(model, [1, 2])
    shapes = tap.shapes(model)
    with torch.no_grad(), tap.recording() as taken:
        model(model.example_input(2))
    assert [tuple(tokens.shape[1:]) for tokens in taken] == shapes
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    with pytest.raises(ZeroDivisionError), tap.recording():
        raise ZeroDivisionError
    assert not any(module._forward_hooks for module in model.modules())
    tap.shapes(model)
    changed = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    assert all("running" in name or "tracked" in name for name in changed)


def test_a_pair_of_layers_is_one_block_in_its_own_order() -> None:
    model = teacher(depth=4, layer_pairs=True, direction="fo-fo", class_token="first")
    with pytest.raises(RecipeError, match="block 3 of AudioMamba, which has 2"):
        FeatureHooks(model, [3])
    network = model.backbone
    clip = torch.randn(2, 1, 16, model.frontend.n_frames)
    whole = []
    network.norm_f.register_forward_pre_hook(lambda _, inputs: whole.append(inputs[0]))
    last = tokens_of(model, clip, 2)
    rows, columns = network.grid
    patches = whole[0][:, 1:].unflatten(1, (rows, columns)).mean(1)
    torch.testing.assert_close(last, patches)


def test_blocks_pair_by_relative_depth_and_the_last_with_the_last() -> None:
    assert pair_by_depth(4, 4) == ((1, 1), (2, 2), (3, 3), (4, 4))
    assert pair_by_depth(2, 24) == ((1, 12), (2, 24))
    assert pair_by_depth(5, 2)[-1] == (5, 2)
    assert min(pair[1] for pair in pair_by_depth(6, 1)) == 1


def test_tokens_are_brought_to_the_same_moments() -> None:
    ramp = torch.linspace(0, 1, 8).view(1, 8, 1)
    torch.testing.assert_close(at_times(ramp, 4)[0, :, 0], ramp.view(4, 2).mean(1))
    finer = at_times(ramp, 16)[0, :, 0]
    assert finer.shape == (16,)
    assert (finer.diff() >= 0).all()
    assert at_times(ramp, 8) is ramp
    assert at_most(torch.zeros(2, 100, 3), LONGEST).shape == (2, LONGEST, 3)


def test_the_loss_is_zero_for_tokens_that_a_projection_can_make() -> None:
    torch.manual_seed(0)
    loss = FeatureLoss([(6, 4)], [(6, 9)], seed=1)
    mine = torch.randn(5, 6, 4)
    theirs = loss.projections[0](mine).detach()
    assert float(loss([mine], [3 * theirs + 7])) == pytest.approx(0, abs=1e-5)
    assert float(loss([mine], [-theirs])) == pytest.approx(2, abs=1e-5)
    assert float(loss([mine], [torch.randn(5, 12, 9)])) == pytest.approx(1, abs=0.3)


def test_the_projection_is_drawn_from_its_seed_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second = (FeatureLoss([(6, 4)], [(6, 9)], seed=5) for _ in range(2))
    torch.testing.assert_close(first.projections[0].weight, second.projections[0].weight)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", ["aum", "ast", "cnn", "student"])
@pytest.mark.parametrize("pupil", [student, cnn])
def test_any_pair_of_architectures_learns_tokens(data, tmp_path, kind, pupil) -> None:
    setup = Distillation(config=FEATURES, teachers=(KINDS[kind](),))
    result = fit(pupil(seed=3), data, settings(epochs=1), tmp_path, distillation=setup)
    assert 0 < result.history[0]["train_loss"] < 5


def test_tokens_come_closer_to_the_teachers(data, tmp_path) -> None:
    guide = teacher(5)
    config = settings(epochs=6, lr=1e-2, keep="last", monitor="loss")
    only = DistillConfig(kd_lambda=0.0, feature_weight=20.0, feature_pairs=((2, 2),))
    setup = Distillation(config=only, teachers=(guide,))
    result = fit(student(), data, config, tmp_path, distillation=setup)
    hard = fit(student(), data, config, tmp_path / "hard")
    losses = [row["train_loss"] for row in result.history]
    assert losses[-1] < 0.8 * losses[0]
    # By a projection that is fitted afterwards, for both alike.
    clips = torch.from_numpy(data.arrays["train"].features[:]).unsqueeze(1)
    goal = at_times(tokens_of(guide, clips, 2), 9).flatten(0, 1)
    left = []
    for model in (result.model, hard.model):
        mine = tokens_of(model, clips, 2).flatten(0, 1)
        mine, wanted = mine - mine.mean(0), goal - goal.mean(0)
        left.append(float((mine @ torch.linalg.lstsq(mine, wanted).solution - wanted).norm()))
    assert left[0] < left[1]


def test_the_projection_trains_and_is_no_part_of_the_model(data, tmp_path) -> None:
    model = student()
    names, size = set(model.state_dict()), sum(p.numel() for p in model.parameters())
    setup = Distillation(config=FEATURES, teachers=(teacher(),))
    fit(model, data, settings(epochs=1), tmp_path, distillation=setup)
    state = torch.load(tmp_path / "last.ckpt", weights_only=False)["state_dict"]
    made = [name for name in state if name.startswith("token_loss.")]
    assert len(made) == 2
    fresh = FeatureLoss([(9, 16)] * 2, [(4, 16)] * 2, seed=0)
    assert not torch.equal(state[made[0]], fresh.projections[0].weight)
    assert set(model.state_dict()) == names
    assert sum(p.numel() for p in model.parameters()) == size
    save(model, tmp_path / "model")
    rows = make_optimizer(model, settings(), fresh).param_groups
    assert rows[-1]["params"] == list(fresh.parameters())
    assert {row["lr"] for row in rows} == {settings().lr}


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_feature_distillation_resumed_after_a_kill_equals_an_uninterrupted_run(
    data, tmp_path, ema
) -> None:
    config = settings(epochs=3, ema_decay=ema)
    setup = Distillation(config=FEATURES, teachers=(teacher(),))
    whole = fit(student(), data, config, tmp_path / "whole", seed=3, distillation=setup)
    resumed = fit_in_two_parts(
        student, data, config, tmp_path / "parts", seed=3, distillation=setup
    )
    torch.testing.assert_close(weights(resumed.model), weights(whole.model), rtol=0, atol=0)
    assert resumed.history == whole.history


def test_stored_tokens_are_the_teachers_in_16_bit(data, tmp_path) -> None:
    model = teacher()
    stored = teacher_features(model, data, tmp_path, [2])
    clips = torch.from_numpy(data.arrays["train"].features[[3, 30]]).unsqueeze(1)
    found = stored.rows(torch.tensor([3, 30]).numpy()).tokens[0]
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.float(), tokens_of(model, clips, 2), rtol=2e-3, atol=2e-3)
    assert len(stored) == len(data.arrays["train"])
    (folder,) = tmp_path.glob("tokens-*")
    size = sum(path.stat().st_size for path in folder.glob("*.bin"))
    assert size == len(stored) * (8 + 4 * 3 + 2 * 4 * 16)


def test_stored_tokens_are_made_again_when_they_are_damaged(data, tmp_path, caplog) -> None:
    model = teacher()
    first = teacher_features(model, data, tmp_path, [1]).rows(slice(None)).tokens[0]
    path = next(tmp_path.glob("tokens-*/tokens-0.bin"))
    path.write_bytes(path.read_bytes()[:-4])
    again = teacher_features(model, data, tmp_path, [1]).rows(slice(None)).tokens[0]
    assert "damaged" in caplog.text
    torch.testing.assert_close(again, first, rtol=0, atol=0)


def test_a_full_store_is_refused_before_anything_is_computed(data, tmp_path) -> None:
    config = DistillConfig(feature_weight=1.0, store_gb=1e-6)
    setup = Distillation(config=config, teachers=(teacher(),))
    before = set(data.cache_dir.iterdir())
    with pytest.raises(RecipeError, match=r"`distill.store_gb` allows 1e-06"):
        fit(student(d_model=24), data, settings(epochs=1), tmp_path, distillation=setup)
    assert set(data.cache_dir.iterdir()) == before


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"feature_weight": -1.0}, "`distill.feature_weight` must be at least 0, got -1.0"),
        ({"feature_pairs": ((1, 1),)}, "do nothing while"),
        ({"feature_weight": 1.0, "feature_pairs": ((0, 1),)}, "counted from 1; got"),
    ],
)
def test_feature_settings_that_mean_nothing_are_refused(fields, match) -> None:
    with pytest.raises(RecipeError, match=match):
        DistillConfig(**fields)


def test_pairs_beyond_the_network_are_refused(data, tmp_path) -> None:
    config = DistillConfig(feature_weight=1.0, feature_pairs=((1, 9),))
    setup = Distillation(config=config, teachers=(teacher(),))
    with pytest.raises(RecipeError, match="block 9 of AudioMamba, which has 2"):
        fit(student(), data, settings(), tmp_path, distillation=setup)
