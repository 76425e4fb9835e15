"""Every stage of a job, found as ``STAGES`` of the modules beside this one, ordered by needs."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import aum_edge.pipeline.stages
from aum_edge.pipeline.run import Stage


def stages_of(job: str) -> tuple[Stage, ...]:
    """The stages of a job (``run``, ``pretrain``), each after those that it needs."""
    package = aum_edge.pipeline.stages
    found: dict[str, Stage] = {}
    for entry in pkgutil.iter_modules(package.__path__):
        module = import_module(f"{package.__name__}.{entry.name}")
        for stage in getattr(module, "STAGES", ()):
            if stage.job == job:
                found[stage.name] = stage
    return by_needs(found)


def by_needs(stages: dict[str, Stage]) -> tuple[Stage, ...]:
    """Depth first from the stages that no other one needs, in the order of each one's ``needs``."""
    needed = {name for stage in stages.values() for name in stage.needs}
    ordered: dict[str, Stage] = {}

    def add(name: str) -> None:
        for before in stages[name].needs:
            if before not in ordered:
                add(before)
        ordered[name] = stages[name]

    for name in sorted(stages.keys() - needed):
        add(name)
    return tuple(ordered.values())
