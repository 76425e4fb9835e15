"""Answers to views: who writes them when two trainings need the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from aum_edge.core.locks import hold_lock
from aum_edge.training.distillation.cache_file import TeacherOutput, open_cache_file
from aum_edge.training.distillation.view_cache import ViewCache

INDEX = torch.tensor([2, 0])
ANSWER = TeacherOutput(torch.ones(2, 3))


def heard(store: ViewCache) -> None:
    store.keep(INDEX, ANSWER)
    store.finish()


def test_a_view_that_another_training_writes_is_not_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "views-0-0of1"
    store = ViewCache(tmp_path / "views", 1)
    with hold_lock(tmp_path / f".{folder.name}.lock"):
        store.start(0, 0, 1)
        assert store.next(INDEX) is None
        heard(store)
        assert not folder.exists()
    store.start(1, 0, 1)
    heard(store)
    stored = open_cache_file(folder)
    assert stored is not None
    assert np.array_equal(stored.index, INDEX)


def test_a_stopped_training_of_this_thread_blocks_no_other(tmp_path: Path) -> None:
    stopped = ViewCache(tmp_path / "views", 1)
    stopped.start(0, 0, 1)
    stopped.keep(INDEX, ANSWER)
    again = ViewCache(tmp_path / "views", 1)
    again.start(0, 0, 1)
    heard(again)
    assert [path.name for path in tmp_path.iterdir()] == ["views-0-0of1"]
    again.start(1, 0, 1)
    answer = again.next(INDEX)
    assert answer is not None
    assert torch.equal(answer.logits, ANSWER.logits)
