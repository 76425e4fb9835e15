from __future__ import annotations

import hashlib
from dataclasses import replace

import lightning as L
import numpy as np
import pytest
import torch

from aum_edge.audio.frontend import FrontEnd
from aum_edge.data.config import DataConfig
from aum_edge.data.datamodule import AudioData
from aum_edge.data.sampler import BatchPlan, EpochSampler, ProcessGroupPosition
from aum_edge.errors import DataError


@pytest.fixture(scope="module")
def config(fsdd_corpus):
    return DataConfig.of("fsdd", fsdd_corpus, test_speakers=("cy",), val_fraction=0.3)


@pytest.fixture(scope="module")
def data(config, frontend, tmp_path_factory):
    module = AudioData(
        config, frontend, cache_dir=tmp_path_factory.mktemp("cache"), batch_size=5, seed=7
    )
    module.prepare_data()
    module.setup("fit")
    return module


class Recorder(L.LightningModule):
    """Notes the rows of every batch it is given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.rows = {}

    def training_step(self, batch, batch_idx):
        self.rows.setdefault(self.current_epoch, []).append(batch["index"].tolist())
        return self.weight.sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(data, epochs, folder, checkpoint=None):
    model = Recorder()
    trainer = L.Trainer(
        max_epochs=epochs,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        limit_val_batches=0,
        default_root_dir=folder,
    )
    trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=False)
    trainer.save_checkpoint(folder / "last.ckpt")
    return model.rows


def test_batches_hold_the_rows_they_name(data):
    arrays = data.arrays["train"]
    seen = []
    for batch in data.train_dataloader():
        assert set(batch) == {"x", "y", "index"}
        rows = batch["index"].numpy()
        assert batch["x"].dtype == torch.float32
        assert batch["x"].shape == (len(rows), 1, 16, 41)
        assert np.array_equal(batch["x"][:, 0].numpy(), arrays.features[rows])
        assert np.array_equal(batch["y"].numpy(), arrays.labels[rows])
        assert batch["y"].dtype == batch["index"].dtype == torch.int64
        seen += rows.tolist()
    assert sorted(seen) == list(range(len(arrays)))
    assert seen != sorted(seen)


def test_validation_and_test_come_in_order(data):
    for split, loader in (("val", data.val_dataloader()), ("test", data.test_dataloader())):
        rows = [row for batch in loader for row in batch["index"].tolist()]
        assert rows == list(range(len(data.arrays[split])))


def test_epochs_differ_and_a_resumed_run_sees_the_same_batches(data, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = fit(data.derive(batch_size=5), 4, tmp_path / "a")
    assert whole[0] != whole[1]
    fit(data.derive(batch_size=5), 2, tmp_path / "b")
    rest = fit(data.derive(batch_size=5), 4, tmp_path / "b", tmp_path / "b" / "last.ckpt")
    assert rest == {2: whole[2], 3: whole[3]}


def test_another_seed_gives_another_order():
    orders = [
        [rows.tolist() for rows in EpochSampler(20, 6, seed, ProcessGroupPosition)]
        for seed in (1, 1, 2)
    ]
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize(
    ("n", "seed", "sizes"),
    [(7, 0, [3, 3]), (8, 0, [3, 3, 2]), (7, None, [3, 3, 1]), (1, 0, [1]), (6, 0, [3, 3])],
)
def test_training_leaves_out_a_last_batch_of_one(n, seed, sizes):
    order = EpochSampler(n, 3, seed, ProcessGroupPosition)
    assert [len(rows) for rows in order] == sizes
    assert len(order) == len(sizes)


def test_waveforms_take_the_place_of_features_in_training_alone(data, frontend):
    other = data.derive(batch_size=4, waveforms=True)
    batch = next(iter(other.train_dataloader()))
    assert set(batch) == {"waveform", "y", "index"}
    features = FrontEnd(frontend)(batch["waveform"])
    rows = batch["index"].numpy()
    np.testing.assert_allclose(features, data.arrays["train"].features[rows], atol=1e-4)
    assert "x" in next(iter(other.val_dataloader()))
    assert "x" in next(iter(data.train_dataloader()))
    assert other.fingerprint == data.fingerprint
    assert other.arrays["test"] is data.arrays["test"]


def test_what_is_known_after_setup(data, frontend, config, tmp_path):
    assert data.labels == ("0", "1", "2")
    assert data.normalization.std > 0
    again = AudioData(config, frontend, cache_dir=data.cache_dir)
    again.setup()
    assert again.fingerprint == data.fingerprint
    held = DataConfig.of("fsdd", config.root, test_speakers=("bo",))
    other = AudioData(held, frontend, cache_dir=tmp_path)
    other.setup()
    assert other.fingerprint != data.fingerprint


def test_a_corpus_without_training_clips_is_refused(fsdd_corpus, frontend, tmp_path):
    config = DataConfig.of("fsdd", fsdd_corpus, test_speakers=("ada", "bo", "cy"))
    with pytest.raises(DataError, match="train split of corpus `fsdd` is empty"):
        AudioData(config, frontend, cache_dir=tmp_path).setup()
    with pytest.raises(DataError, match="`batch_size` must be at least 1, got 0"):
        AudioData(config, frontend, cache_dir=tmp_path, batch_size=0)


def test_a_view_keeps_rows_arrays_and_everything_else(data):
    rows = np.array([4, 1])
    view = data.derive(split_rows={"train": rows}, view="two rows", batch_size=2)
    train = data.arrays["train"]
    assert view.arrays["train"].clips == (train.clips[4], train.clips[1])
    np.testing.assert_array_equal(view.arrays["train"].features[[0, 1]], train.features[rows])
    assert view.manifest.split("train") == view.arrays["train"].clips
    assert view.manifest.split("test") == data.manifest.split("test")
    assert view.arrays["test"] is data.arrays["test"]
    assert (view.seed, view.normalization, view.labels) == (
        data.seed,
        data.normalization,
        data.labels,
    )
    named = hashlib.sha256(f"{data.fingerprint}|two rows".encode()).hexdigest()
    assert view.fingerprint == named
    other = data.derive(split_rows={"train": rows[::-1]})
    assert len({other.fingerprint, view.fingerprint, data.fingerprint}) == 3
    assert len(train) > 2, "the data itself stay whole"
    with pytest.raises(DataError, match="`batch_size` must be at least 1, got 0"):
        data.derive(batch_size=0)


def test_a_view_of_streamed_clips_reads_its_own(data, config, frontend, tmp_path):
    streamed = AudioData(replace(config, store="stream"), frontend, cache_dir=tmp_path)
    view = streamed.derive(split_rows={"train": np.array([3, 0])})
    want = data.arrays["train"].features[[3, 0]]
    np.testing.assert_allclose(view.arrays["train"].features[np.array([0, 1])], want, atol=1e-5)


def test_epochs_that_repeat_have_the_batches_of_their_first_round(data):
    view = data.derive(plan=BatchPlan(repeat=2))

    def batches(epoch):
        order = EpochSampler(20, 6, 1, lambda: ProcessGroupPosition(epoch), view.plan)
        return [rows.tolist() for rows in order]

    assert batches(0) == batches(2) == batches(4)
    assert batches(1) == batches(3) != batches(0)
    assert view.derive(batch_size=3).plan.repeat == 2
