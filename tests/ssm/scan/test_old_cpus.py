"""One built file on several CPUs: without AVX, with AVX2, and of another family, by emulation."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[3] / "aum_edge/ssm/csrc"
MAIN = """
#include "scan.c"
#include <stdio.h>
int main(void)
{
    float u[2] = {0.5f, 1}, d[2] = {1, 1}, A = -1, B[2] = {1, 1}, C[2] = {2, 2}, y[2] = {0, 0};
    job j = {.batch = 1, .length = 2, .channels = 1, .states = 1, .groups = 1, .step_row = 1,
             .end = 1, .u = u, .delta = d, .A = &A, .B = B, .C = C, .y = y};
    const int code = aum_run(&j, aum_sets() - 1, 0);
    printf("%d %d %.4f %.4f", aum_sets(), code, y[0], y[1]);
    return 0;
}
"""
X86 = ("gcc", ["qemu-x86_64", "-cpu"])
CASES = {
    "no AVX": (X86[0], [*X86[1], "Nehalem"], 1),
    "AVX2": (X86[0], [*X86[1], "Haswell"], 2),
    "ARM": ("aarch64-linux-gnu-gcc", ["qemu-aarch64"], 1),
}


@pytest.mark.parametrize("name", CASES)
def test_the_best_form_that_a_cpu_has_runs(tmp_path, name) -> None:
    compiler, emulator, sets = CASES[name]
    for tool in (compiler, emulator[0]):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    if compiler == "gcc" and platform.machine() != "x86_64":
        pytest.skip("gcc does not build for x86 here")
    (tmp_path / "main.c").write_text(MAIN)
    program = str(tmp_path / "main")
    flags = ["-O1", "-std=c99", "-Wno-psabi", "-static", f"-I{SOURCES}"]
    subprocess.run(
        [compiler, *flags, str(tmp_path / "main.c"), "-o", program, "-lm"], check=True, timeout=120
    )
    done = subprocess.run(
        [*emulator, program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == f"{sets} 0 1.0000 2.3679"
