"""Checkpoints in a run folder are data: one that holds code is named, and the code never runs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from aum_edge.errors import CheckpointError
from aum_edge.training.checkpoint_io import read_checkpoint, resumable
from aum_edge.training.fit import fit
from tests.small_run import student
from tests.training.fine_tuning import settings


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def plant(path: Path, marker: Path, how: str = "zip") -> None:
    """Take the checkpoint's place with one that has all of its entries and a bomb beside them."""
    content = torch.load(path, weights_only=True) if path.exists() else {"state_dict": {}}
    content["bomb"] = Bomb(marker)
    path.write_bytes(pickle.dumps(content)) if how == "pickle" else torch.save(content, path)


@pytest.mark.parametrize("how", ["zip", "pickle"])
def test_no_checkpoint_is_run_when_it_is_read(how: str, tmp_path: Path, caplog) -> None:
    path, marker = tmp_path / "last.ckpt", tmp_path / "marker"
    plant(path, marker, how)
    assert resumable(path) is None
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, "state_dict")
    for said in (caplog.messages[0], str(caught.value)):
        assert said.startswith(f"{path} is damaged and was not opened (it holds `")
        assert "system`, which would run code)" in said
        assert "\n" not in said
    assert not marker.exists()


def test_a_last_checkpoint_with_code_starts_over_with_the_same_result(
    data, tmp_path: Path, caplog
) -> None:
    whole = fit(student(), data, settings(epochs=2), tmp_path / "whole", seed=3)
    fit(student(), data, settings(epochs=1), tmp_path / "parts", seed=3)
    plant(tmp_path / "parts" / "last.ckpt", tmp_path / "marker")
    again = fit(student(), data, settings(epochs=2), tmp_path / "parts", seed=3)
    assert "would run code): training starts from its first epoch." in caplog.text
    assert again.history == whole.history
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(("keep", "name"), [("best", "best.ckpt"), ("soup", "soup-*.pt")])
def test_kept_epochs_with_code_end_the_training(data, tmp_path: Path, keep: str, name: str) -> None:
    config = settings(epochs=1, keep=keep)
    run, marker = tmp_path / "run", tmp_path / "marker"
    fit(student(), data, config, run)
    (path,) = run.glob(name)
    plant(path, marker)
    with pytest.raises(CheckpointError) as caught:
        fit(student(), data, config, run)
    assert f"{path} is damaged and was not opened" in str(caught.value)
    assert str(caught.value).endswith(f"delete {run} to train again.")
    assert not marker.exists()


@pytest.mark.parametrize(
    "content", [b"", b"hello", pickle.dumps([1]), pickle.dumps({"state": 1}), b"\x80\x02]q\x00e."]
)
def test_what_is_no_checkpoint_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path, "state_dict")
    assert "damaged" in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert "\n" not in str(caught.value)
