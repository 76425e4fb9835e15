"""Oracles of loading: resized tables and kernels, foreign heads, Vim, SSAMBA, audio-mamba-asc.

Every check returns one line a failure. The models go through ``from_upstream`` with the fixture's
own flags.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from aum_edge.checkpoints import from_upstream
from aum_edge.models.architectures.resize import resize_patch_kernel, resize_positions
from tests.parity.compare import differs


def check_flexi(tensors: dict[str, Tensor], meta: dict[str, Any]) -> list[str]:
    """Patch kernels and position tables at other sizes."""
    failures = []
    for case in meta["config"]["upstream_flags"]["cases"]:
        name, new = case["id"], tuple(case["patch_new"])
        kernel = tensors[f"{name}/weight"]
        exact = "pi_resized_f64" if name != "mixed" else "moore_penrose_f64"
        found = {exact: resize_patch_kernel(kernel.double(), new)}
        if name != "mixed":
            found["vanilla_resized"] = resize_patch_kernel(kernel, new, "bilinear")
            found["pos_embed_resized"] = resize_positions(
                tensors[f"{name}/pos_embed"],
                case["prefix_tokens"],
                tuple(case["grid_old"]),
                tuple(case["grid_new"]),
            )
        limits = (meta["tolerance"]["atol"], meta["tolerance"]["rtol"])
        for what, ours in found.items():
            failures += differs(f"{name}/{what}", ours, tensors[f"{name}/{what}"], limits)
    return failures


def check_aum_load(tensors: dict[str, Tensor], meta: dict[str, Any]) -> list[str]:
    """AuM into an AuM of another length, patch or class count."""
    flags = meta["config"]["upstream_flags"]["receiving_model"]
    model = from_upstream(with_prefix(tensors, "ckpt/"), "aum", flags)
    return check_loaded(model.backbone, tensors, meta)


def check_vim(tensors: dict[str, Tensor], meta: dict[str, Any]) -> list[str]:
    """ImageNet Vim into an AuM."""
    flags = meta["config"]["upstream_flags"]
    model = from_upstream(with_prefix(tensors, "ckpt_model/"), "vim", flags)
    return check_loaded(model.backbone, tensors, meta)


def check_asc(tensors: dict[str, Tensor], meta: dict[str, Any]) -> list[str]:
    """audio-mamba-asc: features and logits."""
    weights = {f"model.{key}": t for key, t in with_prefix(tensors, "sd/").items()}
    flags = meta["config"]["upstream_flags"]["get_model"]
    network = from_upstream(weights, "asc", flags).backbone
    return answers(network, tensors["input"], tensors, meta, ("features", "logits"), {})


def check_ssamba_finetune(tensors: dict[str, Tensor], meta: dict[str, Any]) -> list[str]:
    """SSAMBA's pretraining checkpoint as a classifier, by both tasks."""
    flags = dict(meta["config"]["upstream_flags"])
    tasks = flags.pop("tasks")
    flags.pop("checkpoint")
    loaded = {ssamba_name(k): t for k, t in with_prefix(tensors, "loaded/").items()}
    failures = []
    for task in tasks:
        given = with_prefix(tensors, "ckpt/")
        network = from_upstream(given, "ssamba", flags | {"task": task}).backbone
        failures += received(network, loaded)
        x = tensors["input"].transpose(1, 2).unsqueeze(1)
        failures += answers(network, x, tensors, meta, (task,), loaded)
    return failures


def ssamba_name(name: str) -> str:
    """Our name of one of SSAMBA's tensors."""
    name = name.replace("v.pos_embed", "pos_embed.pos_embed").replace("mlp_head.", "head.")
    return name.removeprefix("v.")


def check_loaded(network: nn.Module, tensors: dict[str, Tensor], meta: dict[str, Any]) -> list[str]:
    """What was resized equals upstream's, and so do features and logits."""
    loaded = with_prefix(tensors, "loaded/")
    failures = received(network, loaded)
    x = tensors["input"].transpose(1, 2).unsqueeze(1)
    return failures + answers(network, x, tensors, meta, ("features", "logits"), loaded)


def received(network: nn.Module, loaded: dict[str, Tensor]) -> list[str]:
    """Compare what was loaded; a head that starts fresh is then set to the fixture's."""
    ours = network.state_dict()
    failures = [f"missing {name}" for name in loaded if name not in ours]
    for name in loaded.keys() & ours.keys():
        if name.startswith("head."):
            with torch.no_grad():
                ours[name].copy_(loaded[name])
        else:
            failures += differs(name, ours[name], loaded[name], (2e-7, 1e-6))
    return failures


def answers(
    network: nn.Module,
    x: Tensor,
    tensors: dict[str, Tensor],
    meta: dict[str, Any],
    what: tuple[str, ...],
    loaded: dict[str, Tensor],
) -> list[str]:
    """Outputs in float32 and float64 against the stored ones.

    float64 runs with the fixture's own loaded tensors: upstream rounds its resized kernels to
    float32 in another place than we do.
    """
    tolerance = meta["tolerance"]
    exact = tolerance["float64_implementation"]
    failures = []
    for dtype, suffix, limits in (
        (torch.float32, "f64", (tolerance["atol"], tolerance["rtol"])),
        (torch.float32, "f32", (tolerance["atol"], tolerance["rtol"])),
        (torch.float64, "f64", (exact["atol"], exact["rtol"])),
    ):
        network = network.eval().to(dtype)
        if dtype == torch.float64:
            network.load_state_dict(loaded, strict=False)
        for name in what:
            run = network.features if name == "features" else network
            key = f"out/{name}_{suffix}"
            failures += differs(key, run(x.to(dtype)).detach(), tensors[key], limits)
    return failures


def with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start so, without it."""
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
