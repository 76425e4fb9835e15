"""Builds the optional C kernel of the scan; without a compiler the install goes on without it."""

from __future__ import annotations

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FAST = ["-O3", "-std=c99", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
FAST += ["-fno-signed-zeros", "-Wno-psabi"]
PLAIN = ["-O2", "-DAUM_PLAIN"]
"""For compilers that cannot build several instruction sets into one file."""
SOURCES = "aum_edge/ssm/csrc"


class BuildKernel(build_ext):
    """Compiles for every CPU of the family; nothing here depends on the machine that builds."""

    def build_extension(self, ext: Extension) -> None:
        """Compile, or leave the kernel out."""
        if self.compiler.compiler_type == "msvc":
            print("aum-edge: the C kernel needs gcc or clang; the scan will run in pure torch.")
            return
        for flags in (FAST, PLAIN):
            ext.extra_compile_args = flags
            try:
                super().build_extension(ext)
            except Exception as error:  # whatever a compiler may do, the install goes on
                print(f"aum-edge: the C kernel was not built with {flags}: {error}")
            else:
                return
        print("aum-edge: no C kernel; the scan will run in pure torch.")


setup(
    ext_modules=[
        Extension(
            "aum_edge.ssm.scan._scan",
            [f"{SOURCES}/scan.c"],
            depends=[f"{SOURCES}/{name}.h" for name in ("lanes", "recurrence")],
            libraries=["m"],
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildKernel},
)
