from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aum_edge.complexity.limits import get_limits, presets
from aum_edge.complexity.report import analyse
from aum_edge.errors import BudgetError, CheckpointError, RecipeError, UnsupportedOperatorError
from aum_edge.models.classifier import load
from aum_edge.models.storage.directory import save
from aum_edge.submission.config import SubmissionConfig
from aum_edge.submission.models import read_models, truth_warnings
from tests.submission.scene_models import LABEL, student


def test_figures_are_those_of_the_complexity_command(config: SubmissionConfig) -> None:
    limits = get_limits("dcase2025")
    for name, member in read_models(config).items():
        wanted = analyse(load(config.members[name]), limits)
        assert member.figures.macs == wanted.official.macs
        assert member.figures.param_bytes == wanted.official.param_bytes
        assert member.figures.exact_macs == wanted.counts.macs


def test_only_the_model_over_the_limit_is_named(config: SubmissionConfig, tmp_path: Path) -> None:
    limits = tmp_path / "tight.yaml"
    members = read_models(config)
    largest = max(members.values(), key=lambda member: member.figures.param_bytes)
    limits.write_text(f"param_bytes: {largest.figures.param_bytes - 1}\n")
    words = f"`{largest.name}` is over the tight limits by the official count: .* bytes"
    with pytest.raises(BudgetError, match=words) as caught:
        read_models(replace(config, limits=str(limits)))
    over, inside = str(caught.value).split("Inside:")
    assert over.count("% too many") == 1
    assert all(name in inside for name in members if name != largest.name)
    assert caught.value.exit_code == 3


def test_other_classes_are_refused_by_name(tmp_path: Path) -> None:
    save(student(labels=("a", "b", "park")), tmp_path / "m")
    with pytest.raises(CheckpointError, match="unknown: a, b") as caught:
        read_models(SubmissionConfig(label=LABEL, general=tmp_path / "m"))
    assert "lacking: airport" in str(caught.value)


def test_one_class_at_a_time_is_refused(tmp_path: Path) -> None:
    save(student(activation="sigmoid"), tmp_path / "m")
    with pytest.raises(CheckpointError, match="sigmoid"):
        read_models(SubmissionConfig(label=LABEL, general=tmp_path / "m"))


def test_inside_officially_and_over_in_truth_is_said(config: SubmissionConfig) -> None:
    members = read_models(config)
    general = members["general"].figures
    between = (general.macs + general.exact_macs) / 2
    lines = truth_warnings([members["general"]], replace(get_limits("dcase2025"), macs=between))
    assert len(lines) == 2
    assert "`general` is over the dcase2025 limits by the exact count" in lines[0]
    assert "`general` is inside the dcase2025 limits by the official count" in lines[1]


@pytest.mark.parametrize("name", [name for name in presets() if name != "none"])
def test_models_are_read_under_every_preset(config: SubmissionConfig, name: str) -> None:
    members = read_models(replace(config, limits=name))
    figures = members["general"].figures
    assert figures.verdict(get_limits(name)).inside
    assert figures.macs > 0
    assert ("exact count" in figures.counted_by) == (name == "dcase2021")


def test_more_parameters_than_2022_allows_are_named(
    config: SubmissionConfig, tmp_path: Path
) -> None:
    limits = tmp_path / "few.yaml"
    limits.write_text("params: 100\nrule: nessi\n")
    with pytest.raises(BudgetError, match=r"of 100 parameters, .* too many"):
        read_models(replace(config, limits=str(limits)))


def test_a_limit_that_the_official_count_does_not_give_is_refused(
    config: SubmissionConfig, tmp_path: Path
) -> None:
    limits = tmp_path / "odd.yaml"
    limits.write_text("macs: 30e6\nrule: nonzero\n")
    with pytest.raises(UnsupportedOperatorError, match="MACs not counted, limit 30,000,000"):
        read_models(replace(config, limits=str(limits)))


def test_unknown_limits_are_refused_before_a_model_is_read(config: SubmissionConfig) -> None:
    with pytest.raises(RecipeError, match="There are no limits `dcase1999`"):
        replace(config, limits="dcase1999")
