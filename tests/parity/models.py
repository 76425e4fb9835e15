"""Oracles of whole networks: CP-Mobile, AuM and the key lists of the published sizes.

Every check returns one line a failure. Flags of the published code are mapped to our config
here, by hand: this file is the independent reading of what they mean.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from aum_edge.models.architectures.audio_mamba import AudioMamba
from aum_edge.models.architectures.cp_mobile import CPMobile
from aum_edge.models.config import AudioMambaConfig, CPMobileConfig
from tests.parity.compare import differs, gradients_differ

DIRECTIONS = {"none": "fo-fo", "v1": "fo-bi", "v2": "bi-bi"}
BUILD_FLAGS = {
    "patch_size",
    "strides",
    "num_classes",
    "bimamba_type",
    "spectrogram_size",
    "embed_dim",
    "depth",
    "if_cls_token",
    "use_middle_cls_token",
    "use_double_cls_token",
    "transpose_token_sequence",
    "if_devide_out",
    "if_bidirectional",
    "rms_norm",
}
WITHOUT_EFFECT = {"class_", "fused_add_norm", "residual_in_fp32"}
"""How upstream computes, not what: float32 residuals are all there is here."""
PUBLISHED = {
    "AuM-base Fo-Bi": {"d_model": 768, "direction": "fo-bi"},
    "AuM-small Bi-Bi": {"d_model": 384, "direction": "bi-bi"},
}


def check_cpmobile(tensors: dict[str, Tensor], meta: dict[str, Any]) -> list[str]:
    """The DCASE baseline network: size, keys and logits."""
    plain = meta["config"]["plain"]
    config = CPMobileConfig(
        n_classes=plain["n_classes"],
        n_mels=plain["input"][2],
        n_frames=plain["input"][3],
        base_channels=plain["base_channels"],
        channels_multiplier=plain["channels_multiplier"],
        expansion_rate=plain["expansion_rate"],
    )
    count = n_params(CPMobile(config))
    failures = []
    if count != plain["parameters"]:
        failures.append(f"{count} parameters instead of {plain['parameters']}")
    for dtype, suffix, tolerance in precisions(meta):
        model = CPMobile(config).eval()
        failures += load_weights(model, tensors)
        model.to(dtype)
        logits = model(tensors["input"].to(dtype)).detach()
        failures += compare("logits", logits, tensors, suffix, tolerance)
    return failures


def check_aum(tensors: dict[str, Tensor], meta: dict[str, Any]) -> list[str]:
    """AuM: keys, features, logits and, where given, gradients of a weighted sum of logits."""
    flags = meta["config"]["upstream_flags"]
    config, failures = config_of(flags)
    if config is None:
        return failures
    for dtype, suffix, tolerance in precisions(meta):
        model = AudioMamba(config).eval()
        failures += load_weights(model, tensors)
        model.to(dtype)
        x = tensors["input"].to(dtype).transpose(1, 2).unsqueeze(1).requires_grad_()
        runtime = flags.get("forward_kwargs") or {}
        other = tuple(runtime.get("patch_size", ())), tuple(runtime.get("strides", ()))
        patch, stride = (value or None for value in other)
        features, logits = model.features(x, patch, stride), model(x, patch, stride)
        failures += compare("features", features.detach(), tensors, suffix, tolerance)
        failures += compare("logits", logits.detach(), tensors, suffix, tolerance)
        if any(name.startswith("grad_of_sum") for name in tensors):
            weights = torch.linspace(-1, 1, logits.numel(), dtype=dtype).view_as(logits)
            (weights * logits).sum().backward()
            failures += compare_gradients(model, x, tensors, meta["tolerance"]["gradients"])
    return failures


def check_keys(meta: dict[str, Any]) -> list[str]:
    """Names, shapes and parameter count of a published size."""
    name = next((name for name in PUBLISHED if meta["model"].startswith(name)), None)
    if name is None:
        return [f"no network of ours is meant to have the keys of: {meta['model']}"]
    with torch.device("meta"):
        model = AudioMamba(AudioMambaConfig(n_classes=527, **PUBLISHED[name]))
    ours = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
    theirs = {row["key"]: row["shape"] for row in meta["keys"]}
    failures = [f"missing key {key}" for key in sorted(theirs.keys() - ours.keys())]
    failures += [f"unexpected key {key}" for key in sorted(ours.keys() - theirs.keys())]
    failures += [
        f"{key} is {ours[key]}, upstream has {shape}"
        for key, shape in theirs.items()
        if key in ours and ours[key] != shape
    ]
    if n_params(model) != meta["parameters"]:
        failures.append(f"{n_params(model)} parameters instead of {meta['parameters']}")
    if len(ours) != meta["n_keys"]:
        failures.append(f"{len(ours)} tensors instead of {meta['n_keys']}")
    return failures


def config_of(flags: dict[str, Any]) -> tuple[AudioMambaConfig | None, list[str]]:
    """Upstream's constructor flags as our config, or why there is none."""
    unknown = sorted(flags.keys() - BUILD_FLAGS - WITHOUT_EFFECT - {"forward_kwargs"})
    if unknown:
        return None, [f"flags of another fixture kind: {', '.join(unknown)}"]
    config = AudioMambaConfig(
        n_classes=flags["num_classes"],
        n_mels=flags["spectrogram_size"][0],
        n_frames=flags["spectrogram_size"][1],
        patch_size=tuple(flags["patch_size"]),
        stride=tuple(flags["strides"]),
        d_model=flags["embed_dim"],
        depth=flags["depth"],
        direction=DIRECTIONS[flags["bimamba_type"]],
        class_token=class_token(flags),
        pooling="class" if flags.get("if_cls_token", True) else "mean",
        token_order="time" if flags.get("transpose_token_sequence", False) else "frequency",
        halve_directions=flags.get("if_devide_out", True),
        layer_pairs=flags.get("if_bidirectional", False),
        norm="rms" if flags.get("rms_norm", True) else "layer",
    )
    return config, []


def class_token(flags: dict[str, Any]) -> str:
    """Upstream's three switches as one word."""
    if not flags.get("if_cls_token", True):
        return "none"
    if flags.get("use_double_cls_token", False):
        return "double"
    return "middle" if flags.get("use_middle_cls_token", True) else "first"


def precisions(meta: dict[str, Any]) -> list[tuple[torch.dtype, str, tuple[float, float]]]:
    """(dtype, suffix of the expected tensor, (atol, rtol)) of every comparison to make."""
    single = (meta["tolerance"]["atol"], meta["tolerance"]["rtol"])
    exact = meta["tolerance"]["float64_implementation"]
    return [
        (torch.float32, "f64", single),
        (torch.float32, "f32", single),
        (torch.float64, "f64", (exact["atol"], exact["rtol"])),
    ]


def load_weights(model: nn.Module, tensors: dict[str, Tensor]) -> list[str]:
    """Fill the model with the fixture's state dict; keys must agree exactly."""
    weights = {key.removeprefix("sd/"): t for key, t in tensors.items() if key.startswith("sd/")}
    ours = model.state_dict()
    failures = [f"missing key {key}" for key in sorted(weights.keys() - ours.keys())]
    failures += [f"unexpected key {key}" for key in sorted(ours.keys() - weights.keys())]
    if not failures:
        model.load_state_dict(weights)
    return failures


def compare(
    what: str,
    ours: Tensor,
    tensors: dict[str, Tensor],
    suffix: str,
    tolerance: tuple[float, float],
) -> list[str]:
    """Against the stored tensor of that name and precision."""
    name = f"out/{what}_{suffix}"
    return differs(name, ours, tensors[name], tolerance)


def compare_gradients(
    model: nn.Module, x: Tensor, tensors: dict[str, Tensor], tolerance: dict[str, Any]
) -> list[str]:
    """Of the weighted sum of logits, against those that are stored."""
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    found["input"] = None if x.grad is None else x.grad.squeeze(1).transpose(1, 2)
    stored = {k.split("/", 1)[1]: t for k, t in tensors.items() if k.startswith("grad_of_sum")}
    return gradients_differ(found, stored, tolerance)


def n_params(model: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())
