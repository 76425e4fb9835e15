from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.complexity.limits import get_limits
from aum_edge.complexity.official import official_bytes, official_macs
from aum_edge.complexity.onnx.report import analyse_onnx
from aum_edge.complexity.render import markdown, text
from aum_edge.complexity.report import analyse
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import halve, quantize
from aum_edge.errors import RecipeError, UnsupportedOperatorError
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.presets import preset
from aum_edge.models.registry import build
from aum_edge.models.storage.directory import save
from tests.small_run import student

LIMITS = get_limits("dcase2025")


def full(name: str) -> AudioClassifier:
    config = preset(name, n_classes=10, n_mels=256, n_frames=65)
    return AudioClassifier(
        build(config),
        frontend=FrontEndConfig(),
        normalization=Normalization(mean=-1.0, std=2.0),
        labels=tuple("abcdefghij"),
    ).eval()


def test_cp_mobile_in_16_bit_has_the_published_official_figures() -> None:
    values = analyse(halve(full("cp-mobile")), LIMITS).to_dict()
    assert values["official"]["macs"] == 29_419_156
    assert values["official"]["param_bytes"] == 122_296
    assert values["exact"]["n_params"] == 61_148
    assert values["within_limits"] == {"exact": True, "official": True}


@pytest.mark.parametrize("name", ["student-ssd", "student-s6"])
def test_int8_students_are_inside_by_both_counts(name: str, tmp_path) -> None:
    small = quantize(full(name), QuantizeConfig())
    values = analyse(small, LIMITS).to_dict()
    assert values["within_limits"] == {"exact": True, "official": True}
    assert not values["unsupported"]
    save(small, tmp_path / "m")
    header = int.from_bytes((tmp_path / "m" / "model.safetensors").read_bytes()[:8], "little")
    payload = (tmp_path / "m" / "model.safetensors").stat().st_size - 8 - header
    assert values["exact"]["param_bytes"] + values["exact"]["buffer_bytes"] == payload


def test_the_official_count_misses_tokens_and_the_report_says_so() -> None:
    network = nn.Sequential(nn.Linear(64, 64))
    assert official_macs(network, (1, 50, 64)) == 4_160
    result = analyse(full("aum-mini"), LIMITS)
    assert any("official count sees" in line for line in result.warnings)


def test_official_bytes_refuses_types_that_the_script_refuses() -> None:
    assert official_bytes([torch.zeros(3), torch.zeros(3).half(), torch.zeros(3).char()]) == 21
    with pytest.raises(UnsupportedOperatorError, match="float64"):
        official_bytes([torch.zeros(1, dtype=torch.float64)])


def test_the_document_has_the_stable_keys() -> None:
    values = analyse(student(), LIMITS).to_dict()
    assert {"exact", "official", "limits", "within_limits", "input_shape", "layers"} <= set(values)
    assert {
        "macs",
        "macs_by_op",
        "special_functions",
        "n_params",
        "param_bytes",
        "buffer_bytes",
        "state_elements",
        "peak_activation_bytes",
    } <= set(values["exact"])
    json.dumps(values)
    assert sum(layer["macs"] for layer in values["layers"]) == values["exact"]["macs"]


def test_texts_show_both_counts() -> None:
    result = analyse(student(), LIMITS)
    for shown in (text(result), markdown(result)):
        assert "exact" in shown
        assert "official" in shown
        assert f"{result.counts.macs:,}" in shown


def test_limits_come_from_presets_or_a_file(tmp_path) -> None:
    path = tmp_path / "board.yaml"
    path.write_text("macs: 1000\nparam_bytes: 10\n")
    limits = get_limits(str(path))
    assert limits.name == "board"
    assert analyse(student(), limits).to_dict()["within_limits"]["exact"] is False
    assert analyse(student(), get_limits("none")).to_dict()["within_limits"]["exact"] is True


@pytest.mark.parametrize("text_", ["macs: many\n", "mac: 3\n", "- 1\n", "macs: -5\n"])
def test_wrong_limit_files_are_refused(tmp_path, text_: str) -> None:
    path = tmp_path / "l.yaml"
    path.write_text(text_)
    with pytest.raises(RecipeError):
        get_limits(str(path))


def test_unknown_limits_name_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="dcase2025"):
        get_limits("dcase1999")


@pytest.mark.slow
@pytest.mark.parametrize("mixer", ["ssd", "s6"])
def test_the_onnx_count_agrees_with_torch(mixer: str, tmp_path) -> None:
    # One direction: with two, the exported S6 graph computes delta*A and delta*u*B only once.
    model = student(mixer=mixer, bidirectional=False).eval()
    export_onnx(model, tmp_path / "m.onnx", ExportConfig(scan="scan"))
    from_onnx = analyse_onnx(tmp_path / "m.onnx", LIMITS)
    from_torch = analyse(model, LIMITS)
    assert from_onnx.counts.macs == from_torch.counts.macs
    assert not from_onnx.counts.unsupported
    assert from_onnx.n_params == from_torch.n_params


def test_a_file_that_is_no_onnx_is_refused(tmp_path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(UnsupportedOperatorError, match=r"x\.onnx"):
        analyse_onnx(tmp_path / "x.onnx", LIMITS)
