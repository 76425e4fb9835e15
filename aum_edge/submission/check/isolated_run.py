"""Run by ``submit --check`` in a process of its own: a package as the challenge would use it.

It imports nothing of aum_edge and blocks it, does what the kit's two scripts do, and writes down
what they would only print or fail on. Usage: ``python -I isolated_run.py JOB.json``; the job names
``root``, ``package``, ``index``, ``allow`` (may aum_edge be imported), ``answer``, the file to
write, ``sounds``, eight different clips, and ``sample``, files and device ids of the evaluation
set whose logits are wanted.
"""

from __future__ import annotations

import copy
import importlib
import importlib.abc
import inspect
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SCENES = [
    "airport", "bus", "metro", "metro_station", "park",
    "public_square", "shopping_mall", "street_pedestrian", "street_traffic", "tram",
]  # fmt: skip
KIT_DEVICES = ["a", "b", "c", *(f"s{number}" for number in range(1, 11))]
OTHER_DEVICES = ["unknown", "D", "d", "", "s99"]
SIGNATURES = {
    "predict": ("file_paths", "device_ids", "model_file_path", "use_cuda"),
    "load_model": ("model_file_path",),
    "load_inputs": ("file_paths", "device_ids", "model"),
    "get_model_for_device": ("model", "device_id"),
}
EXTRA = {"predict": ("batch_size",), "load_inputs": ("num_workers", "batch_size")}
WIDTHS = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1, "uint8": 1, "qint8": 1,
          "quint8": 1, "int32": 4}  # fmt: skip
CLOSE = 2e-2  # Logits in 16 bit differ by this much between batches.


class ImportBlocker(importlib.abc.MetaPathFinder):
    """Refuses to import aum_edge, wherever it is installed."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        """No other finder is tried."""
        if fullname.split(".")[0] == "aum_edge":
            raise ModuleNotFoundError("the package imports aum_edge, which others do not have")


class Inspection:
    """The findings about one module."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.label = f"{job['package']}_{job['index']}"
        self.findings: list[dict[str, str]] = []
        self.per_device: dict[str, dict[str, int]] = {}
        self.weights: dict[str, dict[str, int]] = {}
        self.counted: dict[Any, Any] = {}
        self.sample: list[list[float]] = []

    def add(self, level: str, what: str) -> None:
        """Add one finding."""
        self.findings.append({"level": level, "what": f"{self.label}: {what}"})

    def attempt(self, what: str, work: Callable[..., Any], *given: Any) -> Any:
        """What ``work`` makes of ``given``, or None and a finding."""
        try:
            return work(*given)
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            where = traceback.extract_tb(error.__traceback__)[-1]
            line = f"{Path(where.filename).name}:{where.lineno}"
            self.add("error", f"{what} fails with {type(error).__name__} at {line}: {reason}")
            return None

    def run(self) -> None:
        """Everything, as far as it gets."""
        name = f"{self.job['package']}.{self.label}"
        module = self.attempt(f"`import {name}`", importlib.import_module, name)
        if module is None or not self.signatures(module):
            return
        model = self.attempt("load_model()", module.load_model)
        if model is None:
            return
        self.state(model)
        self.complexity(module, model)
        self.predictions(module, model, self.job["sounds"])

    def signatures(self, module: Any) -> bool:
        """The four functions with the parameters that the kit passes by name."""
        fine = True
        for name, wanted in SIGNATURES.items():
            function = getattr(module, name, None)
            if not callable(function):
                self.add("error", f"there is no function `{name}`")
                fine = False
                continue
            taken = inspect.signature(function).parameters
            free = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in taken.values())
            lacking = [word for word in wanted if word not in taken and not free]
            for word in lacking:
                self.add("error", f"`{name}` lacks the parameter `{word}` that the kit passes")
                fine = False
            for word in EXTRA.get(name, ()):
                if word not in taken and not free:
                    self.add("note", f"`{name}` has no `{word}`, which the baseline's takes")
        return fine

    def state(self, model: Any) -> None:
        """The kit stores ``load_model().model.state_dict()``."""
        import torch

        inner = getattr(model, "model", None)
        if not isinstance(inner, torch.nn.Module):
            self.add("error", "what load_model returns has no `.model` module, whose state is kept")
            return
        what = "storing `.model.state_dict()`"
        self.attempt(what, lambda: torch.save(inner.state_dict(), io.BytesIO()))
        if not inner.state_dict():
            self.add("error", "`.model.state_dict()` is empty: nothing would be stored")

    def complexity(self, module: Any, model: Any) -> None:
        """MACs and bytes by device, as test_complexity.py counts; and that networks run."""
        dummy = Path(self.job["root"]) / self.job["package"] / "resources" / "dummy.wav"
        if not dummy.is_file():
            self.add("error", "resources/dummy.wav is missing")
            return
        devices = KIT_DEVICES + OTHER_DEVICES
        files = [str(dummy)] * len(devices)
        inputs = self.attempt("load_inputs", module.load_inputs, files, devices, model)
        if inputs is None or not self.tensors(inputs, len(devices)):
            return
        for device, tensor in zip(devices, inputs, strict=True):
            network = self.network_of(module, model, device)
            if network is None:
                continue
            self.forward(device, network, tensor)
            if device in KIT_DEVICES:
                self.count(device, network, tuple(tensor.shape))
        blind = [device for device, row in self.per_device.items() if not row["MACs"]]
        if blind:
            self.add("note", f"the kit's script sees 0 MACs of the models of {', '.join(blind)}")

    def network_of(self, module: Any, model: Any, device: str) -> Any:
        """The network of a device, or None and a finding."""
        what = f"get_model_for_device(model, {device!r})"
        return self.attempt(what, module.get_model_for_device, model, device)

    def tensors(self, inputs: Any, wanted: int) -> bool:
        """One float tensor a file, the batch first."""
        import torch

        if not isinstance(inputs, list | tuple) or len(inputs) != wanted:
            self.add("error", f"load_inputs must return a list of {wanted} tensors, one a file")
            return False
        for tensor in inputs:
            if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
                kind = getattr(tensor, "dtype", type(tensor).__name__)
                self.add("error", f"load_inputs must return float tensors, got {kind}")
                return False
            if tensor.ndim < 2 or tensor.shape[0] != 1:
                self.add("error", f"load_inputs gives {tuple(tensor.shape)}, not a batch of 1")
                return False
            if not torch.isfinite(tensor).all():
                self.add("error", "load_inputs gives NaN or infinity for resources/dummy.wav")
                return False
        return True

    def forward(self, device: str, network: Any, tensor: Any) -> None:
        """The network of a device takes the tensor that load_inputs made for it."""
        import torch

        with torch.no_grad():
            logits = self.attempt(f"the model of device {device!r}", network, tensor)
        if logits is None:
            return
        if not isinstance(logits, torch.Tensor) or logits.numel() != len(SCENES):
            shape = tuple(getattr(logits, "shape", ()))
            self.add("error", f"the model of device {device!r} gives {shape}, not 10 logits")
        elif not torch.isfinite(logits).all():
            self.add("error", f"the model of device {device!r} gives NaN or infinity")

    def count(self, device: str, network: Any, shape: tuple[int, ...]) -> None:
        """Multiply-adds by torchinfo, bytes by type, and what other years limit."""
        if (network, shape) not in self.counted:
            what = f"counting device {device!r}"
            self.counted[network, shape] = self.attempt(what, official, network, shape)
        figures = self.counted[network, shape]
        if figures is None:
            return
        self.per_device[device] = {"MACs": figures[0], "Params": figures[1]}
        self.weights[device] = weights(network)
        if figures[2]:
            self.add("error", f"device {device}: the kit refuses parameters of {figures[2]}")

    def predictions(self, module: Any, model: Any, files: list[str]) -> None:
        """``predict`` as evaluate_submission.py calls it: order, shapes, classes, sums."""
        import torch

        devices = ["a", "unknown", "s1", "s9", "", "b", "c", "s3"][: len(files)]
        settings = {"model_file_path": None, "use_cuda": torch.cuda.is_available()}

        def predict(some: list[str], ids: list[str]) -> Any:
            return module.predict(file_paths=some, device_ids=ids, **settings)

        answer = self.attempt("predict", predict, files, devices)
        rows = None if answer is None else self.rows(answer, len(files))
        if rows is None:
            return
        back = self.attempt("predict", predict, files[::-1], devices[::-1])
        if back is not None:
            again = self.rows(back, len(files))
            if again is not None and not torch.allclose(rows, again.flip(0), atol=CLOSE):
                self.add("error", "predict does not keep the order of the files it is given")
        self.agreement(module, model, (files, devices, rows))
        sample = self.job.get("sample")
        if sample:
            answer = self.attempt("predict", predict, sample["files"], sample["devices"])
            logits = None if answer is None else self.rows(answer, len(sample["files"]))
            self.sample = [] if logits is None else logits.double().tolist()

    def rows(self, answer: Any, count: int) -> Any:
        """The logits (count, 10) of a result of ``predict``; None and findings if it is none."""
        import torch

        if not isinstance(answer, tuple | list) or len(answer) != 2:
            self.add("error", "predict must return (list of logits, class order)")
            return None
        logits, order = answer
        if list(order) != SCENES:
            self.add("error", f"the class order is {list(order)}, the kit demands {SCENES}")
        if not isinstance(logits, list | tuple) or len(logits) != count:
            self.add("error", f"predict must return a list of {count} tensors, one a file")
            return None
        if not all(isinstance(x, torch.Tensor) and x.numel() == len(SCENES) for x in logits):
            self.add("error", "predict must return a tensor of 10 logits for each file")
            return None
        rows = torch.stack([x.detach().float().cpu().reshape(-1) for x in logits])
        if not torch.isfinite(rows).all():
            self.add("error", "predict gives NaN or infinity")
            return None
        return rows

    def agreement(self, module: Any, model: Any, given: tuple[list[str], list[str], Any]) -> None:
        """``predict`` computes with the models whose complexity is counted."""
        import torch

        files, devices, rows = given
        inputs = self.attempt("load_inputs", module.load_inputs, files, devices, model)
        if inputs is None or not self.tensors(inputs, len(files)):
            return
        for device, tensor, row in zip(devices, inputs, rows, strict=True):
            network = self.network_of(module, model, device)
            if network is None:
                return
            with torch.no_grad():
                alone = self.attempt(f"the model of device {device!r}", network, tensor)
            if alone is None:
                return
            if not torch.allclose(alone.float().cpu().reshape(-1), row, atol=CLOSE):
                what = "what is counted is not what predicts"
                self.add("error", f"predict differs from the model of device {device!r}: {what}")
                return


def official(network: Any, shape: Sequence[int]) -> tuple[int, int, str]:
    """Multiply-adds of a float copy, bytes of parameters, and a type that the kit refuses."""
    import torchinfo

    summary = torchinfo.summary(copy.deepcopy(network).float(), input_size=tuple(shape), verbose=0)
    size, remark = 0, ""
    for parameter in network.parameters():
        width = WIDTHS.get(str(parameter.dtype).removeprefix("torch."))
        remark = remark if width else str(parameter.dtype)
        size += parameter.numel() * (width or parameter.element_size())
    return int(summary.total_mult_adds), size, remark


def weights(network: Any) -> dict[str, int]:
    """Number of parameters, and bytes of parameters and statistics that are not zero."""
    import torch

    stored = [*network.parameters()]
    stored += [t for name, t in network.named_buffers() if not name.endswith("num_batches_tracked")]
    return {
        "n_params": sum(parameter.numel() for parameter in network.parameters()),
        "nonzero_bytes": sum(int(torch.count_nonzero(t)) * t.element_size() for t in stored),
    }


def main() -> None:
    """Read the job, inspect, write what was found."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if not job["allow"]:
        sys.meta_path.insert(0, ImportBlocker())
    sys.path.insert(0, job["root"])
    os.chdir(job["root"])
    inspection = Inspection(job)
    inspection.run()
    parts = ("findings", "per_device", "weights", "sample")
    answer = {name: getattr(inspection, name) for name in parts}
    Path(job["answer"]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
