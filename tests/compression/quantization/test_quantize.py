"""int8 weights: scales, sizes, what stays float, and how close the outputs remain."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.complexity.sizes import model_sizes
from aum_edge.compression.pruning.cost import int8_bytes
from aum_edge.compression.quantization.calibration import Calibration
from aum_edge.compression.quantization.config import QatConfig, QuantizeConfig
from aum_edge.compression.quantization.layout import layout_bytes, layout_of
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.compression.quantization.rounding import channel_scales, to_int8
from aum_edge.errors import CompressionError, RecipeError
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.models.config import AudioMambaConfig, CPMobileConfig
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.fold import fold_batch_norm
from aum_edge.models.quantized import QuantizedLayer
from aum_edge.models.registry import build
from aum_edge.models.storage.directory import payload_bytes, save
from aum_edge.models.student_config import MambaStudentConfig

FRONTEND = FrontEndConfig(
    sample_rate=8000, n_fft=256, win_length=256, hop_length=200, n_mels=32, clip_seconds=0.8
)
SHAPE = {"n_mels": 32, "n_frames": FRONTEND.n_frames}
SSD = MambaStudentConfig(n_classes=3, d_model=16, depth=2, d_state=4, head_dim=8, **SHAPE)
CONFIGS: dict[str, BackboneConfig] = {
    "ssd": SSD,
    "s6": replace(SSD, mixer="s6"),
    "ssd-causal": replace(SSD, bidirectional=False),
    "cp-mobile": CPMobileConfig(n_classes=3, base_channels=8, **SHAPE),
    "teacher": AudioMambaConfig(
        n_classes=3, d_model=16, depth=2, d_state=4, patch_size=(16, 8), **SHAPE
    ),
}


def classifier(name: str) -> AudioClassifier:
    torch.manual_seed(3)
    net = build(CONFIGS[name])
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = 0.1 * torch.randn_like(module.running_mean)
            module.running_var = 0.5 + torch.rand_like(module.running_var)
    return AudioClassifier(
        net,
        frontend=FRONTEND,
        normalization=Normalization(mean=-2.0, std=1.5),
        labels=("a", "b", "c"),
    ).eval()


def clips() -> torch.Tensor:
    torch.manual_seed(7)
    return -2 + 1.5 * torch.randn(6, 1, FRONTEND.n_mels, FRONTEND.n_frames)


@torch.no_grad()
def logits(model: AudioClassifier) -> torch.Tensor:
    return model(clips())


def sqnr(signal: Tensor, approximation: Tensor) -> float:
    """10 log10 of signal power over error power, dB."""
    noise = (signal.double() - approximation.double()).square().sum()
    power = signal.double().square().sum()
    return float(10 * torch.log10(power / noise)) if noise > 0 else float("inf")


@torch.no_grad()
def sqnr_report(model: AudioClassifier, quantized: AudioClassifier) -> dict[str, float]:
    """Signal to quantization noise of every stored tensor that changed, in dB; inf if exact.

    ``model`` is what ``quantized`` was made from; its batch norms are folded for the comparison.
    8 bit weights are usually between 35 and 50 dB; look at what is far below.
    """
    reference = fold_batch_norm(model).backbone.state_dict()
    report = {}
    for name, module in quantized.backbone.named_modules():
        if isinstance(module, QuantizedLayer):
            key = f"{name}.weight"
            report[key] = sqnr(reference[key], module.float_weight())
    stored = quantized.backbone.state_dict()
    for key in (quantized.quantization or {}).get("float16", ()):
        if key in reference:
            report[key] = sqnr(reference[key], stored[key])
    return report


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("method", ["max", "mse"])
def test_logits_stay_close(name: str, method: str) -> None:
    model = classifier(name)
    small = quantize(model, QuantizeConfig(method=method))
    noise = sqnr(logits(model), logits(small))
    assert 20 < noise < 90, "too far away, or not quantized at all"


@pytest.mark.parametrize("name", CONFIGS)
def test_saved_model_loads_to_the_same_numbers_and_the_bytes_foretold(
    name: str, tmp_path: Path
) -> None:
    model = classifier(name)
    small = quantize(model, QuantizeConfig())
    save(small, tmp_path / "small")
    again = load(tmp_path / "small")
    assert torch.equal(logits(small), logits(again))
    assert payload_bytes(small)[0] == int8_bytes(fold_batch_norm(model).backbone)


def test_float16_rounds_the_rest_but_not_the_decay_rates(tmp_path: Path) -> None:
    model = classifier("s6")
    full, half = (
        quantize(model, QuantizeConfig(float_dtype=kind)) for kind in ("float32", "float16")
    )
    assert payload_bytes(half)[0] < payload_bytes(full)[0]
    stored = half.backbone.state_dict()
    original = full.backbone.state_dict()
    rounded = set(half.quantization["float16"])
    assert "blocks.0.mixer.D" in rounded
    assert not any("A_log" in key or key.endswith("scale") for key in rounded)
    for key, value in stored.items():
        expected = original[key].half().float() if key in rounded else original[key]
        assert torch.equal(value, expected), key
    save(half, tmp_path / "half")
    assert torch.equal(logits(half), logits(load(tmp_path / "half")))


def test_the_original_is_left_alone() -> None:
    model = classifier("ssd")
    before = copy.deepcopy(model.state_dict())
    quantize(model, QuantizeConfig(float_dtype="float16"))
    assert model.quantization is None
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_max_scale_reaches_127_in_every_row_and_zero_rows_survive() -> None:
    weight = torch.randn(5, 3, 2)
    weight[2] = 0
    scale = channel_scales(weight, "max")
    codes = to_int8(weight, scale)
    top = codes.flatten(1).abs().amax(1)
    assert top.tolist() == [127, 127, 0, 127, 127]
    assert ((weight - codes * scale.view(-1, 1, 1)).abs() <= scale.view(-1, 1, 1) / 2 + 1e-7).all()


def test_mse_scale_is_never_worse_and_clips_a_useless_outlier() -> None:
    torch.manual_seed(0)
    weight = torch.randn(16, 4000)
    weight[3, 0] = 6.5

    def error(method: str) -> torch.Tensor:
        scale = channel_scales(weight, method)
        return (weight - to_int8(weight, scale) * scale[:, None]).square().sum(1)

    assert (error("mse") <= error("max")).all()
    assert error("mse")[3] < 0.98 * error("max")[3]
    assert channel_scales(weight, "mse")[3] < 0.98 * channel_scales(weight, "max")[3]


def test_skipped_layers_stay_float() -> None:
    small = quantize(classifier("ssd"), QuantizeConfig(skip=("head", "stem.*")))
    assert isinstance(small.backbone.head, nn.Linear)
    assert isinstance(small.backbone.stem.fold, nn.Conv2d)
    assert "blocks.0.mixer.in_proj" in small.quantization["layers"]
    assert "head" not in small.quantization["layers"]


def test_the_scan_stays_float() -> None:
    small = quantize(classifier("s6"), QuantizeConfig())
    kinds = {key: value.dtype for key, value in small.backbone.state_dict().items()}
    assert kinds["blocks.0.mixer.A_log"] == kinds["blocks.0.mixer.D"] == torch.float32
    assert kinds["blocks.0.mixer.x_proj.weight"] == torch.int8


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (QuantizeConfig(skip=("nothing.*",)), "matches no layer"),
        (QuantizeConfig(skip=("*",)), "nothing to quantize"),
    ],
)
def test_useless_requests_are_refused(config: QuantizeConfig, words: str) -> None:
    with pytest.raises(CompressionError, match=words):
        quantize(classifier("ssd"), config)


MIXED = {
    "half": QuantizeConfig(half=("stem.*", "head")),
    "half-scales": QuantizeConfig(scale_dtype="float16"),
    "all-small": QuantizeConfig(
        half=("*conv1d",), scale_dtype="float16", float_dtype="float16", activations="uint8"
    ),
    "float-inputs": QuantizeConfig(activations="uint8", float_inputs=("stem.*",), skip=("head",)),
}


def calibration() -> Calibration:
    return Calibration(clips(), rows=(1, 4, 5, 8, 9, 12))


@pytest.mark.parametrize(
    ("network", "kind"),
    [*((name, kind) for name in ("ssd", "s6") for kind in MIXED), ("cp-mobile", "half-scales")],
)
def test_mixed_models_store_what_was_foretold_and_reload_the_same(
    network: str, kind: str, tmp_path: Path
) -> None:
    model, config = classifier(network), MIXED[kind]
    small = quantize(model, config, calibration())
    folded = fold_batch_norm(model).backbone
    assert payload_bytes(small)[0] == layout_bytes(folded, layout_of(folded, config), config)
    save(small, tmp_path / "small")
    assert torch.equal(logits(small), logits(load(tmp_path / "small")))
    assert model_sizes(small).n_params == sum(p.numel() for p in folded.parameters())
    assert sum(payload_bytes(small)) == payload_of(tmp_path / "small")


def payload_of(folder: Path) -> int:
    with safe_open(folder / "model.safetensors", "pt") as file:
        tensors = [file.get_tensor(name) for name in file.keys()]
    return sum(t.numel() * t.element_size() for t in tensors)


def test_half_layers_hold_the_nearest_16_bit_weights() -> None:
    model = classifier("ssd")
    small = quantize(model, QuantizeConfig(half=("head",)))
    assert isinstance(small.backbone.head, nn.Linear)
    assert torch.equal(small.backbone.head.weight, model.backbone.head.weight.half().float())
    assert torch.equal(small.backbone.head.bias, model.backbone.head.bias)
    assert small.quantization["float16"] == ["head.weight"]
    with torch.no_grad():
        model.backbone.head.weight[0, 0] = 1e6
    with pytest.raises(CompressionError, match="float16"):
        quantize(model, QuantizeConfig(half=("head",)))


def test_rounded_inputs_change_the_answers_and_only_of_int8_layers() -> None:
    model = classifier("ssd")
    config = QuantizeConfig(activations="uint8", half=("head",), float_inputs=("stem.*",))
    small = quantize(model, config, calibration())
    assert not any(name.startswith(("stem", "head")) for name in small.quantization["inputs"])
    layer = small.backbone.get_submodule("blocks.0.mixer.in_proj")
    values = layer.rounded(torch.linspace(-9, 9, 5000))
    assert values.unique().numel() == 256
    assert 0.0 in values
    weights_alone = quantize(model, QuantizeConfig(half=("head",)))
    assert not torch.equal(logits(small), logits(weights_alone))
    assert sqnr(logits(model), logits(small)) > 15


def test_the_record_names_the_calibration_clips() -> None:
    small = quantize(classifier("ssd"), QuantizeConfig(activations="uint8"), calibration())
    kept = small.quantization["calibration"]
    assert kept == {"method": "mse", "split": "train", "clips": 6, "rows": [1, 4, 5, 8, 9, 12]}
    assert "blocks.0.mixer.out_proj" in small.quantization["inputs"]


def test_rounded_inputs_need_clips() -> None:
    with pytest.raises(CompressionError, match="calibration set"):
        quantize(classifier("ssd"), QuantizeConfig(activations="uint8"))


def test_codes_are_made_on_the_stored_half_scale() -> None:
    weight = 1e-3 * torch.randn(8, 64)
    scale = channel_scales(weight, "mse", "float16")
    assert torch.equal(scale, scale.half().float())
    assert (channel_scales(1e-9 * weight, "max", "float16") > 0).all()


def test_quantizing_twice_or_broken_weights_is_refused() -> None:
    model = classifier("ssd")
    with pytest.raises(CompressionError, match="already"):
        quantize(quantize(model, QuantizeConfig()), QuantizeConfig())
    model.backbone.head.weight.data[0, 0] = float("nan")
    with pytest.raises(CompressionError, match="head"):
        quantize(model, QuantizeConfig())


def test_wrong_settings_are_named() -> None:
    with pytest.raises(RecipeError, match="max or mse"):
        QuantizeConfig(method="best")
    with pytest.raises(RecipeError, match="float32 or float16"):
        QuantizeConfig(float_dtype="int4")
    with pytest.raises(RecipeError, match="listed, auto"):
        QuantizeConfig(keep_float="some")
    with pytest.raises(RecipeError, match="activations: uint8"):
        QuantizeConfig(float_inputs=("head",))
    with pytest.raises(RecipeError, match="freeze_epochs"):
        QatConfig(freeze_epochs=99)


def test_report_names_every_tensor_and_sees_a_damaged_one() -> None:
    model = classifier("ssd")
    small = quantize(model, QuantizeConfig(float_dtype="float16"))
    report = sqnr_report(model, small)
    assert {f"{name}.weight" for name in small.quantization["layers"]} <= report.keys()
    assert all(value > 30 for value in report.values())
    assert report["norm_f.weight"] > report["blocks.0.mixer.in_proj.weight"]
    layer = small.backbone.get_submodule("head")
    with torch.no_grad():
        layer.weight.copy_(-layer.weight)
    assert sqnr_report(model, small)["head.weight"] < 0
