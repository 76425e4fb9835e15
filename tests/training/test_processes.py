from __future__ import annotations

import numpy as np
import pytest
import torch

from aum_edge.core.distributed import launched, require_launch
from aum_edge.data.sampler import BatchPlan, EpochSampler, ProcessGroupPosition
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import load
from aum_edge.training.metrics import validation
from aum_edge.training.metrics.validation import Predictions
from tests.small_run import recipe_text, tones
from tests.training.process_worker import trained
from tests.training.two_processes import two_processes


def epoch_rows(n: int, size: int, seed: int | None, world: int, plan=None) -> list[list[list[int]]]:
    """By process, the rows of its batches."""
    orders = [
        EpochSampler(n, size, seed, lambda r=r: ProcessGroupPosition(3, r, world), plan)
        for r in range(world)
    ]
    return [[rows.tolist() for rows in order] for order in orders]


@pytest.mark.parametrize(("n", "size", "world"), [(36, 6, 2), (37, 5, 2), (50, 4, 3), (17, 8, 4)])
def test_training_rows_are_shared_out_once_and_evenly(n: int, size: int, world: int) -> None:
    by_rank = epoch_rows(n, size, 1, world)
    assert len({tuple(len(batch) for batch in batches) for batches in by_rank}) == 1
    seen = [row for batches in by_rank for batch in batches for row in batch]
    assert len(seen) == len(set(seen))
    assert n - len(seen) < 2 * world


def test_a_joint_batch_holds_the_rows_that_one_process_would_take() -> None:
    first, second = epoch_rows(40, 5, 1, 2)
    joint = [sorted(a + b) for a, b in zip(first, second, strict=True)]
    assert joint == [sorted(batch) for batch in epoch_rows(40, 10, 1, 1)[0]]


@pytest.mark.parametrize("n", [1, 12, 13])
def test_validation_rows_all_come_and_fill_up_evenly(n: int) -> None:
    by_rank = epoch_rows(n, 4, None, 3)
    assert len({tuple(len(batch) for batch in batches) for batches in by_rank}) == 1
    assert {row for batches in by_rank for batch in batches for row in batch} == set(range(n))


def test_batch_sizes_follow_the_table_by_epoch() -> None:
    plan = BatchPlan(size_by_epoch={2: 4, 4: 7})
    sizes = {}
    for epoch in range(6):
        order = EpochSampler(28, 2, 0, lambda epoch=epoch: ProcessGroupPosition(epoch), plan)
        sizes[epoch] = (len(order), {len(rows) for rows in order})
    assert sizes[0] == sizes[1] == (14, {2})
    assert sizes[2] == sizes[3] == (7, {4})
    assert sizes[4] == sizes[5] == (4, {7})


def test_weighted_rows_are_drawn_by_their_weights_and_repeatably() -> None:
    weights = np.array([0.0, 1.0, 3.0] * 400)
    plan = BatchPlan(weights=weights)
    drawn = np.concatenate(list(EpochSampler(1200, 60, 5, ProcessGroupPosition, plan)))
    again = np.concatenate(list(EpochSampler(1200, 60, 5, ProcessGroupPosition, plan)))
    later = np.concatenate(list(EpochSampler(1200, 60, 5, lambda: ProcessGroupPosition(1), plan)))
    assert drawn.tolist() == again.tolist() != later.tolist()
    share = np.bincount(drawn % 3, minlength=3) / len(drawn)
    assert share[0] == 0
    assert share[2] == pytest.approx(0.75, abs=0.05)


def test_rows_seen_twice_count_once(monkeypatch) -> None:
    torch.manual_seed(0)
    logits, truth = torch.randn(5, 3), torch.tensor([0, 1, 2, 1, 1])
    once, twice = Predictions(), Predictions()
    once.add(torch.arange(5), logits, truth)
    repeated = torch.tensor([0, 1, 2, 3, 4, 0, 1])
    twice.add(repeated, logits[repeated], truth[repeated])
    expected = once.scores("cross-entropy")
    assert twice.scores("cross-entropy") == expected

    # The rows of two processes, of which each holds a half, one of them twice.
    half = Predictions()
    half.add(torch.arange(3), logits[:3], truth[:3])
    other = iter([torch.tensor([3, 4, 0]), logits[[3, 4, 0]], truth[[3, 4, 0]]])
    monkeypatch.setattr(validation, "gathered", lambda rows: torch.cat([rows, next(other)]))
    assert half.scores("cross-entropy") == expected


def test_validation_ranks_each_class_by_its_own_sigmoid_with_bce() -> None:
    # By softmax the second row is surer of class 0 than the first; by sigmoid it is not.
    logits, truth = torch.tensor([[3.0, 3.0], [1.0, -4.0]]), torch.tensor([0, 1])
    made = {}
    for kind in ("bce", "cross-entropy"):
        predictions = Predictions()
        predictions.add(torch.arange(2), logits, truth)
        made[kind] = predictions.scores(kind)
    assert made["bce"]["mean_auc"] == 0.5
    assert made["cross-entropy"]["mean_auc"] == 0.0
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.eye(2))
    assert made["bce"]["loss"] == pytest.approx(float(expected))


def test_torchrun_decides_how_many_processes_there_are(monkeypatch) -> None:
    assert launched(3, 2) == (3, 2)
    with pytest.raises(RecipeError, match="torchrun --standalone --nproc-per-node 3"):
        require_launch(3, 1)
    with pytest.raises(RecipeError, match="torchrun --nnodes 2 --nproc-per-node 1"):
        require_launch(1, 2)
    require_launch(1, 1)
    for name, value in {"RUN_ID": "x", "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}.items():
        key = f"TORCHELASTIC_{name}" if name == "RUN_ID" else name
        monkeypatch.setenv(key, value)
    assert launched(1, 1) == (4, 2)
    require_launch(3, 1)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_the_joint_batch(tmp_path) -> None:
    tones(tmp_path / "tones")
    alone = trained(tmp_path, 10)
    (tmp_path / "recipe.yaml").write_text(recipe_text(tmp_path / "tones"))
    shown = two_processes("tests.training.process_worker", tmp_path)

    first, second = (torch.load(tmp_path / f"rank-{rank}.pt") for rank in (0, 1))
    for name, tensor in alone.model.state_dict().items():
        torch.testing.assert_close(first["weights"][name], tensor, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(second["weights"][name], first["weights"][name], rtol=0, atol=0)
    assert first["history"] == second["history"]
    for mine, theirs in zip(alone.history, first["history"], strict=True):
        assert theirs == pytest.approx(mine, abs=2e-5)

    # The whole command ran in both: one model, one history, one line of output.
    assert load(tmp_path / "run" / "teacher" / "model").labels == ("high", "low", "mid")
    assert not (tmp_path / "run" / "run.lock").exists()
    assert [out.count("teacher") for out in shown] == [1, 0]
