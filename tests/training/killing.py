"""A training that is killed in the middle of an epoch and taken up again."""

from __future__ import annotations

from pathlib import Path

import pytest

from aum_edge.training.fit import FitResult, fit
from aum_edge.training.task import ClassificationTask


def fit_in_two_parts(
    model, data, config, work_dir: Path, *, epoch: int = 2, batch: int = 1, **options
) -> FitResult:
    """As :func:`fit` of ``model()``, killed at this epoch and batch (from 0), then resumed."""
    step = ClassificationTask.training_step

    def killed(self, rows, batch_idx):
        if self.current_epoch == epoch and batch_idx == batch:
            raise RuntimeError("killed")
        return step(self, rows, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClassificationTask, "training_step", killed)
        with pytest.raises(RuntimeError, match="killed"):
            fit(model(), data, config, work_dir, **options)
    return fit(model(), data, config, work_dir, **options)
