from __future__ import annotations

import dataclasses

import pytest
import torch

from aum_edge.data.config import DataConfig
from aum_edge.data.datamodule import AudioData
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.distillation import teacher_logits as teacher_module
from aum_edge.training.distillation.teacher_logits import teacher_logits
from tests.small_run import FRONTEND, student, tones


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AudioData:
    root = tones(tmp_path_factory.mktemp("tones"), per_class=5)
    config = DataConfig.of("folder", root)
    data = AudioData(config, FRONTEND, cache_dir=tmp_path_factory.mktemp("cache"))
    data.setup()
    return data


def test_teacher_logits_are_the_mean_of_all_teachers(data, tmp_path) -> None:
    first, second = student(1).eval(), student(2).eval()
    both = teacher_logits([first, second], data, tmp_path)
    alone = [teacher_logits([model], data, tmp_path) for model in (first, second)]
    torch.testing.assert_close(both, (alone[0] + alone[1]) / 2)
    features = torch.from_numpy(data.arrays["train"].features[:3]).unsqueeze(1)
    torch.testing.assert_close(alone[0][:3], first(features), rtol=1e-4, atol=1e-5)


def test_teacher_logits_come_from_disk_the_second_time(data, tmp_path, monkeypatch) -> None:
    model = student().eval()
    first = teacher_logits([model], data, tmp_path)

    def refuse(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(teacher_module, "predict_logits", refuse)
    torch.testing.assert_close(teacher_logits([model], data, tmp_path), first)


def test_teacher_logits_are_new_when_the_teacher_changes(data, tmp_path) -> None:
    model = student().eval()
    first = teacher_logits([model], data, tmp_path)
    with torch.no_grad():
        model.backbone.head.bias[0] += 1
    second = teacher_logits([model], data, tmp_path)
    torch.testing.assert_close(second[:, 0], first[:, 0] + 1)


def test_teacher_logits_survive_a_damaged_file(data, tmp_path) -> None:
    model = student().eval()
    first = teacher_logits([model], data, tmp_path)
    path = next(tmp_path.glob("logits-*.safetensors"))
    path.write_bytes(path.read_bytes()[:40])
    torch.testing.assert_close(teacher_logits([model], data, tmp_path), first)


def test_teacher_hears_the_clips_through_its_own_front_end(data, tmp_path) -> None:
    base = student()
    other = dataclasses.replace(FRONTEND, log_offset=1e-3)
    teacher = AudioClassifier(
        base.backbone, frontend=other, normalization=base.normalization, labels=base.labels
    ).eval()
    through_own = teacher_logits([teacher], data, tmp_path)
    assert not torch.allclose(through_own, teacher_logits([base.eval()], data, tmp_path))


def test_teacher_with_other_labels_is_refused(data, tmp_path) -> None:
    base = student()
    foreign = AudioClassifier(
        base.backbone,
        frontend=FRONTEND,
        normalization=base.normalization,
        labels=("x", "y", "z"),
    )
    with pytest.raises(RecipeError, match="does not know high, low, mid"):
        teacher_logits([foreign], data, tmp_path)
