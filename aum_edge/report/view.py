"""A view of a report: its final model, its control, and the files and latencies of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal

from aum_edge.complexity.verdict import Verdict, verdict_of_document
from aum_edge.report.numbers import macs, times
from aum_edge.report.schema import Bench, LatencyRow, Model, Report

CONTROL = "control"
CONFUSIONS = 6
"""Most frequent confusions that are listed."""
Grouping = Literal["per_class", "per_device"]


@dataclass(frozen=True)
class ReportView:
    """A validated report and the values that its pages show."""

    report: Report

    @property
    def models(self) -> list[Model]:
        """In the order of the report: teacher, student by stage, control."""
        return self.report["models"]

    @cached_property
    def final(self) -> Model:
        """The model that the verdict is about."""
        wanted = self.report["verdict"]["model"]
        return next(model for model in self.models if model["key"] == wanted)

    @cached_property
    def control(self) -> Model | None:
        """The CNN that every result is held against; none if the final model is it."""
        return None if self.final["key"] == CONTROL else self.model(CONTROL)

    @property
    def teacher(self) -> Model | None:
        """The large model."""
        return None if self.final["key"] == "teacher" else self.model("teacher")

    @property
    def compared(self) -> list[Model]:
        """The models whose classes and devices are drawn: final student, control, teacher."""
        return [model for model in (self.final, self.control, self.teacher) if model]

    @property
    def bench(self) -> Bench | None:
        """The latencies, if any were measured."""
        bench = self.report.get("bench")
        return bench if bench and bench["rows"] else None

    def verdict(self, counted: Mapping[str, Any]) -> Verdict:
        """The verdict on a ``complexity`` document of this report, by the report's limits."""
        return verdict_of_document(counted, self.report["limits"])

    def model(self, key: str) -> Model | None:
        """The model of this key."""
        return next((model for model in self.models if model["key"] == key), None)

    def key_of(self, name: str) -> str:
        """The model that a key or an exported file's stem belongs to; else the name itself.

        ``student_int8_static`` is one more form of ``student_int8`` and belongs to it.
        """
        wanted = self._keys.get(name, name)
        keys = [
            m["key"] for m in self.models if wanted == m["key"] or wanted.startswith(m["key"] + "_")
        ]
        return max(keys, key=len, default=wanted)

    def title(self, name: str) -> str:
        """The title of the model that a key or an exported file's stem belongs to."""
        key = self.key_of(name)
        model = self.model(key)
        if model is None:
            return name
        rest = self._keys.get(name, name).removeprefix(key).strip("_")
        rest = "C" if rest == "c" else rest
        return f"{model['title']}, {rest}" if rest else model["title"]

    def file_of(self, name: str) -> str:
        """The exported file of this :func:`file_key`; nothing if there is none."""
        rows = self.report.get("export") or []
        return next((row["file"] for row in rows if file_key(row["file"]) == name), "")

    def latency(self, key: str) -> LatencyRow | None:
        """The latency of a model: of its own file, else of the file that was exported from it."""
        rows = self.bench["rows"] if self.bench else []
        own = next((row for row in rows if row["model"] == key), None)
        return own or next((row for row in rows if self._keys.get(row["model"]) == key), None)

    def ratio(self, row: LatencyRow | None) -> float | None:
        """Median latency over the control's in the same run."""
        if row is None or self.bench is None:
            return None
        given = self.bench.get("ratios", {}).get(row["model"])
        base = self.base_latency
        if given is not None:
            return given
        return row["p50_ms"] / base["p50_ms"] if base and base["p50_ms"] else None

    @property
    def base_latency(self) -> LatencyRow | None:
        """The control's row in the bench."""
        if self.bench is None:
            return None
        name = self.bench.get("control", CONTROL)
        return next((row for row in self.bench["rows"] if row["model"] == name), None)

    @property
    def devices(self) -> tuple[list[str], list[str]]:
        """Test devices that were in training, and those that were not.

        The second list is empty when the report does not say which ones were in training.
        """
        corpus = self.report["corpus"]
        measured = list(scores_by(self.final, "per_device"))
        listed = [name for name in corpus.get("test_devices", []) if name in measured]
        names = [*listed, *sorted(set(measured) - set(listed))]
        trained = corpus.get("train_devices")
        if not trained:
            return names, []
        return [n for n in names if n in trained], [n for n in names if n not in trained]

    @property
    def official_sentence(self) -> str:
        """Why two counts stand side by side, in one sentence, with this run's numbers."""
        counted = self.final["complexity"]
        official, exact = counted["official"]["macs"], counted["exact"]["macs"]
        if not official:
            return (
                f"Running {self.final['title']} takes {macs(exact)}; the official counter has no "
                "figure for it."
            )
        start = (
            f"The official counter prints {macs(official)} for {self.final['title']} "
            f"while running it takes {macs(exact)}"
        )
        if 0.95 <= exact / official <= 1.05:
            return f"{start}: here the two agree, and both have to be inside the limits."
        if exact < official:
            return (
                f"{start}, {times(official / exact)[:-2]} times fewer: both figures stand here, "
                "and both have to be inside the limits."
            )
        return (
            f"{start}, {times(exact / official)[:-2]} times as many, because the official rule "
            "counts a linear layer over a whole sequence as one token and does not see the "
            f"recurrence at all{self._control_clause()}; both have to be inside the limits."
        )

    def _control_clause(self) -> str:
        if self.control is None:
            return ""
        counted = self.control["complexity"]
        official, exact = counted["official"]["macs"], counted["exact"]["macs"]
        if not official:
            return ""
        return (
            f" (for {self.control['title']} it prints {macs(official)} "
            f"and running it takes {macs(exact)})"
        )

    @cached_property
    def _keys(self) -> dict[str, str]:
        """From an exported file's stem to the key of its model."""
        rows = self.report.get("export") or []
        return {file_key(row["file"]): row["model"] for row in rows}


def file_key(file: str) -> str:
    """What a bench calls an exported file: its stem, and ``student_c`` for ``student.c``."""
    path = PurePosixPath(file)
    return f"{path.stem}_c" if path.suffix == ".c" else path.stem


def scores_by(model: Model, field: Grouping) -> dict[str, float | None]:
    """Accuracy by class or device, as far as it was measured."""
    scores = model["eval"]
    values = scores.get("per_class") if field == "per_class" else scores.get("per_device")
    return {name: value for name, value in (values or {}).items() if name}


def confusions(model: Model, labels: list[str]) -> list[tuple[str, str, int, float]]:
    """Most frequent confusions: true and predicted label, clips, share of the true label."""
    matrix = confusion(model, len(labels))
    found = [
        (labels[row], labels[column], int(value), value / sum(values))
        for row, values in enumerate(matrix)
        for column, value in enumerate(values)
        if row != column and value
    ]
    return sorted(found, key=lambda item: -item[2])[:CONFUSIONS]


def confusion(model: Model, classes: int) -> list[list[float]]:
    """Confusion matrix, true labels by predicted ones; empty unless it has one row a label."""
    matrix = model["eval"].get("confusion", [])
    square = len(matrix) == classes and all(len(row) == classes for row in matrix)
    return matrix if square else []


def layer_macs(model: Model, most: int = 20) -> list[tuple[str, float]]:
    """MACs by layer in order; the parts of one module are added up while there are too many."""
    rows = [_layer(row) for row in model["complexity"].get("layers", [])]
    named = [(name, value) for name, value in rows if value > 0]
    for depth in (8, 6, 5, 4, 3, 2, 1):
        added: dict[str, float] = {}
        for name, value in named:
            part = ".".join(name.split(".")[:depth])
            added[part] = added.get(part, 0) + value
        if len(added) <= most:
            break
    return list(added.items()) if named else []


def _layer(row: dict[str, Any]) -> tuple[str, float]:
    # The model itself runs a few operators outside its modules: the normalisation.
    name = str(row.get("name") or "").removeprefix("backbone").lstrip(".") or "model"
    value = row.get("macs", 0)
    return name, float(value) if isinstance(value, int | float) else 0.0
