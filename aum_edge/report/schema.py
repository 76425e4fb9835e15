"""Schema of report.json as typed dictionaries; see :mod:`aum_edge.report.validation`."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

SCHEMA_VERSION = 1


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
    """The data that the models were trained and tested on."""

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
    """Rounds and sensitivity curves of the prune stage."""

    unpruned: NotRequired[dict[str, Any]]
    rounds: NotRequired[list[dict[str, Any]]]
    sensitivity: NotRequired[list[dict[str, Any]]]


class Quantization(TypedDict):
    """Sensitivity sweep of the quantize stage over tensors, where there was one."""

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
