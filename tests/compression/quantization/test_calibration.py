"""Calibration: which clips, which ranges, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aum_edge.compression.quantization.calibration import (
    Calibration,
    draw,
    input_grids,
    input_samples,
)
from aum_edge.compression.quantization.config import CalibrationConfig
from aum_edge.compression.quantization.rounding import input_grid, input_range, rounded_input
from aum_edge.errors import CompressionError, RecipeError
from tests.small_run import FRONTEND, student


def features(count: int = 24) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.normal(-2, 3, (count, FRONTEND.n_mels, FRONTEND.n_frames)).astype(np.float32)


def test_draw_is_repeatable_and_says_which_rows() -> None:
    clips, labels = features(), np.arange(24)
    first, again = draw(clips, labels, 6, 0), draw(clips, labels, 6, 0)
    assert first.rows == again.rows == tuple(sorted(set(first.rows)))
    assert first.rows != draw(clips, labels, 6, 1).rows
    assert torch.equal(first.features[:, 0], torch.from_numpy(clips[list(first.rows)]))
    assert first.labels.tolist() == list(first.rows)
    assert first.record(CalibrationConfig())["rows"] == list(first.rows)


def test_draw_takes_all_when_there_are_fewer() -> None:
    assert draw(features(4), None, 100, 0).rows == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("clips", "words"),
    [
        (torch.zeros(0, 1, 16, 33), "empty"),
        (torch.full((4, 1, 16, 33), 1.5), "constant clips"),
        (torch.full((4, 1, 16, 33), torch.nan), "NaN"),
    ],
)
def test_useless_sets_are_refused_in_one_line(clips: torch.Tensor, words: str) -> None:
    with pytest.raises(CompressionError, match=words) as caught:
        Calibration(clips)
    assert "\n" not in str(caught.value)


def test_constant_activations_are_refused() -> None:
    model = student().eval()
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter.zero_()
    with pytest.raises(CompressionError, match="constant"):
        input_grids(model, ["blocks.0.mixer.out_proj"], draw(features(), None, 8, 0), SETTINGS)


SETTINGS = CalibrationConfig()


def test_samples_hold_the_extremes_of_every_layer() -> None:
    model = student().eval()
    clips = torch.from_numpy(features()).unsqueeze(1)
    seen: list[torch.Tensor] = []
    layer = model.backbone.get_submodule("stem.fold")
    layer.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        model(clips)
    inputs = seen[0]
    sample = input_samples(model, ["stem.fold"], clips)["stem.fold"]
    assert sample.min() == inputs.min()
    assert sample.max() == inputs.max()


def test_grids_hold_zero_and_their_ends() -> None:
    for low, high in ((-1.0, 3.0), (0.5, 2.0), (-4.0, -1.0)):
        grid = input_grid(low, high)
        assert rounded_input(torch.zeros(1), grid) == 0
        step = float(grid[0])
        assert abs(float(rounded_input(torch.tensor(high), grid)) - high) <= step
        assert 0 <= grid[1] <= 255


def test_methods_differ_where_there_is_an_outlier() -> None:
    torch.manual_seed(0)
    values = torch.cat([torch.randn(100_000), torch.tensor([40.0])])
    ends = {m: input_range(values, m, 99.9) for m in ("minmax", "percentile", "mse")}
    assert ends["minmax"][1] == 40
    assert 2.5 < ends["percentile"][1] < 4
    assert 4 < ends["mse"][1] < 40

    def error(method: str) -> float:
        return float((values - rounded_input(values, input_grid(*ends[method]))).square().mean())

    assert error("mse") < 0.9 * min(error("minmax"), error("percentile"))


def test_one_sided_values_use_all_levels() -> None:
    values = torch.rand(1000)
    low, high = input_range(values, "minmax", 100)
    assert low == 0
    assert input_grid(low, high)[1] == 0
    assert rounded_input(values, input_grid(low, high)).unique().numel() > 200


def test_wrong_settings_are_named() -> None:
    with pytest.raises(RecipeError, match="empty calibration set"):
        CalibrationConfig(clips=0)
    with pytest.raises(RecipeError, match="minmax, percentile, mse"):
        CalibrationConfig(method="entropy")
    with pytest.raises(RecipeError, match="percentile"):
        CalibrationConfig(percentile=30)
