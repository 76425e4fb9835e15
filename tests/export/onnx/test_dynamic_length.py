"""Files that take any number of frames give torch's logits for each of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from aum_edge.errors import ExportError
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.classifier import AudioClassifier
from aum_edge.runtimes.onnx import OnnxClassifier

OPEN = ExportConfig(dynamic_length=True)


@pytest.mark.parametrize("kind", ["ssd", "s6", "cp"])
def test_any_number_of_frames(
    kind: str, classifier: Callable[[str], AudioClassifier], tmp_path: Path
) -> None:
    model = classifier(kind)
    path = tmp_path / "m.onnx"
    report = export_onnx(model, path, OPEN)
    assert report.scan == ("scan" if kind == "s6" else "none")
    runner = OnnxClassifier(path)
    assert runner.metadata["dynamic_length"] is True
    for frames in (1, 2, 4, 5, 17, 18, 300):
        clips = 2.5 * torch.randn(2, 1, 32, frames) - 4
        with torch.inference_mode():
            torch.testing.assert_close(runner.logits(clips), model(clips), atol=1e-4, rtol=1e-4)
    with pytest.raises(ExportError, match=r"\(batch, 1, 32, frames\), none of them 0"):
        runner.logits(np.zeros((1, 1, 32, 0), dtype=np.float32))
    with pytest.raises(ExportError, match="takes features"):
        runner.logits(np.zeros((1, 1, 31, 17), dtype=np.float32))


def test_a_network_with_a_place_for_each_patch_says_no(
    classifier: Callable[[str], AudioClassifier], tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match="one number of frames"):
        export_onnx(classifier("aum"), tmp_path / "m.onnx", OPEN)


def test_masks_are_no_tables(exported: Callable[[str], Any]) -> None:
    """17 frames make 5 tokens: two masks of 25 floats, were they stored."""
    stored = onnx.load(exported("ssd").report.path).graph.initializer
    assert not [t.name for t in stored if list(t.dims)[-2:] == [5, 5] and len(t.dims) == 4]
    assert any(t.name == "places_5" for t in stored)
