from __future__ import annotations

import dataclasses

import pytest
import torch

from aum_edge.audio.augment.config import AugmentConfig
from aum_edge.audio.augment.mixup import mix_rows
from aum_edge.audio.frontend import FrontEnd
from aum_edge.data.datamodule import AudioData
from aum_edge.errors import AumEdgeError, RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.batch import TrainBatch
from aum_edge.training.config import BatchConfig
from aum_edge.training.distillation.config import DistillConfig
from aum_edge.training.distillation.setup import Distillation
from aum_edge.training.distillation.targets import LiveTargets
from aum_edge.training.distillation.teacher_logits import teacher_logits
from aum_edge.training.distillation.view_cache import ViewCache
from aum_edge.training.fit import fit
from aum_edge.training.losses import soften
from aum_edge.training.task import ClassificationTask
from tests.small_run import FRONTEND, student, teacher
from tests.training.fine_tuning import settings, weights
from tests.training.killing import fit_in_two_parts

VARIED = AugmentConfig(roll_seconds=0.1, mixstyle_p=0.5, freq_mask=3, mixup_p=0.7)
WAVES = dataclasses.replace(VARIED, ir_p=0.5, waveform_mixup_p=0.5)
VIEWS = DistillConfig(teaching="views", views=2, kd_lambda=0.5)
ONLINE = DistillConfig(teaching="online", kd_lambda=0.5)
WITH_TOKENS = {"feature_weight": 1.0}


@pytest.fixture
def steps(monkeypatch) -> list[tuple[int, TrainBatch, torch.Tensor]]:
    """Epoch, batch and soft targets of every step."""
    seen = []
    targets_for = LiveTargets.targets_for
    start = LiveTargets.start
    epochs = []

    def started(self, epoch, *place):
        epochs.append(epoch)
        start(self, epoch, *place)

    def watched(self, batch):
        answer = targets_for(self, batch)
        seen.append((epochs[-1], batch, answer.soft))
        return answer

    monkeypatch.setattr(LiveTargets, "start", started)
    monkeypatch.setattr(LiveTargets, "targets_for", watched)
    return seen


@pytest.fixture
def corpus(data, tmp_path) -> AudioData:
    """The tones with a cache folder of this test alone for answers."""
    own = data.derive(batch_size=12)
    own.cache_dir = tmp_path / "answers"
    return own


def files(corpus: AudioData) -> list[str]:
    return sorted(path.name for path in corpus.cache_dir.glob("views-*"))


@pytest.mark.parametrize("config", [VIEWS, ONLINE], ids=["views", "online"])
def test_soft_targets_are_of_exactly_the_students_batches(corpus, tmp_path, steps, config) -> None:
    guide = teacher(5)
    setup = Distillation(config=config, teachers=(guide,))
    train = settings(epochs=5, augment=VARIED)
    fit(student(), corpus, train, tmp_path, seed=2, distillation=setup)
    assert {epoch for epoch, _, _ in steps} == set(range(5))
    for _, batch, soft in steps:
        answer = guide.eval()(batch.features)
        torch.testing.assert_close(soft, soften(answer, config.temperature, "cross-entropy"))


def test_epochs_come_again_after_as_many_as_there_are_views(corpus, tmp_path, steps) -> None:
    setup = Distillation(config=VIEWS, teachers=(teacher(5),))
    fit(student(), corpus, settings(epochs=4, augment=VARIED), tmp_path, distillation=setup)
    by_epoch = [
        torch.cat([batch.features for at, batch, _ in steps if at == epoch]) for epoch in range(4)
    ]
    torch.testing.assert_close(by_epoch[2], by_epoch[0], rtol=0, atol=0)
    torch.testing.assert_close(by_epoch[3], by_epoch[1], rtol=0, atol=0)
    assert not torch.equal(by_epoch[1], by_epoch[0])


def test_online_epochs_never_come_again(corpus, tmp_path, steps) -> None:
    setup = Distillation(config=ONLINE, teachers=(teacher(5),))
    fit(student(), corpus, settings(epochs=3, augment=VARIED), tmp_path, distillation=setup)
    firsts = [next(batch.features for at, batch, _ in steps if at == e) for e in range(3)]
    assert not torch.equal(firsts[0], firsts[2])
    assert files(corpus) == []


def test_views_are_answered_once_and_kept(corpus, tmp_path, monkeypatch) -> None:
    asked = []
    ask = LiveTargets._run_teachers
    monkeypatch.setattr(LiveTargets, "_run_teachers", lambda *a: asked.append(1) or ask(*a))
    setup = Distillation(config=VIEWS, teachers=(teacher(5),))
    train = settings(epochs=5, augment=VARIED)
    first = fit(student(), corpus, train, tmp_path / "a", distillation=setup)
    assert len(asked) == 2 * 3
    assert len(files(corpus)) == 2
    # Another student of the same training finds all answers, and learns the same from them.
    second = fit(student(), corpus, train, tmp_path / "b", distillation=setup)
    assert len(asked) == 2 * 3
    torch.testing.assert_close(weights(first.model), weights(second.model), rtol=0, atol=0)
    # Another teacher, seed or augmentation asks anew.
    for options in (
        {"distillation": Distillation(config=VIEWS, teachers=(teacher(6),))},
        {"distillation": setup, "seed": 9},
    ):
        before = len(asked)
        fit(
            student(), corpus, settings(epochs=1, augment=VARIED), tmp_path / f"{before}", **options
        )
        assert len(asked) == before + 3
    before = len(asked)
    fit(student(), corpus, settings(epochs=1), tmp_path / "plain", distillation=setup)
    assert len(asked) == before + 3


@pytest.mark.parametrize(
    ("config", "fields", "augment", "epoch"),
    [
        # Killed while a view is seen for the first time, and when it comes again.
        (VIEWS, WITH_TOKENS, WAVES, 1),
        (VIEWS, {}, VARIED, 2),
        (ONLINE, WITH_TOKENS, VARIED, 1),
    ],
    ids=["views-tokens-waveforms", "views-logits-features", "online-tokens-features"],
)
def test_a_training_with_live_teachers_resumes_byte_by_byte(
    corpus, tmp_path, config, fields, augment, epoch
) -> None:
    config = dataclasses.replace(config, **fields)
    setup = Distillation(config=config, teachers=(teacher(5), student(6)), weights=(2, 1))
    train = settings(epochs=3, augment=augment)
    apart = corpus.derive(batch_size=12)
    apart.cache_dir = tmp_path / "other"
    whole = fit(student(), corpus, train, tmp_path / "whole", seed=3, distillation=setup)
    resumed = fit_in_two_parts(
        student, apart, train, tmp_path / "parts", epoch=epoch, seed=3, distillation=setup
    )
    torch.testing.assert_close(weights(resumed.model), weights(whole.model), rtol=0, atol=0)
    assert resumed.history == whole.history
    assert not list(apart.cache_dir.glob("*.draft"))


def test_dropout_does_not_come_again_with_the_views(corpus, tmp_path, monkeypatch) -> None:
    drawn = []
    step = ClassificationTask.training_step

    def watched(self, batch, batch_idx):
        if batch_idx == 0:
            drawn.append(float(torch.rand(())))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ClassificationTask, "training_step", watched)
    setup = Distillation(config=VIEWS, teachers=(teacher(5),))
    fit(student(), corpus, settings(epochs=4), tmp_path, distillation=setup)
    assert len(set(drawn)) == 4


def test_live_teachers_neither_learn_nor_go_into_the_checkpoint(corpus, tmp_path) -> None:
    guide = teacher(5).train()
    before = weights(guide).clone()
    setup = Distillation(config=ONLINE, teachers=(guide,))
    fit(student(), corpus, settings(ema_decay=0.9), tmp_path, distillation=setup)
    torch.testing.assert_close(weights(guide), before, rtol=0, atol=0)
    assert not guide.training
    state = torch.load(tmp_path / "last.ckpt", weights_only=False)["state_dict"]
    assert all(name.startswith("model.") for name in state)


def through(**fields) -> AudioClassifier:
    """A teacher with a front end of its own."""
    base = teacher(5)
    return AudioClassifier(
        base.backbone,
        frontend=dataclasses.replace(FRONTEND, **fields),
        normalization=base.normalization,
        labels=base.labels,
    )


def test_a_teacher_of_another_front_end_gets_the_same_waveform_and_mix(
    corpus, tmp_path, steps
) -> None:
    guide = through(log_offset=1e-2)
    setup = Distillation(config=ONLINE, teachers=(guide,))
    fit(student(), corpus, settings(epochs=1, augment=WAVES), tmp_path, distillation=setup)
    for _, batch, soft in steps:
        own = FrontEnd(guide.frontend)(batch.waveform, batch.lengths).unsqueeze(1)
        answer = guide(mix_rows(own, *batch.mixes[-1]))
        torch.testing.assert_close(soft, soften(answer, 2.0, "cross-entropy"))
    assert any(float(batch.mixes[-1].lam.min()) < 1 for _, batch, _ in steps)


def test_waveforms_come_for_such_a_teacher_even_without_augmentation(
    corpus, tmp_path, steps
) -> None:
    setup = Distillation(config=VIEWS, teachers=(through(log_offset=1e-2),))
    fit(student(), corpus, settings(epochs=1), tmp_path, distillation=setup)
    assert all(batch.waveform is not None for _, batch, _ in steps)


@pytest.mark.parametrize("teaching", [VIEWS, ONLINE], ids=["views", "online"])
def test_a_teacher_that_needs_other_audio_is_refused(corpus, tmp_path, teaching) -> None:
    other = through(sample_rate=16000, hop_length=500, n_fft=512, win_length=512)
    setup = Distillation(config=teaching, teachers=(other,))
    with pytest.raises(RecipeError, match="`sample_rate` 16000 and the student 8000: give"):
        fit(student(), corpus, settings(), tmp_path, distillation=setup)


def test_cached_answers_are_made_from_audio_for_any_front_end(corpus, tmp_path) -> None:
    other = through(sample_rate=16000, hop_length=500, n_fft=512, win_length=512)
    setup = Distillation(config=DistillConfig(**WITH_TOKENS), teachers=(other,))
    result = fit(student(), corpus, settings(epochs=1), tmp_path, distillation=setup)
    assert result.teacher_val is not None


def test_streamed_clips_reach_a_teacher_of_another_front_end_unstored(data, tmp_path) -> None:
    other = through(log_offset=1e-2).eval()
    expected = teacher_logits([other], data, tmp_path / "a")
    streamed = AudioData(
        dataclasses.replace(data.config, store="stream"), FRONTEND, cache_dir=tmp_path / "b"
    )
    streamed.setup()
    found = teacher_logits([other], streamed, tmp_path / "b")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert not list((tmp_path / "b").glob("features-*"))
    assert list((tmp_path / "a").glob("features-*"))


def test_answers_about_other_batches_are_not_used(corpus, tmp_path) -> None:
    setup = Distillation(config=VIEWS, teachers=(teacher(5),))
    fit(student(), corpus, settings(epochs=1), tmp_path / "a", distillation=setup)
    (folder,) = corpus.cache_dir.glob("views-*")
    index = folder / "index.bin"
    raw = index.read_bytes()
    index.write_bytes(raw[8:16] + raw[:8] + raw[16:])
    # Changed on disk: the checksum tells, and the answers are made again.
    fit(student(), corpus, settings(epochs=1), tmp_path / "b", distillation=setup)
    assert index.read_bytes() == raw
    store = reopened(folder)
    with pytest.raises(AumEdgeError, match="about other batches"):
        store.next(torch.tensor([35, 34]))


def reopened(folder) -> ViewCache:
    root, view, _ = folder.name.rsplit("-", 2)
    store = ViewCache(folder.with_name(root), 2)
    store.start(int(view), 0, 1)
    return store


def test_views_that_do_not_fit_the_store_are_refused(corpus, tmp_path) -> None:
    config = dataclasses.replace(VIEWS, views=1000, store_gb=1e-4)
    setup = Distillation(config=config, teachers=(teacher(5),))
    with pytest.raises(
        RecipeError, match=r"would take 0.00072 GB, `distill.store_gb` allows 0.0001"
    ):
        fit(student(), corpus, settings(), tmp_path, distillation=setup)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"teaching": "live"}, "`distill.teaching` must be one of cached, views, online"),
        ({"teaching": "views"}, "`distill.views` goes with `teaching: views`"),
        ({"views": 3}, "got 3 with teaching cached"),
        ({"teaching": "views", "views": -1}, "`distill.views` must be at least 0"),
    ],
)
def test_settings_of_teaching_that_mean_nothing_are_refused(fields, match) -> None:
    with pytest.raises(RecipeError, match=match):
        DistillConfig(**fields)


@pytest.mark.parametrize(
    ("config", "train", "match"),
    [
        (VIEWS, settings(batches=BatchConfig(size_by_epoch={1: 6})), "changes the batches"),
        (ONLINE, settings(), "`distill.teaching: online` needs at least one teacher"),
        (DistillConfig(**WITH_TOKENS), settings(), "needs a teacher, not its logits alone"),
        (DistillConfig(), settings(), r"logits must be \(36, 3\)"),
    ],
)
def test_distillation_that_cannot_work_is_refused(corpus, tmp_path, config, train, match) -> None:
    alone = config is not VIEWS
    setup = Distillation(
        config=config,
        logits=torch.zeros(36, 2 if config == DistillConfig() else 3) if alone else None,
        teachers=() if alone else (teacher(),),
    )
    with pytest.raises(RecipeError, match=match):
        fit(student(), corpus, train, tmp_path, distillation=setup)
