"""QAT: what learns, what freezes, and that the stored model is the trained one to the bit."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from aum_edge.compression.quantization import fake_quant
from aum_edge.compression.quantization.calibration import Calibration, draw
from aum_edge.compression.quantization.config import QatConfig, QuantizeConfig
from aum_edge.compression.quantization.fake_quant import RoundedInput, RoundedWeight
from aum_edge.compression.quantization.layout import layout_of
from aum_edge.compression.quantization.qat import train_quantized
from aum_edge.compression.quantization.quantize import Grids, find_grids, prepared, quantize, store
from aum_edge.data.config import DataConfig
from aum_edge.data.datamodule import AudioData
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.models.storage.directory import payload_bytes, save
from aum_edge.training.config import TrainConfig, TrainerConfig
from aum_edge.training.task import ClassificationTask
from tests.small_run import FRONTEND, student, tones


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AudioData:
    root = tones(tmp_path_factory.mktemp("tones"))
    config = DataConfig.of("folder", root)
    made = AudioData(config, FRONTEND, cache_dir=root / "cache", batch_size=12)
    made.prepare_data()
    return made


def clips(data: AudioData) -> Calibration:
    return draw(data.arrays["train"].features, data.arrays["train"].labels, 12, 0)


def settings(freeze: int = 1, **fields) -> QuantizeConfig:
    train = TrainConfig(epochs=3, batch_size=12, lr=5e-3, weight_decay=0.0, monitor="loss")
    values = {"activations": "uint8", "scale_dtype": "float16"} | fields
    return QuantizeConfig(**values, qat=QatConfig(train=train, freeze_epochs=freeze))


def attached(data: AudioData, limit: int = 100) -> tuple[AudioClassifier, AudioClassifier]:
    """A folded student, and a copy that rounds."""
    folded = prepared(student().eval())
    config = settings()
    layout = layout_of(folded.backbone, config)
    grids = find_grids(folded, layout, config, clips(data))
    rounding = copy.deepcopy(folded)
    fake_quant.attach(rounding.backbone, grids.scales, grids.inputs, config.scale_dtype, limit)
    return folded, rounding


def stored(folded: AudioClassifier, rounding: AudioClassifier, data: AudioData) -> AudioClassifier:
    floats, scales, inputs = fake_quant.learned(rounding.backbone)
    plain = copy.deepcopy(folded)
    plain.backbone.load_state_dict(floats)
    config = settings()
    layout = layout_of(plain.backbone, config)
    return store(plain, layout, Grids(scales, inputs), config, clips(data))


def test_the_stored_model_answers_as_the_trained_one(data: AudioData) -> None:
    folded, rounding = attached(data)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in rounding.backbone.parameters():
            parameter += 0.03 * torch.randn_like(parameter)
    features = clips(data).features
    rounding.eval()
    small = stored(folded, rounding, data)
    assert torch.equal(small(features), rounding(features))
    assert not torch.equal(small(features), folded(features))


def test_weights_scales_and_grids_have_gradients_until_they_freeze(data: AudioData) -> None:
    _, rounding = attached(data, limit=1)
    rounding.train()
    features, labels = clips(data).features, clips(data).labels
    for learns in (True, False):
        rounding.zero_grad()
        nn.functional.cross_entropy(rounding(features), labels).backward()
        kinds = {"scale": [], "weight": []}
        for name, parameter in rounding.backbone.named_parameters():
            grid = name.endswith(("log_scale", ".low"))
            kinds["scale" if grid else "weight"].append(parameter.grad is not None)
        assert all(kinds["weight"])
        assert set(kinds["scale"]) == {learns}


def test_validation_does_not_move_the_clock(data: AudioData) -> None:
    _, rounding = attached(data)
    rounding.eval()
    rounding(clips(data).features)
    clock = rounding.backbone.get_submodule("quantization_clock")
    assert clock.seen == 0
    with torch.no_grad():
        rounding.train()(clips(data).features)
    assert clock.seen == 0
    rounding(clips(data).features)
    assert clock.seen == 1


def test_the_step_has_the_gradient_of_the_paper() -> None:
    """d/ds round(w/s) s = round(w/s) - w/s inside, and 127 or -127 outside."""
    weight = torch.tensor([[0.3, -0.74, 200.0, -300.0]])
    rounded = RoundedWeight(torch.ones(1), "float32", [fake_quant.Clock(9)])
    rounded(weight).sum().backward()
    inside = (weight.round() - weight)[0, :2].sum()
    expected = (inside + 127 - 127) / (4 * 127) ** 0.5
    torch.testing.assert_close(rounded.log_scale.grad, expected.reshape(1))


def test_gradients_pass_the_rounding_inside_the_range_alone() -> None:
    rounded = RoundedInput(torch.tensor([0.1, 0.0]), [fake_quant.Clock(9)])
    x = torch.tensor([[-1.0, 0.33, 30.0]], requires_grad=True)
    y = rounded(x)
    torch.testing.assert_close(y, torch.tensor([[0.0, 0.3, 25.5]]))
    y.sum().backward()
    assert x.grad.tolist() == [[0, 1, 0]]


def test_training_ends_in_the_same_format_and_lowers_the_loss(
    data: AudioData, tmp_path: Path
) -> None:
    model = student().eval()
    before = copy.deepcopy(model.state_dict())
    config = settings()
    result = train_quantized(model, config, data, tmp_path / "fit", clips=clips(data))
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    plain = quantize(model, config, clips(data))
    assert payload_bytes(result.model) == payload_bytes(plain)
    assert result.model.quantization["layers"] == plain.quantization["layers"]
    assert result.model.quantization["training"] == "qat"
    assert result.model.quantization["calibration"]["rows"] == list(clips(data).rows)
    assert result.best_epoch > 0
    assert result.history[-1]["val_loss"] < result.history[0]["val_loss"]
    save(result.model, tmp_path / "model")
    features = clips(data).features
    assert torch.equal(load(tmp_path / "model")(features), result.model(features))


def test_a_killed_training_ends_as_an_uninterrupted_one(
    data: AudioData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(activations="float32")
    whole = train_quantized(student().eval(), config, data, tmp_path / "whole", clips=clips(data))
    step = ClassificationTask.training_step

    def killed(self, batch, batch_idx):
        if self.current_epoch == 2:
            raise SystemExit
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(ClassificationTask, "training_step", killed)
        with pytest.raises(SystemExit):
            train_quantized(student().eval(), config, data, tmp_path / "parts", clips=clips(data))
    again = train_quantized(student().eval(), config, data, tmp_path / "parts", clips=clips(data))
    features = clips(data).features
    assert torch.equal(again.model(features), whole.model(features))


def test_training_that_does_not_pay_leaves_the_rounded_model(
    data: AudioData, tmp_path: Path
) -> None:
    wild = TrainConfig(epochs=1, batch_size=12, lr=5.0, warmup=0.0, monitor="loss")
    config = QuantizeConfig(qat=QatConfig(train=wild, freeze_epochs=0))
    trained = student().eval()
    result = train_quantized(trained, config, data, tmp_path, clips=clips(data))
    assert result.best_epoch == 0
    features = clips(data).features
    assert torch.equal(result.model(features), quantize(trained, config)(features))
    assert "training" not in result.model.quantization


def test_what_cannot_be_trained_says_so(data: AudioData, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"quantize\.qat"):
        train_quantized(student(), QuantizeConfig(), data, tmp_path)
    several = TrainConfig(epochs=4, trainer=TrainerConfig(devices=2))
    config = QuantizeConfig(qat=QatConfig(train=several))
    with pytest.raises(RecipeError, match="find_unused"):
        train_quantized(student(), config, data, tmp_path)
    with pytest.raises(RecipeError, match="teachers, float, none"):
        QatConfig(distill="me")
