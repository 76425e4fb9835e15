"""Foreign files: truncated, malicious, wrapped, empty; nothing in them is run."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from aum_edge.checkpoints.read import read_checkpoint
from aum_edge.errors import CheckpointError
from tests.checkpoints.made import saved, weights


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def message_of(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_flat_wrapped_and_safetensors_files_hold_the_same(tmp_path: Path) -> None:
    tensors = weights()
    args = argparse.Namespace(lr=1e-5)
    save_file(tensors, tmp_path / "m.safetensors")
    files = [
        saved(tmp_path / "flat.pth", tensors),
        saved(tmp_path / "vim.pth", {"model": tensors, "epoch": 3, "args": args}),
        saved(tmp_path / "last.ckpt", {"state_dict": tensors, "hyper_parameters": {"lr": 1}}),
        tmp_path / "m.safetensors",
    ]
    for path in files:
        read = read_checkpoint(path).tensors
        assert read.keys() == tensors.keys()
        assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())
    assert read_checkpoint(files[1]).beside["epoch"] == 3


def test_a_named_wrapper_is_taken(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pth", {"model": {"a": torch.ones(1)}, "ema": {"a": torch.zeros(1)}})
    assert read_checkpoint(path, "ema").tensors["a"] == 0
    with pytest.raises(CheckpointError, match="no weights under `best`; it holds model, ema"):
        read_checkpoint(path, "best")


def test_code_in_a_pickle_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = tmp_path / "plain.pkl"
    plain.write_bytes(pickle.dumps({"a": Bomb()}))
    zipped = saved(tmp_path / "zip.pth", {"a": torch.ones(1), "b": Bomb()})
    for path in (plain, zipped):
        assert "would run code" in message_of(path)
    assert "state_dict()" in message_of(zipped)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_truncated_files(tmp_path: Path, share: float) -> None:
    save_file(weights(), tmp_path / "m.safetensors")
    for path in (saved(tmp_path / "m.pth", weights()), tmp_path / "m.safetensors"):
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        assert "truncated" in message_of(path)


def test_files_that_hold_no_weights(tmp_path: Path) -> None:
    assert "no checkpoint" in message_of(tmp_path / "nowhere.pth")
    (tmp_path / "empty.pth").touch()
    assert "is empty" in message_of(tmp_path / "empty.pth")
    (tmp_path / "text.pth").write_text("hello, this is a web page <html>")
    assert "not a PyTorch checkpoint" in message_of(tmp_path / "text.pth")
    assert "holds a list" in message_of(saved(tmp_path / "list.pth", [torch.ones(1)]))
    assert "no state dict: lr" in message_of(saved(tmp_path / "lr.pth", {"lr": 1.0}))
    assert "it is empty" in message_of(saved(tmp_path / "none.pth", {}))


def test_nan_weights_are_named(tmp_path: Path) -> None:
    tensors = weights()
    tensors["norm_f.weight"][0] = float("nan")
    assert "NaN or Inf in norm_f.weight" in message_of(saved(tmp_path / "m.pth", tensors))


class Shell:
    def __reduce__(self):
        import os

        return (os.system, ("touch exploded",))


def test_the_classic_attack_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = message_of(saved(tmp_path / "m.pth", {"a": torch.ones(1), "b": Shell()}))
    assert "system`, which would run code" in message
    assert "Re-running" not in message
    assert not (tmp_path / "exploded").exists()


def test_odd_numbers_are_refused(tmp_path: Path) -> None:
    for tensor in (torch.ones(2, dtype=torch.complex64), torch.eye(2).to_sparse()):
        assert "complex, sparse or nested" in message_of(saved(tmp_path / "m.pth", {"a": tensor}))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("attack", [Bomb, Shell])
def test_code_is_named_in_pickles_of_every_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: type, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.pkl").write_bytes(pickle.dumps({"a": attack()}, protocol=protocol))
    torch.save({"a": attack()}, tmp_path / "m.pth", pickle_protocol=protocol)
    for name in ("m.pkl", "m.pth"):
        message = message_of(tmp_path / name)
        assert "which would run code" in message
        assert "http" not in message
    assert not (tmp_path / "exploded").exists()


def test_harmless_pickles_that_torch_did_not_write_name_no_code(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(pickle.dumps({"a": 1}, protocol=5))
    message = message_of(tmp_path / "m.pkl")
    assert "not a PyTorch checkpoint" in message
    assert "run code" not in message
    assert "http" not in message
