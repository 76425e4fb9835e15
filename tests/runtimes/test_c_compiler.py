"""The machine's compiler: found, cached, and its failures in one line."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from aum_edge.errors import ExportError, RecipeError
from aum_edge.runtimes import c_compiler
from aum_edge.runtimes.c_compiler import (
    MissingCompilerError,
    build_library,
    build_program,
    cache_folder,
    check_runs_here,
    find_compiler,
    flags,
)
from tests.export.c.frontend.frontend_program import need_compiler


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    need_compiler()


def written(folder: Path, value: int) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    header, source = folder / "answer.h", folder / "answer.c"
    header.write_text("int answer(void);\n")
    source.write_text(f'#include "answer.h"\nint answer(void) {{ return {value}; }}\n')
    return source, header


def test_libraries_are_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, header = written(tmp_path / "a", 7)
    first = build_library([source], [header])
    assert ctypes.CDLL(str(first)).answer() == 7
    assert first.parent == tmp_path / "cache" / "aum-edge" / "c"
    monkeypatch.setattr(c_compiler, "_compile", lambda *_: pytest.fail("compiled again"))
    assert build_library([source], [header]) == first


def test_another_text_header_or_isa_is_another_library(tmp_path: Path) -> None:
    source, header = written(tmp_path / "a", 7)
    made = {build_library([source], [header]), build_library([source], [header], "portable")}
    header.write_text("int answer(void);\n\n")
    made.add(build_library([source], [header]))
    source, header = written(tmp_path / "a", 8)
    made.add(build_library([source], [header]))
    assert len(made) == 4
    assert len(list(cache_folder().iterdir())) == 4


def test_another_compiler_or_processor_is_another_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, header = written(tmp_path / "a", 7)
    first = build_library([source], [header])
    monkeypatch.setattr(c_compiler, "_cpu", lambda: "another")
    second = build_library([source], [header])
    monkeypatch.setattr(c_compiler, "_version", lambda _: "another")
    assert len({first, second, build_library([source], [header])}) == 3


def test_a_compiler_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -O1")
    with pytest.raises(MissingCompilerError, match=r"\$CC names `no-such-compiler -O1`"):
        find_compiler()
    monkeypatch.setenv("CC", "'gcc")
    with pytest.raises(MissingCompilerError, match="which is not there"):
        find_compiler()
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingCompilerError, match="no cc, gcc or clang"):
        find_compiler()


def test_a_compiler_that_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken"
    broken.write_text("not a program")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(MissingCompilerError, match="does not run"):
        find_compiler()


def test_what_does_not_compile_is_one_line(tmp_path: Path) -> None:
    source, header = written(tmp_path / "a", 7)
    source.write_text("int answer(void) { return this is no C; }\n")
    with pytest.raises(ExportError, match=r"could not compile answer\.c: .*error") as caught:
        build_library([source], [header])
    assert "\n" not in str(caught.value)
    assert list(cache_folder().iterdir()) == []
    with pytest.raises(ExportError, match="Cannot read"):
        build_library([tmp_path / "none.c"], [])


def test_programs_run(tmp_path: Path) -> None:
    source, _ = written(tmp_path / "a", 7)
    main = tmp_path / "a" / "main.c"
    main.write_text('#include "answer.h"\nint main(void) { return answer(); }\n')
    program = build_program([source, main], tmp_path / "program")
    assert os.waitstatus_to_exitcode(os.system(str(program))) == 7


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = cache_folder()
    assert folder.is_dir()
    assert folder == cache_folder()


def test_instruction_sets() -> None:
    assert "-DAUM_SCALAR" in flags("portable")
    assert "-ffast-math" not in flags("native")
    with pytest.raises(RecipeError, match="`isa` must be one of native"):
        flags("mmx")  # type: ignore[arg-type]


def test_code_that_would_end_the_process_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = tmp_path / "cpuinfo"
    listing.write_text("processor\t: 0\nflags\t\t: fpu avx2 bmi2 fma movbe avx512f\n")
    monkeypatch.setattr(c_compiler, "CPU_INFO", listing)
    check_runs_here("avx2")
    check_runs_here("native")
    with pytest.raises(RecipeError, match="needs a processor with avx512bw"):
        check_runs_here("avx512")
    monkeypatch.setattr(c_compiler, "CPU_INFO", tmp_path / "none")
    check_runs_here("avx512")
