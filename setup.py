"""Builds the optional C kernel of the scan; without a compiler the install goes on without it."""

from __future__ import annotations

import os

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FAST = ["-O3", "-std=c99", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
FAST += ["-fno-signed-zeros", "-fassociative-math"]


class BuildKernel(build_ext):
    """Tries the flags for this very machine first, then plainer ones."""

    def build_extension(self, ext: Extension) -> None:
        """Compile, or leave the kernel out."""
        if self.compiler.compiler_type == "msvc":
            attempts = [["/O2", "/fp:fast"]]
        else:
            native = [] if os.environ.get("AUM_EDGE_PORTABLE") else [["-march=native", *FAST]]
            attempts = [*native, FAST, ["-O2"]]
        for flags in attempts:
            ext.extra_compile_args = flags
            try:
                super().build_extension(ext)
            except Exception as error:  # whatever a compiler may do, the install goes on
                print(f"aum-edge: the C kernel was not built with {flags}: {error}")
            else:
                return


setup(
    ext_modules=[Extension("aum_edge.ssm._scan", ["aum_edge/ssm/csrc/scan.c"], optional=True)],
    cmdclass={"build_ext": BuildKernel},
)
