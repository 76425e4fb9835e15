"""Exported C on other compilers, languages, machines, and on input that is no sound at all."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aum_edge.audio.config import Normalization, aum_fbank
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.export.c.config import CExportConfig
from aum_edge.export.c.export import export_c
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.registry import build
from aum_edge.models.student_config import MambaStudentConfig
from tests.export.conftest import FRONTEND, LABELS, STUDENT

HERE = Path(__file__).parent / "programs"
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined,float-cast-overflow"]
SANITIZE += ["-fno-sanitize-recover=all"]
M4 = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
M7 = ["-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"]


def causal() -> AudioClassifier:
    torch.manual_seed(4)
    config = MambaStudentConfig(mixer="ssd", bidirectional=False, **STUDENT)
    normalization = Normalization(mean=-4.0, std=2.5)
    return AudioClassifier(
        build(config), frontend=FRONTEND, normalization=normalization, labels=LABELS
    ).eval()


def kaldi() -> AudioClassifier:
    """A bidirectional S6 student in int8, Kaldi's front end."""
    frontend = replace(aum_fbank(clip_seconds=0.185), n_mels=32)
    torch.manual_seed(5)
    sizes = {**STUDENT, "n_frames": frontend.n_frames}
    model = AudioClassifier(
        build(MambaStudentConfig(mixer="s6", **sizes)),
        frontend=frontend,
        normalization=Normalization(mean=-4.0, std=2.5),
        labels=LABELS,
    )
    return quantize(model.eval(), QuantizeConfig())


MODELS = {"stream": causal, "int8": kaldi}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Exports by model, unproven: their programs are compiled and run by the tests."""
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", "no-such-compiler")
        for name, model in MODELS.items():
            folder = tmp_path_factory.mktemp(name)
            export_c(model(), folder / "fuzzed.c", CExportConfig(name="fuzzed"))
            made[name] = folder
    return made


def need(*tools: str) -> None:
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[:2000]
    return done.stdout


@pytest.mark.parametrize("model", ["stream", "int8"])
@pytest.mark.parametrize(
    ("compiler", "language"),
    [("gcc", "-std=c99"), ("clang", "-std=c99"), ("g++", "-std=c++11"), ("clang++", "-std=c++11")],
)
def test_no_warnings(folders: dict[str, Path], model: str, compiler: str, language: str) -> None:
    need(compiler)
    as_cxx = ["-x", "c++"] if "++" in compiler else []
    command = [compiler, language, *STRICT, "-O1", *as_cxx, "-fsyntax-only"]
    for extra in ([], ["-DAUM_SCALAR"], ["-march=native"] if model == "stream" else []):
        run(*command, *extra, "fuzzed.c", cwd=folders[model])
    run(*command, "fuzzed_test.c", cwd=folders[model])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "extra"), [("stream", "-march=native"), ("int8", "-DAUM_SCALAR")]
)
def test_sanitizers_and_any_input(folders: dict[str, Path], model: str, extra: str) -> None:
    need("gcc")
    folder = folders[model]
    command = ["gcc", "-std=c99", *SANITIZE]
    run(*command, extra, "-c", "fuzzed.c", "-o", "sane.o", cwd=folder)
    run(*command, "sane.o", "fuzzed_test.c", "-o", "golden", cwd=folder)
    assert "allowed" in run("./golden", cwd=folder)
    run(*command, "sane.o", HERE / "fuzz.c", "-I.", "-o", "fuzz", cwd=folder)
    assert run("./fuzz", "10", cwd=folder) == "0 wrong\n"


@pytest.mark.parametrize(
    ("model", "name", "cpu"), [("int8", "m4", M4), ("stream", "m7", M7)], ids=["m4", "m7"]
)
def test_cortex_m(folders: dict[str, Path], model: str, name: str, cpu: list[str]) -> None:
    need("arm-none-eabi-gcc")
    folder = folders[model]
    command = ["arm-none-eabi-gcc", "-O2", *cpu, "-Wall", "-Wextra", "-Werror"]
    run(*command, "-std=c99", "-Wconversion", "-c", "fuzzed.c", "-o", f"{name}.o", cwd=folder)
    need("qemu-arm")
    own = ["-nostartfiles", "--specs=nosys.specs", HERE / "bare.c"]
    run(*command, *own, f"{name}.o", "fuzzed_test.c", "-lm", "-o", name, cwd=folder)
    # Linux' user mode has no Cortex-M; `max` runs the same Thumb-2 and floating point code.
    assert "allowed" in run("qemu-arm", "-cpu", "max", f"./{name}", cwd=folder)


@pytest.mark.parametrize(
    ("model", "compiler", "machine"),
    [
        ("stream", "aarch64-linux-gnu-gcc", "qemu-aarch64"),
        ("int8", "powerpc-linux-gnu-gcc", "qemu-ppc"),
    ],
)
def test_other_machines(folders: dict[str, Path], model: str, compiler: str, machine: str) -> None:
    need(compiler, machine)
    folder, out = folders[model], f"golden-{machine}"
    strict = [*STRICT, "-std=c99", "-O2", "-static"]
    run(compiler, *strict, "fuzzed.c", "fuzzed_test.c", "-o", out, cwd=folder)
    assert "allowed" in run(machine, f"./{out}", cwd=folder)
