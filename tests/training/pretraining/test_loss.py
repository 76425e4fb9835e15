from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from aum_edge.models.architectures.masked_patch import MaskedPatchConfig, MaskedPatchModel
from aum_edge.training.pretraining.loss import info_nce, masked_patch_loss

CONFIG = MaskedPatchConfig(
    n_mels=32, n_frames=48, patch_size=(8, 8), d_model=16, depth=4, d_state=4, direction="bi-bi"
)
FIRST = torch.tensor([[0, 3, 8, 20], [2, 5, 6, 7]])
SECOND = torch.tensor([[1, 2, 3, 4], [9, 10, 11, 23]])


@pytest.fixture
def network() -> MaskedPatchModel:
    torch.manual_seed(0)
    return MaskedPatchModel(CONFIG).eval()


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(2, 1, 32, 48, generator=torch.Generator().manual_seed(1))


def test_info_nce_equals_a_loop_over_clips_and_patches() -> None:
    torch.manual_seed(3)
    predicted, targets = torch.randn(2, 3, 5, 7).double().unbind(0)
    losses, hits = [], []
    for p, e in zip(predicted, targets, strict=True):
        scores = torch.tensor([[float(e[i] @ p[j]) for j in range(5)] for i in range(5)])
        share = torch.softmax(scores.double(), dim=1)
        losses += [-torch.log(share[i, i]) for i in range(5)]
        hits += [int(share[:, j].argmax()) == j for j in range(5)]
    loss, accuracy = info_nce(predicted, targets)
    assert float(loss) == pytest.approx(float(sum(losses)) / 15)
    assert float(accuracy) == pytest.approx(sum(hits) / 15)
    assert 0 < sum(hits) < 15


def test_perfect_predictions_are_told_apart() -> None:
    targets = 10 * torch.eye(6).unsqueeze(0)
    loss, accuracy = info_nce(targets, targets)
    assert float(accuracy) == 1
    assert float(loss) < 1e-3


def test_scores_beyond_float16_stay_finite() -> None:
    huge = torch.full((1, 4, 256), 100.0).half()
    loss, _ = info_nce(huge, huge)
    assert float(loss) == pytest.approx(float(torch.tensor(4.0).log()))


def test_one_pass_equals_two_with_the_same_masks(network, x) -> None:
    one = masked_patch_loss(network, x, (FIRST,))
    two = masked_patch_loss(network, x, (FIRST, FIRST))
    for name in ("total", "nce", "mse", "accuracy"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name


def test_two_masks_go_to_their_own_objectives(network, x) -> None:
    both = masked_patch_loss(network, x, (FIRST, SECOND), mse_weight=3.0)
    contrastive = masked_patch_loss(network, x, (FIRST,), "contrastive")
    generative = masked_patch_loss(network, x, (SECOND,), "generative")
    assert torch.equal(both.nce, contrastive.total)
    assert torch.equal(both.mse, generative.total)
    torch.testing.assert_close(both.total, contrastive.total + 3.0 * generative.total)
    assert contrastive.mse.isnan()
    assert generative.nce.isnan()


def test_the_generative_loss_is_the_mean_square_over_hidden_patches(network, x) -> None:
    drawn = network.gpredlayer(network.masked_tokens(x, SECOND))
    found = masked_patch_loss(network, x, (SECOND,), "generative").mse
    torch.testing.assert_close(found, F.mse_loss(drawn, network.masked_patches(x, SECOND)))


def test_every_weight_learns(network, x) -> None:
    masked_patch_loss(network, x, (FIRST,)).total.backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None]
    assert silent == []


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_residuals_that_double_stay_exact_in_half_precision(kind) -> None:
    # SSAMBA's pairs double the residual 12 times: beyond float16's 65504 from an input of 20. A
    # position table is float32 itself and would hide a residual in half precision.
    values = {"depth": 24, "layer_pairs": True, "norm": "layer", "final_norms": 2}
    values |= {"position_embedding": False, "class_token": "none", "pooling": "mean"}
    torch.manual_seed(0)
    network = MaskedPatchModel(
        MaskedPatchConfig(
            n_mels=32, n_frames=48, patch_size=(8, 8), d_model=16, d_state=4, **values
        )
    )
    x = 20 * torch.randn(2, 1, 32, 48, generator=torch.Generator().manual_seed(1))
    single = masked_patch_loss(network, x, (FIRST,))
    with torch.autocast("cpu", dtype=kind):
        half = masked_patch_loss(network, x, (FIRST,))
    assert half.total.dtype == torch.float32
    torch.testing.assert_close(half.mse, single.mse, rtol=0.02, atol=0.0)
    half.total.backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)
