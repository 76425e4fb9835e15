"""`aum-edge doctor`: what this machine has, and what aum-edge will use."""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from aum_edge.core.text import one_line

NEEDED = ("torch", "numpy", "soundfile", "lightning", "onnx", "onnxruntime", "torch-pruning")
OPTIONAL = ("mamba-ssm", "causal-conv1d", "torchaudio", "tensorboard", "wandb", "transformers")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(options: argparse.Namespace) -> int:
    """Report packages, hardware and scan; 1 when something needed fails, or no scan can run."""
    import torch

    from aum_edge.bench.host import host
    from aum_edge.ssm.scan import dispatch

    kernels = dispatch.describe()
    needed = {name: _state(name) for name in NEEDED}
    found = {
        "host": host(),
        "needed": needed,
        "optional": {name: _state(name) for name in OPTIONAL},
        "cuda": torch.cuda.is_available(),
        "scan": kernels["cpu"].partition(":")[0],
        "kernels": kernels,
    }
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        for group in ("host", "needed", "optional"):
            print(group)
            for name, value in found[group].items():  # type: ignore[attr-defined]
                print(f"  {name:<16} {value}")
        print(f"cuda               {'yes' if found['cuda'] else 'no'}")
        print("selective scan and SSD")
        for name, value in kernels.items():
            print(f"  {name:<16} {value}")
    failing = any(state.startswith("missing") for state in needed.values())
    return 1 if failing or found["scan"] == "none" else 0


def _state(package: str) -> str:
    """Version of an installed package, or why it cannot be used."""
    module = package.replace("-", "_")
    if find_spec(module) is None:
        return "missing"
    try:
        import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        return f"missing: does not import ({one_line(error, 120)})"
    try:
        return version(package)
    except PackageNotFoundError:
        return "installed"
