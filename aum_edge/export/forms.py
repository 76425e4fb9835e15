"""Which form of the scan is faster on this machine."""

from __future__ import annotations

import statistics
import time

import numpy as np
import onnx_ir as ir

from aum_edge.export.config import ScanForm
from aum_edge.export.lowering import UNROLL_LIMIT, Form, lower
from aum_edge.export.naming import number_nodes
from aum_edge.export.runner import open_session
from aum_edge.export.scan_op import find_lanes

RUNS, WARM_UP = 60, 5
UNROLL_STEPS = 2000
"""Tokens of all scans together beyond which `auto` does not try to unroll: a teacher's graph would
take minutes to make and seconds to load."""


def lowered(captured: ir.Model, wanted: ScanForm, example: np.ndarray) -> tuple[ir.Model, str]:
    """The captured model with its scans written out, and the name of the form they have.

    ``auto`` runs each possible form on ``example`` (1, 1, n_mels, n_frames), in turns, and keeps
    the one with the smaller median; long scans and deep networks are not unrolled. The name is
    ``none`` for a model without a scan.
    """
    lengths = [lane.length or UNROLL_STEPS + 1 for lane in find_lanes(captured.graph)]
    if not lengths:
        number_nodes(captured.graph)
        return captured, "none"
    names: list[Form] = ["scan", "unrolled"]
    if wanted != "auto":
        names = [wanted]
    elif max(lengths) > UNROLL_LIMIT or sum(lengths) > UNROLL_STEPS:
        names = ["scan"]
    models: dict[Form, ir.Model] = {}
    for name in names:
        models[name] = captured.clone()
        lower(models[name], name)
    best = names[0] if len(names) == 1 else _fastest(models, example)
    return models[best], best


def _fastest(models: dict[Form, ir.Model], example: np.ndarray) -> Form:
    sessions = {
        name: open_session(ir.to_proto(model).SerializeToString()) for name, model in models.items()
    }
    times: dict[Form, list[int]] = {name: [] for name in models}
    for run in range(WARM_UP + RUNS):
        for name, session in sessions.items():
            feed = {session.get_inputs()[0].name: example}
            started = time.perf_counter_ns()
            session.run(None, feed)
            if run >= WARM_UP:
                times[name].append(time.perf_counter_ns() - started)
    return min(times, key=lambda name: statistics.median(times[name]))
