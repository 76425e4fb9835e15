"""Rounded inputs and mixed weights in ONNX: same numbers, honest parity, clips named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor

from aum_edge.compression.quantization.calibration import Calibration
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.errors import ParityError
from aum_edge.export.onnx import parity
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.export.onnx.export import export_onnx
from aum_edge.export.onnx.parity import check_parity
from aum_edge.models.classifier import AudioClassifier
from aum_edge.runtimes.onnx import OnnxClassifier

Make = Callable[[str], AudioClassifier]


@pytest.fixture(scope="module")
def rounded(
    classifier: Make, clips: Tensor, tmp_path_factory: pytest.TempPathFactory
) -> tuple[AudioClassifier, Path]:
    """An S6 student in four precisions, and its file."""
    config = QuantizeConfig(
        activations="uint8", half=("head",), skip=("stem.fold",), scale_dtype="float16"
    )
    small = quantize(classifier("s6"), config, Calibration(clips, rows=(2, 3, 5, 7, 11)))
    path = tmp_path_factory.mktemp("rounded") / "small.onnx"
    export_onnx(small, path, ExportConfig(scan="scan"), clips)
    return small, path


def test_the_file_rounds_as_the_model_does(
    rounded: tuple[AudioClassifier, Path], classifier: Make, clips: Tensor
) -> None:
    small, path = rounded
    off = (OnnxClassifier(path).logits(clips) - small(clips)).abs().amax(dim=1)
    assert off.median() < 1e-5
    assert (small(clips) - classifier("s6")(clips)).abs().median() > 1e-4
    stored = {t.name: t.data_type for t in onnx.load(path).graph.initializer}
    assert onnx.TensorProto.INT8 in stored.values()


def test_the_file_names_the_calibration_clips(rounded: tuple[AudioClassifier, Path]) -> None:
    props = {prop.key: prop.value for prop in onnx.load(rounded[1]).metadata_props}
    record = json.loads(props["quantization"])
    assert record["calibration"]["rows"] == [2, 3, 5, 7, 11]
    assert "head" not in record["inputs"]


def test_a_clip_that_fell_to_another_level_is_borne_and_more_is_not(
    rounded: tuple[AudioClassifier, Path], clips: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, path = rounded
    run = parity._run

    def shifted(by: float, first: int) -> Callable[[OnnxClassifier, Tensor], Tensor]:
        def answer(runner: OnnxClassifier, batch: Tensor) -> Tensor:
            logits = run(runner, batch).clone()
            if len(batch) == 5:
                logits[:first] += by
            return logits

        return answer

    monkeypatch.setattr(parity, "_run", shifted(0.1, 2))
    assert check_parity(small, OnnxClassifier(path), clips, 1e-4).max_abs_diff >= 0.09
    for by, first in ((0.9, 1), (0.1, 5)):
        monkeypatch.setattr(parity, "_run", shifted(by, first))
        with pytest.raises(ParityError, match="differs"):
            check_parity(small, OnnxClassifier(path), clips, 1e-4)


def test_models_with_float_inputs_are_held_to_every_clip(
    exported: Callable[[str], Any], clips: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = exported("s6")
    run = parity._run
    noise = torch.tensor([[0.1], [0.0], [0.0], [0.0], [0.0]])
    monkeypatch.setattr(
        parity, "_run", lambda runner, batch: run(runner, batch) + noise[: len(batch)]
    )
    with pytest.raises(ParityError, match="differs"):
        check_parity(plain.model, OnnxClassifier(plain.report.path), clips, 1e-4)
