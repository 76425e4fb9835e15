"""From audio files and AuM's manifest to what AuM's own loader gave its network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
import torch
from safetensors.torch import load_file

from aum_edge.audio.augment.mixup import mix_centred
from aum_edge.audio.clip import fit_samples, read_clip
from aum_edge.audio.config import FrontEndConfig, Normalization, aum_fbank
from aum_edge.audio.frontend import FrontEnd
from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.features.cache import build_cache

FOLDER = Path(__file__).parents[2] / "parity" / "data"
NAME = "frontend_kaldi_fbank"


@pytest.fixture(scope="module")
def tensors():
    return load_file(FOLDER / f"{NAME}.safetensors")


@pytest.fixture(scope="module")
def meta():
    items = json.loads((FOLDER / "index.json").read_text())["items"]
    rows = items.values() if isinstance(items, dict) else items
    return next(item for item in rows if item["file"] == f"{NAME}.safetensors")


def write_corpus(folder: Path, tensors, case) -> DataConfig:
    """The case's recording, with the labels that the fixture names, as AuM's recipes give them."""
    waveform = tensors[f"{case['id']}/waveform"].T.numpy()
    soundfile.write(folder / "a.wav", waveform, case["sample_rate"], subtype="FLOAT")
    row = {"wav": str(folder / "a.wav"), "labels": case["labels"].split(" ")[0]}
    (folder / "m.json").write_text(json.dumps({"data": [row]}))
    (folder / "l.csv").write_text("index,mid,display_name\n0,/m/a,A\n1,/m/b,B\n2,/m/c,C\n")
    return DataConfig.of(
        "manifest", test_root=str(folder / "m.json"), label_file=str(folder / "l.csv")
    )


def assert_close(got, stored, meta) -> None:
    limit = meta["tolerance"]
    torch.testing.assert_close(got, stored, atol=limit["atol"], rtol=limit["rtol"])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_cached_features_and_targets_equal_upstreams(tensors, meta, tmp_path, number):
    case = meta["config"]["plain"]["cases"][number]
    config = write_corpus(tmp_path, tensors, case)
    frontend = aum_fbank(case["sample_rate"], n_frames=case["target_length"])
    arrays = build_cache(load_manifest(config, tmp_path), frontend, tmp_path / "cache")["test"]
    normalization = Normalization(mean=case["mean"], std=case["std"], std_factor=2)
    features = torch.from_numpy(arrays.features[:])
    got = (features - normalization.mean) / normalization.scale
    assert_close(got[0].T, tensors[f"{case['id']}/input"], meta)
    assert arrays.targets[0].tolist() == tensors[f"{case['id']}/labels"].tolist()


def clips(tensors, frontend: FrontEndConfig, folder: Path, names: list[str]):
    """Whole recordings padded to the longest, and their lengths."""
    loaded = []
    for name in names:
        path = folder / f"{name}.wav"
        soundfile.write(path, tensors[f"{name}/waveform"].T.numpy(), 16_000, subtype="FLOAT")
        loaded.append(read_clip(path, frontend))
    lengths = torch.tensor([len(clip) for clip in loaded])
    size = frontend.clip_samples
    return torch.stack([fit_samples(clip, size) for clip in loaded]), lengths


def test_a_mixed_batch_equals_upstreams_mixup(tensors, meta, tmp_path):
    mix = meta["config"]["upstream_flags"]["mixup"]
    frontend = aum_fbank(n_frames=mix["target_length"])
    waveforms, lengths = clips(tensors, frontend, tmp_path, [mix["first"], mix["second"]])
    share = torch.tensor([mix["lam"], 1])
    mixed = mix_centred(waveforms, lengths, torch.tensor([1, 0]), share)
    features = FrontEnd(frontend)(mixed, lengths)[0]
    got = (features - mix["mean"]) / (2 * mix["std"])
    assert_close(got.T, tensors["mixup/input"], meta)
