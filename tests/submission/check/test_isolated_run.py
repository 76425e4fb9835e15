"""Broken packages, each in the way that the kit only prints or trips over."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
import soundfile
import torch
from torch import nn

from aum_edge.complexity.limits import Limits, get_limits
from aum_edge.submission.check.check import ISOLATED_RUN, _sounds, over_limits
from aum_edge.submission.check.isolated_run import SCENES, Inspection, official, weights

LIMITS = get_limits("dcase2025")


class Net(nn.Module):
    """Features (1, 4) to logits."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.float())


class Whole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = Net()


def inputs_of(files, device_ids, model):
    """Four numbers that differ by file."""
    made = []
    for path in files:
        wave = torch.from_numpy(soundfile.read(path)[0])
        made.append(torch.stack([x.std() for x in wave.chunk(4)])[None].float() * 10)
    return made


def package(**changes) -> types.SimpleNamespace:
    """A module that keeps every rule, with some functions changed."""

    def load_model(model_file_path=None):
        return Whole()

    def get_model_for_device(model, device_id):
        return model.model

    def load_inputs(file_paths, device_ids, model, num_workers=1, batch_size=1):
        return inputs_of(file_paths, device_ids, model)

    def predict(file_paths, device_ids, model_file_path=None, use_cuda=True, batch_size=64):
        model = Whole()
        rows = inputs_of(file_paths, device_ids, model)
        return [model.model(x)[0].detach() for x in rows], list(SCENES)

    return types.SimpleNamespace(
        **{
            "load_model": load_model,
            "get_model_for_device": get_model_for_device,
            "load_inputs": load_inputs,
            "predict": predict,
        }
        | changes
    )


@pytest.fixture
def look(tmp_path: Path, built, monkeypatch: pytest.MonkeyPatch):
    """Inspect a module and return its findings as lines, those about limits last."""
    root = tmp_path / "root"
    (root / "p" / "resources").mkdir(parents=True)
    dummy = built.out / "Muster_AUM_task1" / "resources" / "dummy.wav"
    (root / "p" / "resources" / "dummy.wav").write_bytes(dummy.read_bytes())
    sounds = _sounds(tmp_path / "sounds")

    def inspect(module, limits: Limits = LIMITS) -> list[str]:
        job = {"root": str(root), "package": "p", "index": 1, "sounds": sounds}
        monkeypatch.setitem(sys.modules, "p.p_1", module)
        inspection = Inspection(job)
        inspection.run()
        lines = [f"{row['level']} {row['what']}" for row in inspection.findings]
        found = {"per_device": inspection.per_device, "weights": inspection.weights}
        return lines + [f"{row.level} {row.what}" for row in over_limits("p_1", found, limits)]

    return inspect


def test_a_package_that_keeps_the_rules_passes(look) -> None:
    assert look(package()) == []


def two_logits(*given, **named):
    return [torch.zeros(2) for _ in named["file_paths"]], list(SCENES)


def wrong_order(*given, **named):
    rows, _ = package().predict(**named)
    return rows, SCENES[::-1]


def sorted_files(*given, **named):
    named["file_paths"] = sorted(named["file_paths"])
    return package().predict(**named)


def other_model(*given, **named):
    rows, order = package().predict(**named)
    return [row + 1 for row in rows], order


def nan_logits(*given, **named):
    rows, order = package().predict(**named)
    return [row * float("nan") for row in rows], order


def only_known(model, device_id):
    return {"a": model.model}[device_id]


class Wide(Whole):
    def __init__(self) -> None:
        super().__init__()
        self.model.spare = nn.Parameter(torch.zeros(2, dtype=torch.float64))


class Bare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = Net()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"predict": lambda file_paths, device_ids, model_file_path=None: 1}, "error .*`use_cuda`"),
        ({"load_inputs": None}, "error .*no function `load_inputs`"),
        ({"load_model": lambda model_file_path=None: Bare()}, r"error .*no `\.model`"),
        ({"load_model": lambda model_file_path=None: Wide()}, "error .*refuses .*float64"),
        ({"get_model_for_device": only_known}, "error .*'unknown'.* fails with KeyError"),
        ({"predict": two_logits}, "error .*10 logits for each file"),
        ({"predict": wrong_order}, "error .*class order"),
        ({"predict": sorted_files}, "error .*does not keep the order"),
        ({"predict": other_model}, "error .*what is counted is not what predicts"),
        ({"predict": nan_logits}, "error .*NaN"),
        (
            {"load_inputs": lambda file_paths, device_ids, model: [torch.ones(1, 4).long()] * 18},
            "error .*float tensors, got torch.int64",
        ),
        (
            {"load_inputs": lambda file_paths, device_ids, model: [torch.ones(4, 4)] * 18},
            "error .*batch of 1",
        ),
        ({"load_inputs": lambda file_paths, device_ids, model: []}, "error .*one a file"),
    ],
)
def test_each_broken_rule_is_an_error(look, changes: dict, why: str) -> None:
    functions = {
        name: (
            lambda f: (
                lambda file_paths, device_ids, model_file_path=None, use_cuda=True: f(
                    file_paths=file_paths, device_ids=device_ids
                )
            )
        )(work)
        if work in (two_logits, wrong_order, sorted_files, other_model, nan_logits)
        else work
        for name, work in changes.items()
    }
    lines = look(package(**functions))
    assert any(re.match(why, line) for line in lines), lines


def test_each_device_over_a_limit_is_named(look) -> None:
    class Two(Whole):
        def __init__(self) -> None:
            super().__init__()
            self.large = Net()
            self.large.spare = nn.Parameter(torch.zeros(40_000))

    lines = look(
        package(
            load_model=lambda model_file_path=None: Two(),
            get_model_for_device=lambda model, device_id: (
                model.large if device_id == "s2" else model.model
            ),
        )
    )
    over = [line for line in lines if line.startswith("over")]
    assert over == [
        "over p_1: device s2 is over the dcase2025 limits by the official count: "
        "50 of 30,000,000 MACs; 160,200 of 128,000 bytes, 25.2 % too many"
    ]


@pytest.mark.parametrize(
    ("limits", "over"),
    [
        (Limits(name="x", macs=10), 13),
        (Limits(name="x", macs=50), 0),
        (Limits(name="x", params=49), 13),
        (Limits(name="x", params=50), 0),
        (Limits(name="x", param_bytes=199, rule="nonzero"), 13),
        (Limits(name="x", param_bytes=200, rule="nonzero"), 0),
    ],
)
def test_every_kind_of_limit_is_checked(look, limits: Limits, over: int) -> None:
    assert sum(line.startswith("over") for line in look(package(), limits)) == over


def test_weights_that_are_zero_are_left_out_by_the_rule_of_2021() -> None:
    network = Net()
    network.norm = nn.BatchNorm1d(3)
    with torch.no_grad():
        network.head.weight[:5] = 0
    # 20 weights and 10 biases; gains and variances of three channels; offsets and means are 0.
    assert weights(network) == {"n_params": 56, "nonzero_bytes": 4 * (20 + 10 + 3 + 3)}


def test_bytes_are_counted_by_type() -> None:
    network = Net()
    network.small = nn.Parameter(torch.zeros(100, dtype=torch.int8), requires_grad=False)
    network.two_bytes = nn.Parameter(torch.zeros(100, dtype=torch.float16))
    network.register_buffer("buffer", torch.zeros(1000))
    macs, size, refused = official(network, (1, 4))
    assert (macs, size, refused) == (50, 200 + 100 + 200, "")


def test_aum_edge_is_out_of_reach_in_the_fresh_process(tmp_path: Path) -> None:
    home = tmp_path / "Muster_AUM_task1"
    home.mkdir()
    (home / "__init__.py").touch()
    (home / "Muster_AUM_task1_1.py").write_text("import aum_edge\n")
    answer = tmp_path / "answer.json"
    job = {"root": str(tmp_path), "package": "Muster_AUM_task1", "index": 1, "sounds": [],
           "allow": False, "answer": str(answer)}  # fmt: skip
    (tmp_path / "job.json").write_text(json.dumps(job))
    subprocess.run(
        [sys.executable, "-I", str(ISOLATED_RUN), str(tmp_path / "job.json")], check=True
    )
    (finding,) = json.loads(answer.read_text())["findings"]
    assert "imports aum_edge, which others do not have" in finding["what"]
