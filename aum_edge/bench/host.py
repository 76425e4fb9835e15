"""Description of the host: CPU, memory, versions and load."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

import aum_edge

CPU_INFO = Path("/proc/cpuinfo")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
VECTORS = (
    "sse4_2 avx fma avx2 f16c avx_vnni avx512f avx512bw avx512vl avx512_vnni avx512_bf16 "
    "avx512_fp16 amx_tile amx_int8 amx_bf16 neon asimd asimddp asimdhp i8mm bf16 sve sve2"
).split()
"""Instructions that kernels are chosen by."""
SHOWN_VECTORS = ("avx2", "avx512f", "avx512_vnni", "asimd", "sve")
BUSY = 0.3
"""Load average, as a share of the cores, from which on others' work shows in the numbers."""


def host() -> dict[str, Any]:
    """CPU, memory, system and versions; ``governor`` and ``load_average`` are None if unknown."""
    return {
        "cpu": _cpu(),
        "cores": psutil.cpu_count(logical=False) or psutil.cpu_count() or 1,
        "logical_cores": psutil.cpu_count() or 1,
        "cpu_flags": _flags(),
        "memory_mb": round(psutil.virtual_memory().total / 1e6),
        "os": platform.platform(),
        "machine": platform.machine(),
        "governor": _governor(),
        "load_average": _load_average(),
        "python": platform.python_version(),
        "torch": _version("torch"),
        "onnxruntime": _version("onnxruntime"),
        "openvino": _version("openvino"),
        "aum_edge": aum_edge.__version__,
    }


def host_line(machine: dict[str, Any]) -> str:
    """A described host in one line."""
    flags = machine.get("cpu_flags") or ()
    vectors = [name for name in SHOWN_VECTORS if name in flags]
    versions = [f"{x} {machine[x]}" for x in ("onnxruntime", "torch", "openvino") if machine[x]]
    load = machine["load_average"]
    parts = [
        f"{machine['cpu']}, {machine['logical_cores']} cores",
        " ".join(vectors),
        f"governor {machine['governor']}" if machine["governor"] else "",
        f"load {load[0]:g}" if load else "",
        *versions,
    ]
    return "; ".join(filter(None, parts))


def busy(machine: dict[str, Any]) -> str | None:
    """A line about other work on a described host; None if it is idle or unknown."""
    load, cores = machine.get("load_average"), machine.get("logical_cores") or 1
    if not load or load[0] <= BUSY * cores:
        return None
    return (
        f"this machine is busy (load {load[0]:g} on {cores} cores): trust ratios and minima, and "
        "repeat the run when it is quiet"
    )


def _cpu() -> str:
    """The processor's name as the system gives it."""
    name = _cpu_info("model name", "Model", "Hardware")
    return name or platform.processor() or platform.machine() or "unknown"


def _flags() -> list[str]:
    """The vector instructions it has, empty where the system does not tell."""
    have = _cpu_info("flags", "Features").split()
    return [name for name in VECTORS if name in have]


def _cpu_info(*wanted: str) -> str:
    """The first of these values that the system gives, or nothing."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in wanted and value.strip():
            return value.strip()
    return ""


def _governor() -> str | None:
    try:
        return GOVERNOR.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _load_average() -> list[float] | None:
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except (OSError, AttributeError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
