from __future__ import annotations

import logging

import pytest
import torch

from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import halve, quantize
from aum_edge.errors import RecipeError
from aum_edge.training.config import TrainConfig
from aum_edge.training.distillation.config import DistillConfig
from aum_edge.training.distillation.ensemble import ensemble_logits, log_odds, teacher_ensemble
from aum_edge.training.distillation.setup import Distillation
from aum_edge.training.distillation.teacher_logits import teacher_key, teacher_logits
from aum_edge.training.fit import fit
from tests.small_run import LABELS, student, teacher
from tests.training.fine_tuning import settings
from tests.training.kinds import cnn


def test_classes_in_another_order_are_taken_by_name(data, tmp_path, caplog) -> None:
    turned = ("mid", "high", "low")
    model = cnn(turned).eval()
    with caplog.at_level(logging.INFO):
        found = teacher_logits([model], data, tmp_path)
    assert "another order" in caplog.text
    features = torch.from_numpy(data.arrays["train"].features[:5]).unsqueeze(1)
    own = model(features)
    for place, label in enumerate(LABELS):
        torch.testing.assert_close(found[:5, place], own[:, turned.index(label)])


def test_a_teacher_of_more_classes_answers_for_those_of_the_data(data, tmp_path, caplog) -> None:
    more = ("siren", "low", "mid", "bell", "high")
    model = cnn(more).eval()
    with caplog.at_level(logging.INFO):
        found = teacher_logits([model], data, tmp_path)
    assert "2 classes more" in caplog.text
    own = model(torch.from_numpy(data.arrays["train"].features[:5]).unsqueeze(1))
    torch.testing.assert_close(found[:5], own[:, [4, 1, 2]])


def test_a_teacher_that_does_not_know_a_class_is_refused_by_its_name(data, tmp_path) -> None:
    with pytest.raises(RecipeError, match="CPMobile does not know high, low; it"):
        teacher_logits([cnn(("a", "b", "mid"))], data, tmp_path)


def test_members_count_as_much_as_their_weights(data, tmp_path) -> None:
    first, second = student(1).eval(), teacher(2).eval()
    alone = [teacher_logits([model], data, tmp_path) for model in (first, second)]
    both = teacher_logits([first, second], data, tmp_path, weights=(3, 1))
    torch.testing.assert_close(both, 0.75 * alone[0] + 0.25 * alone[1])


@pytest.mark.parametrize(
    ("weights", "match"),
    [((1.0,), "2 teachers and 1 weights"), ((0.0, 0.0), "not all 0"), ((1.0, -1.0), "at least 0")],
)
def test_weights_that_do_not_fit_are_refused(weights, match) -> None:
    with pytest.raises(RecipeError, match=match):
        teacher_ensemble([student(1), student(2)], LABELS, weights)


def test_no_teacher_is_refused() -> None:
    with pytest.raises(RecipeError, match="at least one teacher"):
        teacher_ensemble([], LABELS)


def test_log_odds_give_a_sigmoid_the_probabilities_of_a_softmax() -> None:
    torch.manual_seed(0)
    logits = 8 * torch.randn(6, 4)
    torch.testing.assert_close(torch.sigmoid(log_odds(logits)), torch.softmax(logits, 1))


def test_kinds_of_probabilities_are_made_alike() -> None:
    torch.manual_seed(0)
    logits = torch.randn(4, 3)
    soft, bce = cnn(), cnn(activation="sigmoid")
    by_softmax, by_sigmoid = teacher_ensemble([soft, bce], LABELS)
    # A student of several labels learns each class's own probability, whoever teaches.
    torch.testing.assert_close(by_softmax.read(logits, "bce").sigmoid(), logits.softmax(1))
    torch.testing.assert_close(by_sigmoid.read(logits, "bce"), logits)
    # Exactly one class: of three coins with these odds, those throws that show one head.
    p = logits.sigmoid()
    ways = torch.stack([p[:, c] * (1 - p).prod(1) / (1 - p[:, c]) for c in range(3)], dim=1)
    exactly_one = ways / ways.sum(1, keepdim=True)
    torch.testing.assert_close(by_sigmoid.read(logits, "cross-entropy").softmax(1), exactly_one)
    mean = ensemble_logits([logits, logits + 1], (by_softmax, by_sigmoid))
    torch.testing.assert_close(mean, logits + 0.5)


def test_a_teacher_in_16_bit_answers_and_has_a_key_of_its_own(data, tmp_path) -> None:
    whole = student().eval()
    half = halve(whole).eval()
    assert teacher_key(whole) != teacher_key(half)
    torch.testing.assert_close(
        teacher_logits([half], data, tmp_path),
        teacher_logits([whole], data, tmp_path),
        rtol=0.05,
        atol=0.05,
    )


def test_the_same_weights_in_another_network_have_another_key() -> None:
    one, other = teacher(), teacher(norm_eps=1e-2)
    other.load_state_dict(one.state_dict())
    assert teacher_key(one) != teacher_key(other)


def test_a_teacher_smaller_than_its_student_is_told_with_both_sizes(data, tmp_path, caplog) -> None:
    big, small = student(d_model=24), student()
    sizes = [f"{sum(p.numel() for p in m.parameters()):,}" for m in (small, big)]
    setup = Distillation(config=DistillConfig(), teachers=(small.eval(),))
    with caplog.at_level(logging.WARNING):
        fit(big, data, settings(epochs=1), tmp_path, distillation=setup)
    line = next(record.message for record in caplog.records if "smaller" in record.message)
    assert sizes[0] in line
    assert sizes[1] in line


def test_a_teacher_worse_than_its_student_is_told(data, tmp_path, caplog) -> None:
    wrong = student().eval()
    with torch.no_grad():
        wrong.backbone.head.bias[0] += 100.0
    setup = Distillation(config=DistillConfig(kd_lambda=0.01), teachers=(wrong,))
    config = settings(epochs=8, lr=1e-2)
    with caplog.at_level(logging.INFO):
        result = fit(student(1), data, config, tmp_path / "a", distillation=setup)
        assert result.teacher_val == pytest.approx(1 / 3)
        assert "worse than what they teach" in caplog.text
        caplog.clear()
        good = Distillation(config=DistillConfig(), teachers=(result.model,))
        fit(student(2), data, settings(epochs=1, lr=1e-9), tmp_path / "b", distillation=good)
    assert "worse" not in caplog.text
    assert "of its teachers" in caplog.text


def test_a_teacher_of_several_labels_teaches_a_student_of_one(data, tmp_path) -> None:
    bce = cnn(activation="sigmoid")
    for loss in ("cross-entropy", "bce"):
        config: TrainConfig = settings(epochs=1, loss=loss)
        setup = Distillation(config=DistillConfig(), teachers=(bce, teacher()))
        result = fit(student(1), data, config, tmp_path / loss, distillation=setup)
        assert result.history[0]["train_loss"] > 0


def test_an_int8_teacher_teaches_logits_and_tokens(data, tmp_path) -> None:
    small = quantize(student(3).eval(), QuantizeConfig()).eval()
    for teaching in ("cached", "online"):
        config = DistillConfig(teaching=teaching, feature_weight=1.0)
        setup = Distillation(config=config, teachers=(small,))
        before = teacher_key(small)
        result = fit(student(1), data, settings(epochs=1), tmp_path / teaching, distillation=setup)
        assert result.history[0]["train_loss"] > 0
        assert teacher_key(small) == before
