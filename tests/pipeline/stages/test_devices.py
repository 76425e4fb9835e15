"""The second stage: a model for each device, chosen on validation clips, scored by device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aum_edge.audio.wav import write_wav
from aum_edge.complexity.limits import get_limits
from aum_edge.compression.quantization.quantize import halve, quantize
from aum_edge.core.files import write_json
from aum_edge.data.config import DataConfig
from aum_edge.data.features.npy import ArrayRows
from aum_edge.data.subset import device_data
from aum_edge.errors import DataError, RecipeError
from aum_edge.models.classifier import load
from aum_edge.models.storage.directory import save
from aum_edge.pipeline.recipe import Recipe
from aum_edge.pipeline.run import Run
from aum_edge.pipeline.stages import devices as stage
from aum_edge.pipeline.stages.device_report import device_report
from aum_edge.pipeline.stages.devices import tune_devices
from aum_edge.training.config import TrainConfig
from aum_edge.training.device_finetuning import DevicesConfig
from aum_edge.training.metrics.by_device import device_groups, device_scores
from aum_edge.training.metrics.classification import evaluate, predict_logits
from tests.small_run import FRONTEND, PITCH, RATE, student

TRAIN = TrainConfig(epochs=2, batch_size=8, lr=1e-3, keep="last")


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """Tones by two trained devices and, in the test split, by one more."""
    root = tmp_path_factory.mktemp("devices")
    rng = np.random.default_rng(0)
    lines = ["path,label,split,device"]
    time = np.arange(RATE) / RATE
    for split, count in (("train", 8), ("val", 4), ("test", 3)):
        for device in ("a", "s1", "s4") if split == "test" else ("a", "s1"):
            for label, pitch in PITCH.items():
                for number in range(count):
                    tone = np.sin(2 * np.pi * pitch * rng.uniform(0.9, 1.1) * time)
                    sound = 0.2 * tone + 0.1 * rng.standard_normal(RATE)
                    name = f"{split}-{device}-{label}-{number}.wav"
                    write_wav(root / name, sound, RATE, bits=16)
                    lines.append(f"{name},{label},{split},{device}")
    (root / "table.csv").write_text("\n".join(lines) + "\n")
    return root / "table.csv"


def make_run(table: Path, out: Path, **devices) -> Run:
    """A run whose general models are there already."""
    settings = DevicesConfig(**({"names": ("a", "s1"), "train": TRAIN} | devices))
    recipe = Recipe(
        name="x",
        data=DataConfig.of("manifest", table),
        frontend=FRONTEND,
        devices=settings,
    )
    run = Run(recipe=recipe, out=out, cache_dir=table.parent / "cache")
    model = student()
    save(model, out / "prune" / "model")
    save(quantize(model, recipe.quantize, None), out / "quantize" / "model")
    save(halve(model), out / "control" / "model")
    facts = {"devices": {"train": ["a", "s1"]}}
    write_json(out / "data" / "stage.json", {"result": facts})
    return run


def test_every_device_gets_a_model_in_the_general_ones_format(table, tmp_path):
    run = make_run(table, tmp_path, choose="tuned", control=True)
    result = tune_devices(run, run.folder("devices"))
    general = load(tmp_path / "quantize" / "model")
    for device in ("a", "s1"):
        model = load(tmp_path / "devices" / device / "model")
        assert model.quantization["layers"] == general.quantization["layers"]
        assert not torch.equal(predict_one(model), predict_one(general))
        assert f"fine-tune on device {device}" in [step["step"] for step in model.lineage]
        half = load(tmp_path / "devices" / "control" / device / "model")
        assert half.quantization["bits"] == 16
        assert result["models"][device]["kept"] == "tuned"
        assert result["models"][device]["train_clips"] == 24
    assert result["specific"]["overall"]["n"] == 27


def predict_one(model) -> torch.Tensor:
    features = torch.linspace(-8, 0, FRONTEND.n_mels * FRONTEND.n_frames)
    return model(features.reshape(1, 1, FRONTEND.n_mels, FRONTEND.n_frames))


def test_each_test_clip_is_answered_by_its_devices_model_and_unknown_ones_by_the_general(
    table, tmp_path
):
    run = make_run(table, tmp_path, names=("a",), choose="tuned")
    result = tune_devices(run, run.folder("devices"))
    arrays = run.data.arrays["test"]
    general, own = (load(tmp_path / p / "model") for p in ("quantize", "devices/a"))
    logits = predict_logits(general, arrays.features)
    rows = arrays.device_rows("a")
    logits[rows] = predict_logits(own, arrays.features)[rows]
    wanted = device_scores(logits, arrays, run.data.labels, "softmax")
    for device in ("a", "s1", "s4"):
        assert result["specific"]["devices"][device] == pytest.approx(wanted[device], abs=1e-6)
    for device in ("s1", "s4"):
        assert result["specific"]["devices"][device] == result["general"]["devices"][device]
    assert set(result["general"]["groups"]) == {"real", "seen simulated", "unseen"}
    alone = evaluate(general, arrays, run.data.labels).to_dict()
    assert result["general"]["overall"] == alone


def test_a_device_keeps_the_general_model_where_tuning_does_not_pay(table, tmp_path):
    ruin = replace(TRAIN, lr=30.0, gradient_clip=0.0, epochs=1)
    run = make_run(table, tmp_path, names=("a",), train=ruin)
    (tmp_path / "prune").rename(tmp_path / "old")
    good = student(seed=1)
    save(good, tmp_path / "prune" / "model")
    result = tune_devices(run, run.folder("devices"))
    marks = result["models"]["a"]["val"]
    better = marks["tuned"]["macro_accuracy"] > marks["general"]["macro_accuracy"]
    assert (result["models"]["a"]["kept"] == "tuned") == better
    run = make_run(table, tmp_path / "few", names=("a",), min_clips=25)
    kept = tune_devices(run, run.folder("devices"))
    assert kept["models"]["a"]["kept"] == "general"
    assert kept["general"] == kept["specific"]


def test_test_clips_choose_nothing(table, tmp_path, monkeypatch):
    seen = []
    real = stage._mark
    monkeypatch.setattr(
        stage,
        "_mark",
        lambda model, data: seen.append(data.arrays["val"].clips) or real(model, data),
    )
    run = make_run(table, tmp_path, names=("s1",))
    tune_devices(run, run.folder("devices"))
    assert seen
    assert {clip.split for clips in seen for clip in clips} == {"val"}
    assert {clip.device for clips in seen for clip in clips} == {"s1"}


def test_a_stopped_stage_keeps_the_devices_that_are_done(table, tmp_path, monkeypatch):
    run = make_run(table, tmp_path, choose="tuned")
    first = tune_devices(run, run.folder("devices"))
    monkeypatch.setattr(stage, "fit", lambda *a, **k: pytest.fail("trained again"))
    assert tune_devices(run, run.folder("devices")) == first


def test_no_names_is_no_work_and_all_is_every_trained_device(table, tmp_path):
    run = make_run(table, tmp_path, names=())
    assert tune_devices(run, run.folder("devices")) == {"names": []}
    assert device_report(run, get_limits("dcase2025")) is None
    run = make_run(table, tmp_path / "all", names=("all",), min_clips=99)
    assert tune_devices(run, run.folder("devices"))["names"] == ["a", "s1"]


def test_facts_name_cost_and_verdict_of_every_device(table, tmp_path):
    run = make_run(table, tmp_path, names=("a",), control=True, choose="tuned")
    result = tune_devices(run, run.folder("devices"))
    write_json(tmp_path / "devices" / "stage.json", {"result": result})
    facts = device_report(run, get_limits("dcase2025"))
    mine, control = facts["families"]
    assert [row["device"] for row in mine["devices"]] == ["a", "s1", "s4"]
    assert [row["group"] for row in mine["devices"]] == ["real", "seen simulated", "unseen"]
    assert mine["within"]
    own, base = mine["devices"][0]["complexity"], mine["general_complexity"]
    assert own["exact"] == base["exact"]
    assert control["devices"][0]["complexity"]["official"]["param_bytes"] > 0


def test_a_device_that_nobody_trained_on_is_named(table, tmp_path):
    run = make_run(table, tmp_path)
    with pytest.raises(DataError, match=r"device `c`; there are a, s1"):
        device_data(run.data, "c")


def test_device_data_are_views_of_the_same_arrays(table, tmp_path):
    run = make_run(table, tmp_path)
    part = device_data(run.data, "s1", waveforms=True)
    train = part.arrays["train"]
    assert isinstance(train.features, ArrayRows)
    assert set(train.devices) == {"s1"}
    rows = run.data.arrays["train"].device_rows("s1")
    np.testing.assert_array_equal(train.features[:3], run.data.arrays["train"].features[rows[:3]])
    assert train.waveforms[np.array([1, 0])].shape == (2, RATE)
    assert part.fingerprint != run.data.fingerprint
    assert len(part.arrays["test"]) == len(run.data.arrays["test"])


def test_groups_follow_the_challenge():
    tested = ["a", "b", "c", "s1", "s3", "s4", "s6", "d", ""]
    assert device_groups(tested, {"a", "b", "c", "s1", "s2", "s3"}) == {
        "real": ["a", "b", "c"],
        "seen simulated": ["s1", "s3"],
        "unseen": ["d", "s4", "s6"],
    }


@pytest.mark.parametrize("names", [("a", "a"), ("all", "a")])
def test_names_come_once(names):
    with pytest.raises(RecipeError, match="each device once"):
        DevicesConfig(names=names)
