from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aum_edge.audio.clip import fit_samples, read_clip
from aum_edge.audio.frontend import FrontEnd
from aum_edge.errors import DataError
from aum_edge.models.classifier import load
from aum_edge.submission.config import SubmissionConfig
from aum_edge.submission.file_list import Listing, evaluation_listing
from aum_edge.submission.models import read_models
from aum_edge.submission.package.package import write_weights
from aum_edge.submission.prediction import JOURNAL, VALUES, predict_listing, weights_key
from aum_edge.submission.runtime import system as runtime
from aum_edge.submission.runtime.scenes import SCENES
from aum_edge.submission.runtime.system import Running, System, load_system

RUNNING = Running(batch_size=5, workers=2)


class Killed(Exception):
    """Stands in for the end of a process."""


@pytest.fixture(scope="module")
def weights(config: SubmissionConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    write_weights(read_models(config), folder)
    return folder


@pytest.fixture
def system(weights: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    monkeypatch.setattr(runtime, "CHUNK", 8)
    return load_system(weights)


@pytest.fixture(scope="module")
def listing(evaluation: Path) -> Listing:
    return evaluation_listing(evaluation)


def test_every_file_gets_the_logits_of_its_devices_model(
    system: System, listing: Listing, models: dict[str, Path], tmp_path: Path
) -> None:
    made = predict_listing(system, "k", listing, tmp_path / "s", RUNNING)
    assert made.shape == (len(listing.names), 10)
    for row, (path, device) in enumerate(zip(listing.paths, listing.devices, strict=True)):
        model = load(models.get(device, models["general"]))
        clip = read_clip(path, model.frontend)
        clip = fit_samples(clip, model.frontend.clip_samples).unsqueeze(0)
        with torch.inference_mode():
            logits = model(FrontEnd(model.frontend)(clip).unsqueeze(1))[0]
        order = [model.labels.index(name) for name in SCENES]
        np.testing.assert_allclose(made[row], logits[order], atol=2e-4)


def test_no_more_than_two_chunks_are_in_memory(
    system: System, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    begin = runtime.start_decoding

    def watched(pool, files, frontends):
        started.append(len(files))
        return begin(pool, files, frontends)

    monkeypatch.setattr(runtime, "start_decoding", watched)
    done = 0
    for logits in runtime.stream_logits(listing.paths, listing.devices, system, RUNNING):
        done += len(logits)
        assert sum(started) <= done + 8
    assert done == len(listing.names)


def test_a_killed_run_goes_on_where_it_stopped(
    system: System, listing: Listing, tmp_path: Path
) -> None:
    whole = predict_listing(system, "k", listing, tmp_path / "whole", RUNNING)
    store = tmp_path / "s"

    def die(done: int, total: int, what: str) -> None:
        if done >= 16:
            raise Killed

    with pytest.raises(Killed):
        predict_listing(system, "k", listing, store, RUNNING, die)
    # A piece that was being written when the power went.
    with (store / VALUES).open("ab") as values:
        values.write(b"\0" * 55)
    seen: list[tuple[int, str]] = []
    again = predict_listing(
        system, "k", listing, store, RUNNING, lambda done, total, what: seen.append((done, what))
    )
    assert seen[0] == (16, "files predicted before")
    assert seen[1] == (24, "files predicted")
    np.testing.assert_array_equal(again, whole)


def test_nothing_is_predicted_twice(
    system: System, listing: Listing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = predict_listing(system, "k", listing, tmp_path / "s", RUNNING)

    def never(*_: object) -> None:
        raise AssertionError("a file was decoded again")

    monkeypatch.setattr("aum_edge.submission.runtime.inputs._clip", never)
    np.testing.assert_array_equal(
        predict_listing(system, "k", listing, tmp_path / "s", RUNNING), first
    )


@pytest.mark.parametrize("damage", ["flip", "journal"])
def test_a_damaged_piece_is_done_again(
    system: System, listing: Listing, tmp_path: Path, damage: str
) -> None:
    whole = predict_listing(system, "k", listing, tmp_path / "s", RUNNING)
    if damage == "flip":
        data = bytearray((tmp_path / "s" / VALUES).read_bytes())
        data[9 * 40] ^= 1
        (tmp_path / "s" / VALUES).write_bytes(data)
    else:
        lines = (tmp_path / "s" / JOURNAL).read_text().splitlines()
        (tmp_path / "s" / JOURNAL).write_text(f"{lines[0]}\nnonsense\n{lines[2]}\n")
    seen: list[int] = []
    again = predict_listing(
        system, "k", listing, tmp_path / "s", RUNNING, lambda done, *_: seen.append(done)
    )
    assert seen[0] == 8
    np.testing.assert_array_equal(again, whole)


@pytest.mark.parametrize("changed", ["weights", "order", "device"])
def test_another_job_starts_anew(
    system: System, listing: Listing, tmp_path: Path, changed: str
) -> None:
    predict_listing(system, "k", listing, tmp_path / "s", RUNNING)
    if changed == "order":
        listing = replace(listing, names=listing.names[::-1], devices=listing.devices[::-1])
    if changed == "device":
        listing = replace(listing, devices=("s9",) * len(listing.devices))
    seen: list[str] = []
    predict_listing(
        system,
        "other" if changed == "weights" else "k",
        listing,
        tmp_path / "s",
        RUNNING,
        lambda done, total, what: seen.append(what),
    )
    assert set(seen) == {"files predicted"}


def test_an_unreadable_file_is_named_and_the_rest_is_kept(
    system: System, listing: Listing, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF")
    names = (*listing.names[:20], str(bad), *listing.names[20:])
    devices = (*listing.devices[:20], "a", *listing.devices[20:])
    broken = replace(listing, names=names, devices=devices)
    with pytest.raises(DataError, match=r"bad\.wav .*16 files before it are predicted"):
        predict_listing(system, "k", broken, tmp_path / "s", RUNNING)


def test_the_key_hears_every_weight(weights: Path, tmp_path: Path) -> None:
    before = weights_key(weights)
    assert weights_key(weights) == before
    file = next(weights.rglob("*.safetensors"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    copy = tmp_path / "w" / file.name
    copy.parent.mkdir()
    copy.write_bytes(data)
    assert weights_key(copy.parent) != before
