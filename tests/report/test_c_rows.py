"""A student in C beside its ONNX file: two names, one model, and what its bytes are."""

from __future__ import annotations

from typing import Any

from aum_edge.report.html.page import page
from aum_edge.report.int8_savings import int8_lines
from aum_edge.report.markdown import markdown
from aum_edge.report.validation import checked
from aum_edge.report.view import ReportView, file_key
from tests.report.sample import sample

NOTE = "student_int8.c was not written: the engine lacks <fft>."


def with_programs() -> dict[str, Any]:
    """The sample and two C files, without the keys that only graphs have."""
    report = sample()
    for model, file, kind, weights, p50 in (
        ("student_pruned_c", "student.c", "fp32", 228_904, 0.40),
        ("student_int8_c", "student_int8.c", "int8", 63_480, 0.42),
    ):
        row = {"model": model, "file": file, "kind": kind, "bytes": weights + 1_096}
        sizes = {"weight_bytes": weights, "table_bytes": 1_096, "arena_bytes": 65_536}
        scores = {"max_abs_diff": 2e-6, "agreement": 1.0, "test_accuracy": 0.5913}
        report["export"].append({**row, **sizes, **scores})
        report["bench"]["rows"].append({"model": file_key(file), "runtime": "c", "p50_ms": p50})
    return report


def test_both_forms_of_a_model_keep_their_names_and_latencies() -> None:
    facts = ReportView(checked(with_programs()))
    assert [facts.title(name) for name in ("student", "student_c", "student_int8_c")] == [
        "Student, pruned",
        "Student, pruned, C",
        "Student, int8, C",
    ]
    assert facts.key_of("student_int8_c") == "student_int8"
    assert (facts.file_of("student"), facts.file_of("student_c")) == ("student.onnx", "student.c")
    found = [facts.latency(key) for key in ("student_pruned", "student_int8")]
    assert [row["runtime"] for row in found if row] == ["onnxruntime", "onnxruntime"]


def test_int8_in_c_is_held_against_float_in_c() -> None:
    lines = int8_lines(ReportView(checked(with_programs())))
    assert len(lines) == 3
    assert lines[2].startswith("Student, int8, C: saves 165,424 of 230,000 bytes of weights and ")
    assert "1.05 ×" in lines[2]
    assert "1.04 ×" in lines[0], "the graph's sentence stays the graph's"


def test_page_and_text_show_bytes_accuracy_and_arena() -> None:
    report = checked(with_programs())
    for text in (page(report), markdown(report)):
        assert "weights, tables; arena 65,536" in text
        assert "accuracy 59.1 %" in text
        assert "Exported files" in text


def test_why_there_is_no_program_is_said() -> None:
    for text in (
        page(checked({**sample(), "export_notes": [NOTE]})),
        markdown(checked({**sample(), "export_notes": [NOTE]})),
    ):
        assert "was not written: the engine lacks &lt;fft&gt;." in text
