"""What all trials of a process share: recipe, run folder, corpus, teacher and control model."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import yaml

from aum_edge.bench.latency import measure
from aum_edge.complexity.limits import Limits, get_limits
from aum_edge.core.files import holds_files, write_text
from aum_edge.core.locks import hold_lock
from aum_edge.core.progress import Progress
from aum_edge.data.datamodule import AudioData
from aum_edge.errors import RecipeError
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.presets import preset
from aum_edge.pipeline.run import Run, run_stages
from aum_edge.pipeline.stages.registry import stages_of
from aum_edge.pipeline.stages.train import distillation
from aum_edge.search.config import SearchRecipe
from aum_edge.search.space.candidate import fresh
from aum_edge.training.distillation.setup import Distillation

CONTROL = "cp-mobile"


class SearchContext:
    """A search in its folder.

    Raises:
        RecipeError: If the folder belongs to another recipe or to something else.
        DiskError: If it cannot be written to.
    """

    def __init__(
        self, recipe: SearchRecipe, out: Path, cache: Path, progress: Progress | None = None
    ) -> None:
        self.recipe = recipe
        self.out = out
        self.limits: Limits = get_limits(recipe.limits)
        self._run = Run(
            recipe=recipe.run_recipe(), out=out / "teacher", cache_dir=cache, progress=progress
        )
        self._claim()

    @property
    def data(self) -> AudioData:
        """The corpus with its features cached."""
        return self._run.data

    @cached_property
    def distillation(self) -> Distillation | None:
        """The recipe's teachers; None without a teacher. One process trains it, others wait."""
        if self.recipe.teacher is None:
            return None
        stages = tuple(stage for stage in stages_of("run") if stage.name in ("data", "teacher"))
        with hold_lock(self.out / "teacher.lock"):
            run_stages(self._run, stages)
            return distillation(self._run)

    @cached_property
    def key(self) -> str:
        """What trials depend on: recipe, data and the teachers' weights."""
        digest = hashlib.sha256(f"{self.recipe.key()}|{self.data.fingerprint}".encode())
        if self.distillation is not None:
            for weights in sorted(self._run.folder("teacher").glob("model*/model.safetensors")):
                digest.update(hashlib.sha256(weights.read_bytes()).digest())
        return digest.hexdigest()

    def latency(self, model: AudioClassifier, folder: Path) -> dict[str, float]:
        """The model beside CP-Mobile in onnxruntime: medians in ms, and their ratio."""
        file = folder / "timed.onnx"
        try:
            export_onnx(model, file)
            report = measure([file, self._control()], self.recipe.bench, control=CONTROL)
        finally:
            file.unlink(missing_ok=True)
        mine, control = (row.p50_ms for row in report.rows)
        return {"p50_ms": mine, "control_p50_ms": control, "ratio": mine / control}

    def _control(self) -> Path:
        """CP-Mobile's ONNX file, made once; its weights do not matter."""
        file = self.out / "control" / f"{CONTROL}.onnx"
        with hold_lock(self.out / "control.lock"):
            if not file.exists():
                labels, frontend = tuple(self.data.labels), self.recipe.frontend
                sizes = {"n_mels": frontend.n_mels, "n_frames": frontend.n_frames}
                config = preset(CONTROL, n_classes=len(labels), **sizes)
                export_onnx(fresh(config, self.recipe, labels), file)
        return file

    def _claim(self) -> None:
        """Take the folder for this recipe; several processes may work in it."""
        file, mine = self.out / "recipe.yaml", self.recipe.resolved()
        if file.exists():
            held = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
            if not isinstance(held, dict) or held.get("name") != self.recipe.name:
                found = held.get("name") if isinstance(held, dict) else held
                raise RecipeError(
                    f"{self.out} belongs to the recipe `{found}`, this one is "
                    f"`{self.recipe.name}`: give another --out."
                )
        # A process that began just now writes recipe.yaml before all else.
        elif holds_files(self.out, besides=("study.journal",)) and not file.exists():
            raise RecipeError(
                f"{self.out} holds other files and no recipe.yaml: give another --out."
            )
        write_text(file, yaml.safe_dump(mine, sort_keys=False))
