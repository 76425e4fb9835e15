"""Oracles of SSAMBA's pretraining: losses and gradients on fixed masks, the masks, the keys.

Every check returns one line a failure. Checkpoints go through ``from_upstream`` with the fixture's
own flags.
"""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor, nn

from aum_edge.checkpoints import from_upstream
from aum_edge.models.architectures.masked_patch import MaskedPatchModel
from aum_edge.training.pretraining.loss import masked_patch_loss
from aum_edge.training.pretraining.masking import published_clusters, published_frames
from tests.parity.compare import gradients_differ

UNUSED = "module.v.head."
"""A head of ImageNet's classes that SSAMBA carries along and never calls."""
SCALARS = ("module.p_input_fdim", "module.p_input_tdim")
"""The input size, stored as parameters; here it is in the config."""
MSE_WEIGHT = 10.0


def check_ssamba_pretrain(tensors: dict[str, Tensor], meta: dict[str, Any]) -> list[str]:
    """Both losses, the accuracy and the joint loss in two precisions, and its gradients."""
    tolerance = meta["tolerance"]
    exact = tolerance["float64_implementation"]
    failures = []
    for dtype, suffix, limits in (
        (torch.float32, "f64", tolerance["losses"]),
        (torch.float32, "f32", tolerance["losses"]),
        (torch.float64, "f64", exact),
    ):
        model = pretraining_model(tensors, meta).to(dtype)
        loss = forward(model, tensors, dtype)
        found = {"nce": loss.nce, "mse": loss.mse, "joint": loss.total}
        for name, value in found.items():
            expected = float(tensors[f"out/{name}_{suffix}"])
            gap = abs(float(value) - expected)
            if not gap <= limits["atol"] + limits["rtol"] * abs(expected):
                failures.append(f"{dtype} {name} is off by {gap:.3g} against {suffix}")
        accuracy = tensors[f"out/acc_{suffix}"].double()
        n = tensors["mask/mpc"].numel()
        if round(float(loss.accuracy) * n) != round(float(accuracy) * n):
            failures.append(f"{dtype} accuracy {float(loss.accuracy)} instead of {float(accuracy)}")
        loss.total.backward()
        failures += compare_gradients(model, tensors, tolerance["gradients"])
    return failures


def pretraining_model(tensors: dict[str, Tensor], meta: dict[str, Any]) -> MaskedPatchModel:
    """The fixture's checkpoint, read as a published one."""
    given = {k.replace("sd/", "module."): t for k, t in tensors.items() if k.startswith("sd/")}
    flags = dict(meta["config"]["upstream_flags"])
    for name in ("class_", "mask_patch", "cluster"):
        flags.pop(name)
    flags |= flags.pop("vision_mamba_config")
    network = from_upstream(given, "ssamba", flags | {"task": "pretrain_joint"}).backbone
    assert isinstance(network, MaskedPatchModel)
    return network.eval()


def forward(model: MaskedPatchModel, tensors: dict[str, Tensor], dtype: torch.dtype) -> Any:
    """The losses on the fixture's masks, one for each objective."""
    x = tensors["input"].to(dtype).transpose(1, 2).unsqueeze(1)
    masks = (tensors["mask/mpc"], tensors["mask/mpg"])
    return masked_patch_loss(model, x, masks, mse_weight=MSE_WEIGHT)


def compare_gradients(
    model: nn.Module, tensors: dict[str, Tensor], tolerance: dict[str, Any]
) -> list[str]:
    """Of the joint loss, against those that are stored."""
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    prefix = "grad_of_joint/"
    stored = {
        our_name(k.removeprefix(prefix)): t for k, t in tensors.items() if k.startswith(prefix)
    }
    return gradients_differ(found, stored, tolerance)


def check_ssamba_masks(tensors: dict[str, Tensor], meta: dict[str, Any]) -> list[str]:
    """Masks number by number, in the order listed, from a seeded source."""
    failures = []
    for case in meta["config"]["upstream_flags"]["cases"]:
        grid, count = tuple(case["grid_freq_time"]), case["masked"]
        rules = {
            "patch": lambda source, grid=grid, count=count: published_clusters(source, grid, count),
            "frame": lambda source, grid=grid, count=count: published_frames(
                source, grid[0] * grid[1], count
            ),
        }
        for kind, draw in rules.items():
            source = random.Random(case["python_random_seed"])
            expected = tensors[f"{case['id']}/{kind}_mask"].tolist()
            found = [draw(source) for _ in range(case["draws"])]
            if found != expected:
                failures.append(f"{case['id']}: other {kind} masks")
    return failures


def check_ssamba_keys(meta: dict[str, Any]) -> list[str]:
    """Names, shapes and parameter count of the pretraining checkpoint, without what is left out."""
    theirs = {row["key"]: row["shape"] for row in meta["keys"]}
    tensors = {
        row["key"]: torch.zeros(row["shape"], dtype=getattr(torch, row["dtype"]))
        for row in meta["keys"]
    }
    tensors[SCALARS[0]].fill_(128)
    tensors[SCALARS[1]].fill_(1024)
    network = from_upstream(tensors, "ssamba", {"task": "pretrain_joint"}).backbone
    ours = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    apart = {key for key in theirs if key.startswith(UNUSED) or key in SCALARS}
    mapped = {our_name(key.removeprefix("module.")): theirs[key] for key in theirs.keys() - apart}
    failures = [f"missing {name}" for name in sorted(mapped.keys() - ours.keys())]
    failures += [f"unexpected {name}" for name in sorted(ours.keys() - mapped.keys())]
    failures += [
        f"{name} is {ours[name]}, upstream has {shape}"
        for name, shape in mapped.items()
        if name in ours and ours[name] != shape
    ]
    extra = sum(tensors[key].numel() for key in apart)
    count = sum(parameter.numel() for parameter in network.parameters()) + extra
    if count != meta["parameters"]:
        failures.append(f"{count} parameters instead of {meta['parameters']}")
    if len(ours) + len(apart) != meta["n_keys"]:
        failures.append(f"{len(ours) + len(apart)} tensors instead of {meta['n_keys']}")
    return failures


def our_name(name: str) -> str:
    """Our name of one of SSAMBA's tensors."""
    name = name.replace("v.pos_embed", "v.pos_embed.pos_embed")
    return f"encoder.{name.removeprefix('v.')}" if name.startswith("v.") else name
