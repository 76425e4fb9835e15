"""The texts of a package that are not copies: the kit's module, setup.py, requirements, NOTICE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from textwrap import dedent
from typing import Any

import aum_edge
from aum_edge.models.registry import architectures

BASE = ("torch>=2.8", "numpy>=2.0", "safetensors>=0.4", "soundfile>=0.12")

_API = '''\
"""The challenge's interface to {label}: predict, load_model, load_inputs, get_model_for_device.

The models of this system lie in ckpts/{label}; {serves}
"""

from pathlib import Path
from typing import List, Optional, Tuple

import torch

from {runtime}.runtime import api
from {runtime}.runtime.system import Running, System

_WEIGHTS = Path(__file__).parent / "ckpts" / "{label}"


def predict(
    file_paths: List[str],
    device_ids: List[str],
    model_file_path: Optional[str] = None,
    use_cuda: bool = True,
    batch_size: int = 64,
) -> Tuple[List[torch.Tensor], List[str]]:
    """Logits (10,) of each file in the order given, and the class order.

    A GPU is used where there is one and `use_cuda` is true; otherwise the CPU.
    """
    model = load_model(model_file_path)
    running = Running(batch_size=batch_size, use_cuda=use_cuda)
    return api.predict(file_paths, device_ids, model, running)


def load_model(model_file_path: Optional[str] = None) -> System:
    """All networks of this system; the state of its `.model` is what the kit stores.

    `model_file_path` is None for the weights of this package, another folder like them, or a
    file with a stored state.
    """
    return api.load_model(_WEIGHTS, model_file_path)


def load_inputs(
    file_paths: List[str],
    device_ids: List[str],
    model: torch.nn.Module,
    num_workers: int = 0,
    batch_size: int = 256,
) -> List[torch.Tensor]:
    """One tensor (1, 1, n_mels, n_frames) of log-mel features a file; 0 workers is one a core."""
    return api.load_inputs(file_paths, device_ids, model, num_workers, batch_size)


def get_model_for_device(model: torch.nn.Module, device_id: str) -> torch.nn.Module:
    """The network of a device; an id without one of its own gets the general network."""
    return api.get_model_for_device(model, device_id)
'''

_SETUP = '''\
"""pip install . makes the challenge package `{package}` importable."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "{package}"
HERE = Path(__file__).parent

setup(
    name=PACKAGE,
    version="1.0",
    description="DCASE Task 1 inference package {package}",
    packages=find_packages(include=[PACKAGE, PACKAGE + ".*"]),
    package_data={{PACKAGE: ["resources/*", "ckpts/*/*/*", "NOTICE", "LICENSE"]}},
    install_requires=(HERE / "requirements.txt").read_text(encoding="utf-8").split(),
    python_requires=">=3.11",
)
'''


_README = """\
# {package}

Inference package for DCASE Task 1, in the layout of the challenge's kit. Self-contained{but}.

    pip install .
    python
    >>> from importlib import import_module
    >>> system = import_module("{package}.{package}_{index}")
    >>> system.predict(["x.wav"], ["a"])

`predict`, `load_model`, `load_inputs` and `get_model_for_device` take the kit's arguments. A device
without a model of its own, `unknown` and new ones included, gets the general model. The class order
is alphabetical. For the kit's own scripts put complexity.py, test_complexity.py and
evaluate_submission.py beside this file.

{rows}

Bytes are those of the weights as they are stored; int8 and 16-bit weights are widened to float32
where they are computed with. MACs are those of one clip of 1 s.
{graphs}"""

_GRAPHS = """
Models that onnxruntime runs: their stored tensors are registered as parameters, so their bytes are
counted. The official script cannot look into onnxruntime and prints 0 MACs for them; the MACs of
the table and of predictions/*/complexity.json are those of our count over the graph.
"""


def readme(package: str, systems: Mapping[str, Mapping[str, Any]]) -> str:
    """README.md beside setup.py; ``systems`` are those of the folder's marker."""
    lines = ["| system | model of | network | MACs | bytes |", "|---|---|---|---|---|"]
    for index, system in sorted(systems.items()):
        for name, row in system["models"].items():
            kind = row["architecture"]
            lines.append(
                f"| {package}_{index} | {name} | {kind} | {row['macs']:,} | {row['bytes']:,} |"
            )
    depends = any("aum-edge" in line for row in systems.values() for line in row["requires"])
    graphs = any(
        row["architecture"] == "onnx" for s in systems.values() for row in s["models"].values()
    )
    return _README.format(
        package=package,
        index=min(systems),
        but=", except that a system imports aum_edge" if depends else "",
        rows="\n".join(lines),
        graphs=_GRAPHS if graphs else "",
    )


def api_module(label: str, devices: Iterable[str], runtime: str) -> str:
    """``<label>.py``; ``runtime`` is where the code that it calls is imported from."""
    own = ", ".join(devices)
    serves = (
        f"devices {own} have one of their own, all others the general one."
        if own
        else "one model serves every device."
    )
    return _API.format(label=label, runtime=runtime, serves=serves)


def setup_text(package: str) -> str:
    """setup.py."""
    return _SETUP.format(package=package)


def requirements(architectures: Iterable[str], kinds: Iterable[str], depends: bool) -> list[str]:
    """What the package needs from elsewhere."""
    lines = list(BASE)
    if "onnx" in kinds:
        lines += ["onnx>=1.18", "onnxruntime>=1.22"]
    if "ast" in architectures:
        lines.append("transformers>=5.23")
    if depends:
        lines.append(f"aum-edge>={aum_edge.__version__}")
    return lines


def architecture_module(kinds: Iterable[str]) -> str:
    """The package's own ``runtime/architecture.py``: only the networks that it holds."""
    names = sorted(set(kinds))
    lines = ['"""The networks of this package."""', ""]
    rows = []
    for name in names:
        if name == "onnx":
            lines.append("from aum_edge.submission.runtime.onnx_network import OnnxNetwork")
            continue
        kind = architectures()[name]
        for part in (kind.config, kind.network):
            lines.append(f"from {part.__module__} import {part.__name__}")
        rows.append(f'    "{name}": ({kind.config.__name__}, {kind.network.__name__}),')
    graph = "return OnnxNetwork(path)" if "onnx" in names else "raise ValueError(path)"
    body = dedent("""

        def backbone(architecture, values):
            # A network with fresh weights.
            config, network = NETWORKS[architecture]
            return network(config(**values))


        def onnx_network(path):
            # A network that onnxruntime runs.
            {graph}
        """)
    table = "\n".join(["NETWORKS = {", *rows, "}"])
    return "\n".join([*lines, "", table]) + body.replace("{graph}", graph)


def notice() -> str:
    """Whose code the package carries."""
    return (
        f"The modules below models/ are copies from aum-edge {aum_edge.__version__}, which is "
        "licensed under the Apache License, Version 2.0 (see LICENSE); their imports were made "
        "relative. The modules beside this file were written by aum-edge for this package.\n"
    )
