"""Checkers for the scan and the mixer blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from aum_edge.ssm.mixers.mamba import MambaMixer
from aum_edge.ssm.scan.interface import selective_scan, selective_scan_ref

DIRECTIONS = {"none": "fo-fo", "v1": "fo-bi", "v2": "bi-bi"}
ARGUMENTS = {"delta": "grad_delta", "u": "grad_u", "A": "grad_A", "B": "grad_B", "C": "grad_C"}


def check_scan(tensors: dict[str, Tensor], meta: dict) -> list[str]:
    """Outputs, last states and gradients of every flag combination, in both implementations."""
    failures = []
    cases = [key.removesuffix("/out") for key in tensors if key.endswith("/out")]
    for case in cases:
        for run, kind in (
            (selective_scan, torch.float32),
            (selective_scan, torch.float64),
            (selective_scan_ref, torch.float64),
        ):
            failures += _check_case(tensors, meta["tolerance"], case, run, kind)
    return failures if cases else ["the fixture holds no cases"]


def _check_case(tensors, tolerance, case, run, kind) -> list[str]:
    length, layout, flags = case.split("/")
    prefix = f"{length}/{layout}/in/"
    given = {key.removeprefix(prefix): x for key, x in tensors.items() if key.startswith(prefix)}
    given = {name: x.detach().to(kind).clone().requires_grad_() for name, x in given.items()}
    on = {flag[:-1]: flag[-1] == "1" for flag in flags.split("_")}
    delta = given["delta" if on["softplus"] else "delta_when_softplus_off"]
    out, last = run(
        given["u"],
        delta,
        given["A"],
        given["B"],
        given["C"],
        D=given["D"] if on["D"] else None,
        z=given["z"] if on["z"] else None,
        delta_bias=given["delta_bias"] if on["bias"] else None,
        delta_softplus=on["softplus"],
        return_last_state=True,
    )
    where = f"{case} {run.__name__} {kind}"
    rule = tolerance["out"]
    found = []
    for name, value in (("out", out), ("last_state", last)):
        wanted = tensors[f"{case}/{name}"].to(kind)
        excess = (value - wanted).abs() - rule["atol"] - rule["rtol"] * wanted.abs()
        if excess.max() > 0:
            found.append(f"{where}: {name} off by {float((value - wanted).abs().max()):.2e}")
    expected = {k.rsplit("/", 1)[1]: k for k in tensors if k.startswith(f"{case}/grad_")}
    if expected:
        loss = (out * given["grad_out"]).sum()
        given["delta"] = delta
        names = [name.removeprefix("grad_") for name in expected]
        inputs = [given[name] for name in names]
        gradients = torch.autograd.grad(loss, inputs)
        for name, key, gradient in zip(names, expected.values(), gradients, strict=True):
            found += gap(f"{where}: grad of {name}", gradient, tensors[key], tolerance["grads"])
    return found


def check_mixer_blocks(tensors: dict[str, Tensor], meta: dict) -> list[str]:
    """Output and all gradients of one block, in float32 and float64."""
    config = meta["config"]["upstream_flags"]
    failures = []
    for case in config["cases"]:
        for kind in (torch.float32, torch.float64):
            failures += _check_mixer(tensors, meta["tolerance"], config, case, kind)
    return failures


def _check_mixer(tensors, tolerance, config, case, kind) -> list[str]:
    name = case["id"]
    d_model = config["d_model"]
    mixer = MambaMixer(
        d_model,
        d_inner=config["expand"] * d_model,
        d_state=config["d_state"],
        d_conv=config["d_conv"],
        dt_rank=-(-d_model // 16),
        direction=DIRECTIONS[case["bimamba_type"]],
        halve=case["if_devide_out"],
        layer_scale=case["init_layer_scale"],
    ).to(kind)
    prefix = f"{name}/sd/"
    weights = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    mixer.load_state_dict(weights)
    x = tensors[f"{name}/input"].detach().to(kind).clone().requires_grad_()
    out = mixer(x)
    rule = tolerance if kind == torch.float32 else tolerance["float64_implementation"]
    wanted = tensors[f"{name}/out_f64"].to(kind)
    excess = (out - wanted).abs() - rule["atol"] - rule["rtol"] * wanted.abs()
    failures = (
        [f"{name} {kind}: output off by {float(excess.max()):.2e}"] if excess.max() > 0 else []
    )
    out.backward(tensors[f"{name}/grad_out"].to(kind))
    own = dict(mixer.named_parameters())
    keys = [key for key in tensors if key.startswith(f"{name}/grad/")]
    for key in keys:
        parameter = key.removeprefix(f"{name}/grad/")
        gradient = x.grad if parameter in ("input", "x") else own[parameter].grad
        failures += gap(
            f"{name} {kind}: {parameter}", gradient, tensors[key], tolerance["gradients"]
        )
    return failures if keys else [f"{name}: the fixture holds no gradients"]


def gap(what: str, value: Tensor, wanted: Tensor, rule: dict) -> list[str]:
    """A line when max|a - b| > atol + rtol * max|b|."""
    error = float((value.double() - wanted.double()).abs().max())
    allowed = rule["atol"] + rule["rtol"] * float(wanted.abs().max())
    return [f"{what} off by {error:.2e}, allowed {allowed:.2e}"] if error > allowed else []
