"""Makes the project's environment `.venv` from the lock file. Standard library only."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "tools" / "requirements.lock"
MARK = VENV / "aum-edge-lock.sha256"
TORCH = "torch==2.13.0"
UV = "uv==0.13.8"
OLDEST = (3, 11)


def venv_python() -> Path:
    """The interpreter inside `.venv`."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def ensure_environment() -> Path:
    """Make `.venv` if it is missing, unfinished or made from another lock; return its python."""
    if sys.version_info < OLDEST:
        sys.exit(
            f"aum-edge needs Python {OLDEST[0]}.{OLDEST[1]} or newer, this is "
            f"{platform.python_version()}. Run this script with a newer python3."
        )
    wanted = _fingerprint()
    if MARK.exists() and venv_python().exists() and MARK.read_text().strip() == wanted:
        return venv_python()
    print(f"Setting up {VENV.name}: about 1.5 GB and a few minutes, this once.", flush=True)
    # An environment from another lock is brought up to date; making it anew would copy its own
    # python over itself.
    if not venv_python().exists():
        venv.create(VENV, with_pip=True, clear=True)
    _install_torch()
    _run("the locked packages", _pip("--requirement", str(LOCK)))
    _run("setuptools", _pip("setuptools>=77"))
    _run("aum-edge", _pip("--no-deps", "--no-build-isolation", "--editable", str(ROOT)))
    MARK.write_text(wanted + "\n")
    return venv_python()


def _fingerprint() -> str:
    inputs = (LOCK, ROOT / "pyproject.toml", ROOT / "setup.py")
    state = b"".join(path.read_bytes() for path in inputs if path.exists())
    return hashlib.sha256(state + str(ROOT).encode()).hexdigest()


def _install_torch() -> None:
    """CPU torch. On Linux the default index serves CUDA builds of several GB, so uv, which knows
    where the CPU builds are, is asked first; elsewhere the default index has CPU builds.
    """  # noqa: D205
    if _has_torch():
        return
    if platform.system() == "Linux":
        _run("uv", _pip(UV))
        command = [str(venv_python()), "-m", "uv", "pip", "install", "--quiet"]
        command += ["--python", str(venv_python()), "--torch-backend", "cpu", TORCH]
        quick = {"UV_HTTP_CONNECT_TIMEOUT": "10", "UV_HTTP_RETRIES": "0"}
        done = subprocess.run(command, env=os.environ | quick, capture_output=True, check=False)
        if done.returncode == 0:
            print("torch: the CPU build of PyTorch's own index.", flush=True)
            _say_cuda()
            return
        print("torch: PyTorch's own index did not answer, using pip's index.", flush=True)
    _run("torch", _pip(TORCH))
    _say_cuda()


def _has_torch() -> bool:
    probe = [str(venv_python()), "-c", "import torch; print(torch.__version__)"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.startswith(TORCH.split("==")[1])


def _say_cuda() -> None:
    python = venv_python().relative_to(ROOT)
    print(
        f"For an NVIDIA GPU type: {python} -m pip install {UV} && "
        f"{python} -m uv pip install --torch-backend auto --reinstall {TORCH}",
        flush=True,
    )


def _pip(*arguments: str) -> list[str]:
    return [str(venv_python()), "-m", "pip", "install", "--quiet", *arguments]


def _run(what: str, command: list[str]) -> None:
    print(f"Installing {what} ...", flush=True)
    quiet = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if subprocess.run(command, env=quiet, check=False).returncode != 0:
        sys.exit(
            f"Could not install {what}: see pip's message above. Check the network and the disk, "
            "then run this command again; what is installed stays."
        )
