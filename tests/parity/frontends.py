"""Front ends against the numbers of torchaudio and of AuM's data loader."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aum_edge.audio.augment.mixup import mix_centred, mix_rows
from aum_edge.audio.config import FrontEndConfig, Normalization, aum_fbank
from aum_edge.audio.frontend import FrontEnd
from aum_edge.audio.resample import resample

Tolerance = dict[str, float]
CLASSES = ("/m/a", "/m/b", "/m/c")


def check_frontend_dcase_mel(tensors: dict[str, Tensor], meta: dict[str, Any]) -> list[str]:
    config = FrontEndConfig()
    front_end = FrontEnd(config)
    tolerance = meta["tolerance"]
    failures = []
    for case in meta["config"]["plain"]["cases"]:
        name = case["id"]
        waveform = resample(tensors[f"{name}/waveform"], case["sample_rate"], config.sample_rate)
        resampled = f"{name}/resampled_32k"
        if resampled in tensors:
            failures += compare(resampled, waveform, tensors[resampled], tolerance["resampled"])
        logmel = f"{name}/logmel"
        failures += compare(logmel, front_end(waveform), tensors[logmel], tolerance["logmel"])
    return failures


def check_frontend_kaldi_fbank(tensors: dict[str, Tensor], meta: dict[str, Any]) -> list[str]:
    plain = meta["config"]["plain"]
    failures = []
    for case in plain["cases"]:
        name, rate = case["id"], case["sample_rate"]
        waveform = tensors[f"{name}/waveform"]
        raw = fbank(waveform - waveform.mean(), rate)
        expected = case.get("frames_before_pad_or_crop", raw.shape[1])
        if raw.shape[1] != expected:
            failures.append(f"{name}: {raw.shape[1]} frames instead of {expected}")
        if f"{name}/fbank_raw" in tensors:
            stored = tensors[f"{name}/fbank_raw"]
            head = raw.T[: len(stored)]
            failures += compare(f"{name}/fbank_raw", head, stored, meta["tolerance"])
            floor = stored == stored.new_tensor(torch.finfo(torch.float32).eps).log()
            if not torch.equal(head[floor], stored[floor]):
                failures.append(f"{name}: bins at the log floor are not at it exactly")
        failures += check_input(name, raw, case, tensors, meta["tolerance"])
        names = case["labels"].split(" -> ")[0].split(",")
        failures += compare(f"{name}/labels", multi_hot(names), tensors[f"{name}/labels"], {})
    mix = meta["config"]["upstream_flags"]["mixup"]
    failures += check_mixup(mix, plain["cases"], tensors, meta["tolerance"])
    return failures


def check_mixup(
    mix: dict[str, Any], cases: list[dict[str, Any]], tensors: dict[str, Tensor], limit: Tolerance
) -> list[str]:
    first, second, lam = mix["first"], mix["second"], mix["lam"]
    rate = next(case["sample_rate"] for case in cases if case["id"] == first)
    waves = [tensors[f"{name}/waveform"].reshape(-1) for name in (first, second)]
    rows = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)  # (2, samples)
    lengths = torch.tensor([len(wave) for wave in waves])
    partner, shares = torch.tensor([1, 0]), torch.tensor([lam, 1.0])
    mixed = mix_centred(rows, lengths, partner, shares)[:1, : lengths[0]]
    failures = check_input("mixup", fbank(mixed, rate), mix, tensors, limit)
    # The labels of the two clips are not stored: each class is worth lam, 1 - lam, both or none.
    stored = tensors["mixup/labels"]
    one, other = (holds(stored, share) for share in (lam, 1 - lam))
    mixed_labels = mix_rows(torch.stack([one, other]), partner, shares)[0]
    return failures + compare("mixup/labels", mixed_labels, stored, {"atol": 1e-6})


def holds(labels: Tensor, share: float) -> Tensor:
    """1 for the classes that a clip with this share must have had."""
    return (((labels - share).abs() < 1e-6) | ((labels - 1).abs() < 1e-6)).float()


def check_input(
    name: str, raw: Tensor, case: dict[str, Any], tensors: dict[str, Tensor], limit: Tolerance
) -> list[str]:
    normalization = Normalization(mean=case["mean"], std=case["std"], std_factor=2)
    missing = case["target_length"] - raw.shape[-1]
    fitted = torch.nn.functional.pad(raw, (0, missing))  # a negative one crops
    got = (fitted - normalization.mean) / normalization.scale
    return compare(f"{name}/input", got.T, tensors[f"{name}/input"], limit)


def fbank(waveform: Tensor, rate: int) -> Tensor:
    """Features (n_mels, frames) of the first channel."""
    return FrontEnd(aum_fbank(rate))(waveform[:1])[0]


def multi_hot(names: list[str]) -> Tensor:
    return torch.tensor([float(name in names) for name in CLASSES])


def compare(name: str, got: Tensor, stored: Tensor, limit: Tolerance) -> list[str]:
    if got.shape != stored.shape:
        return [f"{name}: shape {tuple(got.shape)} instead of {tuple(stored.shape)}"]
    error = (got.double() - stored.double()).abs()
    allowed = limit.get("atol", 0.0) + limit.get("rtol", 0.0) * stored.double().abs()
    if bool((error <= allowed).all()):
        return []
    return [f"{name}: largest difference {error.max():.3g}, beyond {limit}"]
