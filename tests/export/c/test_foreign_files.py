"""Exported files that were mixed up, edited or given odd names."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from aum_edge.errors import ExportError, RecipeError
from aum_edge.export.c.config import CExportConfig, identifier
from aum_edge.export.c.export import export_c, write_all
from aum_edge.export.c.generate import Program, generate
from aum_edge.models.classifier import AudioClassifier
from aum_edge.runtimes import c_compiler
from aum_edge.runtimes.c import CClassifier
from aum_edge.runtimes.c_compiler import cache_folder
from aum_edge.runtimes.c_metadata import CLOSING, OPENING
from tests.export.c.engine import needs, student, write
from tests.export.c.frontend.frontend_program import need_compiler

Make = Callable[[str], AudioClassifier]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An export's files as texts by name."""
    need_compiler()
    folder = tmp_path_factory.mktemp("given")
    export_c(student(depth=1), folder / "tiny.c")
    return {path.name: path.read_text() for path in folder.iterdir()}


def put(files: dict[str, str], folder: Path) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder / "tiny.c"


def test_the_header_of_another_export_is_refused(files: dict[str, str], tmp_path: Path) -> None:
    """Its arena would be too small, and the program would write beyond it."""
    other = generate(student(depth=1, d_model=12), "tiny")
    with pytest.raises(ExportError, match=r"tiny\.h is of another export"):
        CClassifier(put({**files, "tiny.h": other.header}, tmp_path))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("labels", ["cat"], "CLASSES 1"), ("frontend", {"n_mels": 16}, "MELS 16")],
)
def test_an_edited_comment_is_refused(
    files: dict[str, str], tmp_path: Path, key: str, value: object, said: str
) -> None:
    """Python takes the lengths of arrays from it."""
    body, _, rest = files["tiny.c"].removeprefix(OPENING).partition(CLOSING)
    values = json.loads(body)
    known = json.loads(values[key])
    values[key] = json.dumps({**known, **value} if isinstance(value, dict) else value)
    text = OPENING + json.dumps(values) + CLOSING + rest
    with pytest.raises(ExportError, match=said):
        CClassifier(put({**files, "tiny.c": text}, tmp_path))


def test_an_old_array_file_is_left_alone(files: dict[str, str], tmp_path: Path) -> None:
    path = put({**files, "tiny_weights.c": "left over"}, tmp_path)
    assert len(CClassifier(path).labels) == 3


def test_a_missing_array_file_is_named(tmp_path: Path) -> None:
    need_compiler()
    write(generate(student(depth=1), "tiny", separate_weights=True), tmp_path)
    (tmp_path / "tiny_weights.c").unlink()
    with pytest.raises(ExportError, match=r"tiny_weights\.c is missing"):
        CClassifier(tmp_path / "tiny.c")


def test_the_array_file_of_another_export_is_refused(tmp_path: Path) -> None:
    need_compiler()
    model = student(depth=1)
    write(generate(model, "tiny", separate_weights=True), tmp_path)
    with torch.no_grad():
        next(model.parameters()).add_(0.1)
    other = generate(model, "tiny", separate_weights=True).weights
    assert other is not None
    mine = tmp_path / "tiny_weights.c"
    assert len(other.splitlines()) == len(mine.read_text().splitlines())
    mine.write_text(other)
    with pytest.raises(ExportError, match="weights of another export"):
        CClassifier(tmp_path / "tiny.c")


def test_names_of_options_are_files(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(files, tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("-tiny.c", "@tiny.c"):
        assert CClassifier(Path("tiny.c").rename(name)).labels == ("cat", "dog", "sea")
        Path(name).rename("tiny.c")


@pytest.mark.parametrize("name", ["clip", "stem", "fe", "string", "Math"])
def test_names_that_are_taken(name: str) -> None:
    """clip_end, stem_end and fe_push are the engine's; string.h would hide C's."""
    with pytest.raises(RecipeError, match="choose another"):
        CExportConfig(name=name)
    assert identifier(name) == f"m_{name}"


def test_golden_vectors_do_not_replace_the_model(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="golden vectors"):
        export_c(student(depth=1), tmp_path / "tiny_test.c", CExportConfig(name="tiny"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way_leaves_every_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("old")
    (tmp_path / "a.h").mkdir()
    with pytest.raises(ExportError, match=r"Cannot write .*a\.h"):
        write_all({tmp_path / "a.c": "new", tmp_path / "a.h": "new"})
    assert (tmp_path / "a.c").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.c", "a.h"]


def test_a_cache_that_others_can_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache_folder()
    assert folder == tmp_path / "aum-edge" / "c"
    folder.chmod(0o777)
    assert cache_folder() != folder
    assert cache_folder() == Path(c_compiler._made[0].name)


BOTH = '#include "one.h"\n#include "one.h"\n#include "two.h"\n'
BOTH += (
    "int main(void) { return one_size() == ONE_ARENA_BYTES && two_init(NULL, 0) == 1 ? 0 : 1; }\n"
)


def test_two_models_in_one_cpp_program(tmp_path: Path) -> None:
    """Their types have the same names and other members: C++ minds, at link time."""
    programs: list[Program] = [
        generate(student(depth=1), "one"),
        generate(student(depth=1, mixer="s6", bidirectional=False), "two"),
    ]
    sources = [source for program in programs for source in write(program, tmp_path)]
    (tmp_path / "main.c").write_text(BOTH)
    words = [needs("g++"), "-x", "c++", "-O1", "-flto=1", "-Wall", "-Wextra", "-Werror"]
    files = [*map(str, sources), str(tmp_path / "main.c")]
    done = subprocess.run(
        [*words, "-o", str(tmp_path / "both"), *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:1500]
    assert "warning" not in done.stderr, done.stderr[:1500]
    subprocess.run([str(tmp_path / "both")], check=True)


def test_no_samples_are_no_pointer_arithmetic(tmp_path: Path) -> None:
    """clang's sanitizer minds NULL + 0."""
    program = generate(student(depth=1, bidirectional=False), "tiny")
    (tmp_path / "main.c").write_text(
        '#include "tiny.h"\n'
        "static float arena[TINY_STREAM_BYTES / 4 + 16];\n"
        "int main(void)\n{\n"
        "    char *at = (char *)arena + (64 - (size_t)arena % 64) % 64;\n"
        "    return tiny_stream_init(at, TINY_STREAM_BYTES) || tiny_push(at, NULL, 0);\n}\n"
    )
    sources = [*map(str, write(program, tmp_path)), str(tmp_path / "main.c")]
    words = [needs("clang"), "-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all"]
    out = str(tmp_path / "empty")
    subprocess.run([*words, "-o", out, *sources], check=True)
    subprocess.run([out], check=True)
