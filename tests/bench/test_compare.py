"""Earlier numbers are shown beside new ones of the same host, and of no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aum_edge.bench.compare import changes, check_same_host, read_earlier
from aum_edge.bench.host import busy
from aum_edge.errors import BenchError

HOST = {"cpu": "Tiny 1", "machine": "x86_64", "cores": 2, "logical_cores": 4, "torch": "2.1"}


def row(**values: Any) -> dict[str, Any]:
    usual = {"model": "a/x.onnx", "runtime": "onnxruntime", "threads": 1, "p50_ms": 2.0}
    return {**usual, "sha256": "s", "ratio": 1.5, **values}


@pytest.mark.parametrize(
    ("field", "value"), [("cpu", "Tiny 2"), ("cores", 8), ("machine", "aarch64")]
)
def test_another_host_is_refused_and_named(field: str, value: object) -> None:
    with pytest.raises(BenchError, match=f"{HOST[field]} then, {value} now"):
        check_same_host({**HOST, field: value}, HOST)


def test_other_instructions_are_another_host() -> None:
    old = {**HOST, "cpu_flags": ["avx2", "fma"]}
    with pytest.raises(BenchError, match="avx2 gone, avx512f new"):
        check_same_host({**HOST, "cpu_flags": ["fma", "avx512f"]}, old)
    assert check_same_host({**HOST, "cpu_flags": ["fma"]}, HOST) == []


def test_other_versions_are_told() -> None:
    assert check_same_host({**HOST, "torch": "2.2"}, HOST) == ["torch was 2.1, is 2.2"]


def test_rows_are_matched_by_name_runtime_threads_and_batch() -> None:
    old = {"rows": [row(model="b/x.onnx", p50_ms=4.0), row(threads=2), row(batch=8)]}
    new = {"rows": [row(sha256="t"), row(runtime="torch"), row(model="y.onnx")]}
    (found,) = changes(new, old)
    assert (found.model, found.now_ms, found.then_ms, found.times) == ("x.onnx", 2.0, 4.0, 0.5)
    assert found.other_file
    assert (found.now_ratio, found.then_ratio) == (1.5, 1.5)


def test_one_name_in_two_folders_is_told_apart_by_its_path() -> None:
    old = {"rows": [row(p50_ms=4.0), row(model="b/x.onnx", p50_ms=9.0)]}
    assert [found.then_ms for found in changes(old, old)] == [4.0, 9.0]
    assert changes({"rows": [row(model="c/x.onnx")]}, old) == []
    once = {"rows": [row(model="old/x.onnx")]}
    assert changes({"rows": [row(), row(model="b/x.onnx")]}, once) == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"rows": [{}], "host": {"cpu": "x"}}', '{"rows": [], "host": 1}']
)
def test_a_file_that_is_no_bench(tmp_path: Path, text: str) -> None:
    (tmp_path / "old.json").write_text(text)
    with pytest.raises(BenchError, match="no bench"):
        read_earlier(tmp_path / "old.json")


def test_earlier_numbers_are_read(tmp_path: Path) -> None:
    values = {"rows": [row()], "host": HOST}
    (tmp_path / "old.json").write_text(json.dumps(values))
    assert read_earlier(tmp_path / "old.json") == values
    with pytest.raises(BenchError, match="Cannot read"):
        read_earlier(tmp_path / "none.json")


@pytest.mark.parametrize(("load", "said"), [(0.2, False), (1.9, True), (None, False)])
def test_a_busy_machine_is_named(load: float | None, said: bool) -> None:
    machine = {"load_average": None if load is None else [load, 0, 0], "logical_cores": 4}
    assert (busy(machine) is not None) == said
