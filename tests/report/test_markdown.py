from __future__ import annotations

import re

from aum_edge.report.markdown import markdown
from aum_edge.report.tables.table import markdown_text
from aum_edge.report.validation import checked
from tests.report.html.test_training import pruned, swept
from tests.report.sample import LABELS, minimal, sample


def test_tables_are_square() -> None:
    text = markdown(checked(sample()))
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(blocks) >= 9
    for block in blocks:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


def test_numbers_and_verdict_are_there() -> None:
    text = markdown(checked(sample()))
    assert "**Student, int8 is inside the dcase2025 limits.**" in text
    assert (
        "| Student, int8 | exact | 63,480 | 128,000 | 2,380,000 | 30,000,000 | ✓ inside |" in text
    )
    assert "4.58 times as many" in text


def test_labels_cannot_break_tables_or_become_html() -> None:
    report = sample()
    evil = "a|b\n<script>`*"
    report["corpus"]["labels"] = [evil, *LABELS[1:]]
    for model in report["models"]:
        model["eval"]["per_class"] = {evil: 0.5}
    text = markdown(checked(report))
    assert "<script>" not in text
    assert r"| a\|b &lt;script&gt;\`\* |" in text


def test_the_bare_report_has_no_empty_tables() -> None:
    text = markdown(checked(minimal()))
    assert "ONNX" not in text
    assert "Stages" not in text
    assert "Latency" not in text
    assert "Pruning" not in text
    assert "Quantization" not in text


def test_pruning_has_its_table_of_rounds() -> None:
    text = markdown(pruned())
    assert "\n## Pruning\n\nCut and recovery\n\n| Round |" in text
    assert "| before | 4.00 M | 98,765 |  | 82.3 |" in text
    assert "| 1 | 2.00 M | 43,210 | 51.2 | 78.9 |" in text
    assert "## Quantization" not in text


def test_quantization_has_its_choice_and_what_stayed_precise() -> None:
    text = markdown(swept())
    assert "\n## Quantization\n\nDistance to the float model\n\n| Rounded |" in text
    assert "| everything | 0.00037 | 98.1 |  |" in text
    assert "| as chosen | 1.9e-05 | 99.6 | 59,030 |" in text
    assert "\nWeights in 16 bit: stem.convs.0.0." in text
    assert "\nInputs in float: stem.fold." in text
    assert "No tensor was worth more bits." in markdown(swept(kept=[]))
    assert "## Pruning" not in text


def test_markdown_text_escapes_links() -> None:
    assert markdown_text("[x](y) # _z_") == r"\[x\](y) \# \_z\_"
