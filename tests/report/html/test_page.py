from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from aum_edge.report.html.page import page
from aum_edge.report.validation import checked
from tests.report.sample import LABELS, minimal, sample

VOID = {"meta", "br", "link", "img", "input"}
EVIL = "<script>alert('x')</script>&\"'|$a_b$\x00\u202e"


class Reader(HTMLParser):
    """Collects elements and text, and fails on elements that are closed out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def read(report: dict[str, Any]) -> Reader:
    return parse(page(checked(report)))


def parse(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def text() -> str:
    return page(checked(sample()))


@pytest.fixture(scope="module")
def full(text: str) -> Reader:
    return parse(text)


def test_sections_stand_in_order_and_the_verdict_is_first(full: Reader) -> None:
    names = [attributes["id"] for tag, attributes in full.seen if tag == "section"]
    expected = ["verdict", "accuracy", "classes", "latency", "complexity", "training"]
    assert names == [*expected, "onnx", "run"]
    links = [attributes["href"] for tag, attributes in full.seen if tag == "a"]
    assert links == [f"#{name}" for name in names[1:]]


def test_the_page_holds_the_numbers(full: Reader) -> None:
    for words in (
        "✓ Student, int8 is inside the dcase2025 limits",
        "63.5 kB of 128 kB, 50 %",
        "245 kB of 128 kB, 191 %",
        "✗ 1.31 G",
        "1.25 ×",
        "4.58 times as many",
        "97.3",
        "torch-pruning",
        "kd_lambda: 0.7",
        "27 min 23 s",
    ):
        assert words in full.words, words


def test_bars_are_as_long_as_their_share_and_cut_at_the_end(text: str) -> None:
    bars = re.findall(r'class="(track[a-z ]*)" role="img" aria-label="([^"]*)"', text)
    widths = re.findall(r'<i style="width: ([\d.]+)%"', text)
    found = {words: (kind, width) for (kind, words), width in zip(bars, widths, strict=True)}
    assert found["Bytes, exact: 63.5 kB of 128 kB, 50 %"] == ("track", "39.7")
    assert found["Bytes, exact: 245 kB of 128 kB, 191 %"] == ("track over", "100.0")
    assert found["MACs, exact: 29.4 M of 30 M, 98 %"] == ("track", "78.5")


def test_the_page_asks_the_network_for_nothing(text: str, full: Reader) -> None:
    assert set(re.findall(r"https?://[^\s\"']*", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    tags = {tag for tag, _ in full.seen}
    assert tags.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert "@import" not in text
    for reference in re.findall(r"url\(([^)]*)\)", text):
        assert reference.startswith("#")
    assert len(text.encode()) < 2_000_000


def test_the_folder_of_the_author_is_not_told(text: str, full: Reader) -> None:
    assert "/x/y" not in text
    assert "recipe.yaml" in full.words


def test_every_picture_has_a_description_with_numbers(full: Reader) -> None:
    pictures = [attributes for tag, attributes in full.seen if tag == "svg"]
    assert len(pictures) == 11
    assert all(len(attributes["aria-label"] or "") > 20 for attributes in pictures)
    assert any("street_pedestrian 36." in (p["aria-label"] or "") for p in pictures)


def test_ids_of_pictures_do_not_clash(full: Reader) -> None:
    ids = [attributes["id"] for _, attributes in full.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = {a["xlink:href"] for tag, a in full.seen if tag == "use"}
    assert used <= {f"#{name}" for name in ids}


def test_charts_take_their_colours_from_the_page(text: str) -> None:
    styles = re.findall(r'style="([^"]*)"', text)
    colours = {found for style in styles for found in re.findall(r"#[0-9a-f]{6}", style)}
    assert colours <= {"#000000"}
    defined = set(re.findall(r"(--[a-z-]+):", text))
    assert set(re.findall(r"var\((--[a-z-]+)\)", text)) <= defined


def test_text_from_outside_cannot_become_markup() -> None:
    report = sample()
    for name in ("title", "created"):
        report[name] = EVIL
    report["corpus"].update(name=EVIL, labels=[EVIL, *LABELS[1:]])
    report["recipe"].update(name=EVIL, resolved={EVIL: EVIL})
    report["limits"]["name"] = EVIL
    report["verdict"]["lines"] = [EVIL]
    for model in report["models"]:
        model.update(title=EVIL, architecture=EVIL)
        scores = model["eval"]
        scores["per_class"] = {
            EVIL if k == "airport" else k: v for k, v in scores["per_class"].items()
        }
        scores["per_device"][EVIL] = 0.5
        model["complexity"]["exact"]["special_functions"][EVIL] = 3
        model["complexity"]["exact"]["macs_by_op"][EVIL] = 9_000
        model["complexity"]["layers"].append({"name": EVIL, "macs": 9_000})
        model["complexity"]["official"]["rule"] = EVIL
        model["complexity"]["unsupported"] = {EVIL: 1}
    report["export"][0].update(file=EVIL, kind=EVIL, scan=EVIL, sha256=EVIL)
    report["bench"]["rows"][0].update(model=EVIL, runtime=EVIL)
    report["bench"]["host"][EVIL] = EVIL
    report["stages"][0]["name"] = EVIL
    report["environment"][EVIL] = EVIL
    reader = read(report)
    assert "script" not in {tag for tag, _ in reader.seen}
    assert not any(name.startswith("on") for _, attrs in reader.seen for name in attrs)
    assert "<script>alert('x')</script>" in reader.words
    assert "\x00" not in reader.words
    assert "\u202e" not in reader.words


def drop(value: Any, path: tuple[str, ...]) -> None:
    """Take a key away, in every item where the way leads through a list."""
    if isinstance(value, list):
        for item in value:
            drop(item, path)
    elif len(path) == 1:
        del value[path[0]]
    else:
        drop(value[path[0]], path[1:])


@pytest.mark.parametrize(
    ("paths", "gone"),
    [
        (
            ["bench", "export", "models.history", "stages", "environment", "recipe.resolved"],
            {"latency", "onnx", "training"},
        ),
        (
            ["models.eval.per_device", "models.complexity.layers", "bench.host", "bench.ratios"],
            set(),
        ),
        (
            [
                "models.eval.per_class",
                "models.eval.confusion",
                "corpus.test_devices",
                "corpus.train_devices",
                "models.complexity.exact.macs_by_op",
                "models.complexity.exact.special_functions",
            ],
            set(),
        ),
    ],
)
def test_missing_parts_are_left_out(paths: list[str], gone: set[str]) -> None:
    report = sample()
    for path in paths:
        drop(report, tuple(path.split(".")))
    names = [attributes["id"] for tag, attributes in read(report).seen if tag == "section"]
    everything = {"verdict", "accuracy", "classes", "latency", "complexity", "training", "onnx"}
    assert set(names) == {*everything, "run"} - gone


def test_the_bare_report_has_a_page() -> None:
    reader = read(minimal())
    assert "Student: no limits were set" in reader.words
    names = [attributes["id"] for tag, attributes in reader.seen if tag == "section"]
    assert names == ["verdict", "accuracy", "complexity", "run"]


def test_over_the_limits_and_operators_without_a_rule_are_said_loudly() -> None:
    report = sample()
    report["verdict"].update(within=False, lines=[])
    counted = report["models"][3]["complexity"]
    counted["exact"]["macs"] = 61_000_000
    counted["within_limits"]["exact"] = False
    counted["unsupported"] = {"aten.fft": 2}
    words = read(report).words
    assert "✗ Student, int8 is over the dcase2025 limits" in words
    assert "✗ over by the exact count" in words
    assert "✓ inside by the official count" in words
    assert "aten.fft" in words
    assert "The exact count is too low." in words


def test_many_classes_show_their_worst_and_no_unreadable_matrix() -> None:
    report = sample()
    labels = [f"class {index:03d}" for index in range(70)]
    report["corpus"]["labels"] = labels
    for model in report["models"]:
        scores = model["eval"]
        scores["per_class"] = {name: index / 100 for index, name in enumerate(labels)}
        scores["confusion"] = [
            [int(i == j) + int(i == j + 1) for j in range(70)] for i in range(70)
        ]
    reader = read(report)
    assert "Accuracy by class, the 30 worst of 70" in reader.words
    assert "Confusion matrix" not in reader.words
    assert "Most frequent mistakes" in reader.words
