"""Limits by year: data, each with its own way of counting."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from aum_edge.complexity.limits import Limits, get_limits, presets
from aum_edge.complexity.official import official
from aum_edge.complexity.report import analyse, analyse_module
from aum_edge.errors import RecipeError
from tests.small_run import student


def test_every_preset_names_its_rule() -> None:
    assert list(presets()) == [
        "dcase2021",
        "dcase2022",
        "dcase2023",
        "dcase2024",
        "dcase2025",
        "mlperf-tiny-kws",
        "none",
    ]
    assert presets()["dcase2021"].rule == "nonzero"
    assert presets()["dcase2022"].params == 128_000
    assert presets()["dcase2025"].param_bytes == 128_000


def half_zero() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)).eval()
    with torch.no_grad():
        network[0].weight[:2] = 0
        network[0].bias.fill_(1)
        network[1].bias.fill_(1)
    return network


def test_2021_counts_what_is_not_zero_and_batch_norm_statistics() -> None:
    network = half_zero()
    figures = official(
        "nonzero",
        network,
        (1, 1, 8, 8),
        dict(network.named_parameters()),
        dict(network.named_buffers()),
    )
    # 18 of 36 kernel weights, 4 + 4 + 4 of bias, gain and offset, 4 variances; means are zero.
    assert figures.param_bytes == 4 * (18 + 12 + 4)
    assert figures.macs is None


def test_2022_counts_parameters_whatever_their_type() -> None:
    result = analyse_module(half_zero().half(), (1, 1, 8, 8), get_limits("dcase2021"))
    assert result.to_dict()["official"]["macs"] is None
    values = analyse(student(), get_limits("dcase2022")).to_dict()
    assert values["limits"]["n_params"] == 128_000
    assert values["limits"]["param_bytes"] is None
    assert values["within_limits"] == {"exact": True, "official": True}


def test_what_is_over_says_by_how_much(tmp_path: Path) -> None:
    path = tmp_path / "board.yaml"
    path.write_text("macs: 1e3\nparams: 10\nrule: nessi\n")
    result = analyse(student(), get_limits(str(path)))
    over = result.to_dict()["over"]
    assert {(row["count"], row["what"]) for row in over} == {
        ("exact", "macs"),
        ("exact", "n_params"),
        ("official", "macs"),
        ("official", "n_params"),
    }
    assert all(row["value"] > row["limit"] for row in over)


def test_a_figure_that_is_limited_and_not_known_is_no_verdict() -> None:
    limits = get_limits("dcase2021")
    values = analyse(student(), limits).to_dict()
    assert values["within_limits"]["official"] is True
    assert values["official"]["macs"] is None


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True])
def test_a_limit_of_nothing_is_refused_in_python_too(value: float) -> None:
    with pytest.raises(RecipeError, match="`macs` must be a number above 0"):
        Limits(name="x", macs=value)


def test_limits_may_be_given_as_they_are() -> None:
    limits = Limits(name="board", params=5)
    assert get_limits(limits) is limits
    assert limits.figures == {"macs": None, "param_bytes": None, "n_params": 5}
    assert "over the board limits" in str(analyse(student(), limits))


def test_limits_and_verdict_are_read_without_torch() -> None:
    code = (
        "import sys\nfrom aum_edge.complexity.verdict import verdict_of\n"
        "from aum_edge.complexity.limits import get_limits\nget_limits('dcase2025')\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rule: thop", "`rule` must be one of torchinfo, nessi, nonzero"),
        ("mac: 3", "there is no `mac`"),
        ("macs: many", "must be a number above 0"),
        ("macs: -1", "must be a number above 0"),
        ("macs: 0", "must be a number above 0"),
        ("params: 0", "must be a number above 0"),
        ("param_bytes: .inf", "must be a number above 0"),
        ("clip_seconds: 0", "must be a number above 0"),
        ("macs: true", "must be a number above 0"),
        ("- 1", "must hold `key: value` lines"),
        ("a: [", "is not YAML"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "l.yaml").write_text(text)
    with pytest.raises(RecipeError, match=words):
        get_limits(str(tmp_path / "l.yaml"))
