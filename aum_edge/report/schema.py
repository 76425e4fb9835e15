"""What report.json holds. The types are the schema: `checked` reads them to judge a document."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import UnionType
from typing import Any, NotRequired, TypedDict, cast, get_args, get_origin, get_type_hints

from aum_edge.errors import AumEdgeError

SCHEMA_VERSION = 1
SHOWN = 8


class ExactCost(TypedDict):
    """Our count of one inference of one clip."""

    macs: float
    param_bytes: float
    macs_by_op: NotRequired[dict[str, float]]
    special_functions: NotRequired[dict[str, float]]
    n_params: NotRequired[float]
    buffer_bytes: NotRequired[float | None]
    state_elements: NotRequired[float | None]
    peak_activation_bytes: NotRequired[float | None]


class OfficialCost(TypedDict):
    """What the challenge's own script prints; ``None`` where it cannot be run."""

    macs: float | None
    param_bytes: float | None
    n_params: NotRequired[float | None]
    rule: NotRequired[str]


class WithinLimits(TypedDict):
    """Inside or over, by either count; ``None`` where it is not known."""

    exact: bool | None
    official: bool | None


class Complexity(TypedDict):
    """The document of ``aum-edge complexity --json``."""

    exact: ExactCost
    official: OfficialCost
    within_limits: WithinLimits
    input_shape: NotRequired[list[int]]
    layers: NotRequired[list[dict[str, Any]]]
    unsupported: NotRequired[dict[str, Any]]
    open_axes: NotRequired[list[str]]
    bytes: NotRequired[dict[str, Any]]
    front_end: NotRequired[dict[str, Any] | None]


class Evaluation(TypedDict):
    """The document of ``aum-edge eval --json`` on the test split."""

    n: int
    accuracy: float
    macro_accuracy: float
    log_loss: float | None
    per_class: NotRequired[dict[str, float | None]]
    per_device: NotRequired[dict[str, float | None]]
    confusion: NotRequired[list[list[float]]]
    segment_accuracy: NotRequired[float | None]


class Model(TypedDict):
    """One row of the accuracy table: the teacher, a student after a stage, or the control."""

    key: str
    title: str
    stage: str
    architecture: str
    n_params: float
    eval: Evaluation
    complexity: Complexity
    validation: NotRequired[dict[str, Any]]
    history: NotRequired[list[dict[str, Any]]]
    lineage: NotRequired[list[dict[str, Any]]]


class Corpus(TypedDict):
    """What the models were trained and tested on."""

    name: str
    labels: list[str]
    n_train: int
    n_val: int
    n_test: int
    train_devices: NotRequired[list[str]]
    test_devices: NotRequired[list[str]]


class LimitValues(TypedDict):
    """The budget; ``None`` where there is no limit."""

    name: str
    macs: float | None
    param_bytes: float | None
    n_params: NotRequired[float | None]


class ReportVerdict(TypedDict):
    """Inside, over or not known (``None``), in one sentence a count and in rows."""

    model: str
    within: bool | None
    lines: list[str]
    state: NotRequired[str]
    limits: NotRequired[str]
    rows: NotRequired[list[dict[str, Any]]]


class RecipeInfo(TypedDict):
    """The recipe with every value, defaults included."""

    name: str
    path: NotRequired[str]
    resolved: NotRequired[dict[str, Any]]


class ExportRow(TypedDict):
    """One ONNX or C file; of a C file ``bytes`` are those of its weights and tables."""

    model: str
    file: str
    kind: NotRequired[str]
    bytes: NotRequired[float | None]
    sha256: NotRequired[str]
    nodes: NotRequired[float | None]
    seconds: NotRequired[float | None]
    load_ms: NotRequired[float | None]
    max_abs_diff: NotRequired[float | None]
    agreement: NotRequired[float | None]
    test_accuracy: NotRequired[float | None]
    scan: NotRequired[str | None]
    weight_bytes: NotRequired[float | None]
    table_bytes: NotRequired[float | None]
    arena_bytes: NotRequired[float | None]


class LatencyRow(TypedDict):
    """One model in one runtime, milliseconds a clip."""

    model: str
    p50_ms: float
    runtime: NotRequired[str]
    threads: NotRequired[int]
    runs: NotRequired[int]
    p90_ms: NotRequired[float | None]
    p99_ms: NotRequired[float | None]
    min_ms: NotRequired[float | None]
    spread: NotRequired[float | None]
    load_ms: NotRequired[float | None]
    rss_mb: NotRequired[float | None]
    rtf: NotRequired[float | None]
    sha256: NotRequired[str | None]


class Bench(TypedDict):
    """The document of ``aum-edge bench --json`` with ratios to the control."""

    rows: list[LatencyRow]
    host: NotRequired[dict[str, Any]]
    control: NotRequired[str]
    ratios: NotRequired[dict[str, float | None]]


class Pruning(TypedDict):
    """What the prune stage tells of its rounds, and its sensitivity curves."""

    unpruned: NotRequired[dict[str, Any]]
    rounds: NotRequired[list[dict[str, Any]]]
    sensitivity: NotRequired[list[dict[str, Any]]]


class Quantization(TypedDict):
    """What the quantize stage tells of its sweep over tensors, where there was one."""

    start: NotRequired[dict[str, Any]]
    end: NotRequired[dict[str, Any]]
    kept: NotRequired[list[dict[str, Any]]]
    param_bytes: NotRequired[float]
    tensors: NotRequired[list[dict[str, Any]]]


class StageTime(TypedDict):
    """How long one stage of the recipe took."""

    name: str
    seconds: float
    resumed: NotRequired[bool]


class Report(TypedDict):
    """report.json."""

    schema_version: int
    title: str
    created: str
    recipe: RecipeInfo
    corpus: Corpus
    models: list[Model]
    limits: LimitValues
    verdict: ReportVerdict
    export: NotRequired[list[ExportRow] | None]
    export_notes: NotRequired[list[str] | None]
    bench: NotRequired[Bench | None]
    pruning: NotRequired[Pruning | None]
    quantization: NotRequired[Quantization | None]
    device_models: NotRequired[dict[str, Any] | None]
    stages: NotRequired[list[StageTime] | None]
    environment: NotRequired[dict[str, Any] | None]


def checked(document: Any) -> Report:
    """A report whose every required key is there, of the right kind, and finite.

    NaN and infinities become ``None`` first, since JSON has no word for them.

    Raises:
        AumEdgeError: If ``schema_version`` is another one, a required key is missing or a value is
            of another kind; the message names them.
    """
    if not isinstance(document, dict):
        raise AumEdgeError(
            f"A report is a JSON object, got {type(document).__name__}: "
            "give the contents of report.json."
        )
    found = document.get("schema_version")
    if found != SCHEMA_VERSION or isinstance(found, bool):
        raise AumEdgeError(
            f"The report's `schema_version` is {found!r}; this aum-edge reads {SCHEMA_VERSION}: "
            "make the report anew with `aum-edge run RECIPE --from report`."
        )
    finite = _finite(document)
    problems = [*_problems(finite, Report, "")]
    if not problems:
        problems = [*_contradictions(finite)]
    if problems:
        shown = "; ".join(problems[:SHOWN])
        rest = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise AumEdgeError(
            f"The report is not complete: {shown}{rest}. "
            "Make it anew with `aum-edge run RECIPE --from report`."
        )
    return cast(Report, finite)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _problems(value: Any, kind: Any, where: str) -> Iterator[str]:
    """Every way in which ``value`` is not of ``kind``, each with its place."""
    if isinstance(kind, type) and issubclass(kind, dict) and kind is not dict:
        yield from _key_problems(value, kind, where)
    elif get_origin(kind) is UnionType:
        others = [option for option in get_args(kind) if option is not type(None)]
        if value is not None:
            yield from _problems(value, others[0], where)
    elif get_origin(kind) is list and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(item, get_args(kind)[0], f"{where}[{index}]")
    elif get_origin(kind) is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from _problems(item, get_args(kind)[1], f"{where}.{key}")
    elif kind is not Any and not _is_plain(value, get_origin(kind) or kind):
        yield f"`{where}` is {type(value).__name__}, not {_word(kind)}"


def _key_problems(value: Any, kind: type, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"`{where}` is {type(value).__name__}, not an object"
        return
    for key, hint in get_type_hints(kind, include_extras=True).items():
        optional = get_origin(hint) is NotRequired
        place = f"{where}.{key}" if where else key
        if key in value:
            yield from _problems(value[key], get_args(hint)[0] if optional else hint, place)
        elif not optional:
            yield f"`{place}` is missing"


def _is_plain(value: Any, kind: type) -> bool:
    if kind in (int, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind)


def _word(kind: Any) -> str:
    words = {int: "a number", float: "a number", str: "text", bool: "true or false"}
    return words.get(kind) or ("a list" if get_origin(kind) is list else "an object")


def _contradictions(report: dict[str, Any]) -> Iterator[str]:
    keys = [model["key"] for model in report["models"]]
    if not keys:
        yield "`models` is empty"
    elif report["verdict"]["model"] not in keys:
        yield f"`verdict.model` is `{report['verdict']['model']}`, but `models` has {keys}"
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        yield f"`models` has `{key}` twice"
