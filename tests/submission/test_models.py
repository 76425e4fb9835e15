from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aum_edge.complexity.limits import get_limits
from aum_edge.complexity.report import analyse
from aum_edge.errors import BudgetError, CheckpointError
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
    with pytest.raises(BudgetError, match=f"`{largest.name}` has .* bytes") as caught:
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
    assert len(lines) == 1
    assert "over it by the exact one" in lines[0]
