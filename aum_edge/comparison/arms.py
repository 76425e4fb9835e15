"""The stages of a comparison's runs: learning rates, teachers, arms."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from aum_edge.comparison.config import ArmConfig, CompareRecipe
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import halve
from aum_edge.pipeline.run import Run, Stage
from aum_edge.pipeline.stages.quantize import calibration_clips, round_model
from aum_edge.pipeline.stages.registry import stages_of
from aum_edge.pipeline.stages.train import distillation, keep, scores, train_model
from aum_edge.training.initialise import initial_model_key

ORDINARY = {stage.name: stage for stage in stages_of("run")}


def train_arm(
    run: Run, folder: Path, *, name: str, arm: ArmConfig, distilled: bool
) -> dict[str, Any]:
    """Train one arm and score it as it is stored."""
    train = arm.training(distilled=distilled)
    teacher = distillation(run, train.loss) if distilled else None
    model, history = train_model(run, arm.model, train, folder / "fit", name, 0, teacher)
    model = halve(model) if arm.half else model
    keep(model, folder / "model")
    return {**scores(run, model), "history": history}


def try_rate(run: Run, folder: Path, *, name: str, arm: ArmConfig) -> dict[str, Any]:
    """Train one arm with one learning rate; its score on the validation data."""
    title = f"{name} at {arm.train.lr:g}"
    _, history = train_model(run, arm.model, arm.train, folder / "fit", title, 0)
    scored = [row[f"val_{arm.train.monitor}"] for row in history]
    choose = min if arm.train.monitor_mode == "min" else max
    score = scored[-1] if arm.train.keep == "last" else choose(scored)
    return {"lr": arm.train.lr, "score": score, "epochs": len(history), "history": history}


def round_student(run: Run, folder: Path) -> dict[str, Any]:
    """int8 weights for the whole distilled student, at once."""
    return _rounded(run, folder, replace(run.recipe.quantize, qat=None))


def round_and_train(run: Run, folder: Path) -> dict[str, Any]:
    """int8 weights for the whole distilled student, trained as they are rounded."""
    return _rounded(run, folder, run.recipe.quantize)


def _rounded(run: Run, folder: Path, config: QuantizeConfig) -> dict[str, Any]:
    clips = calibration_clips(run.data, config.calibration.clips, run.recipe.seed)
    extra: dict[str, Any] = {}
    small = round_model(run, folder, run.model("distill"), config, clips, extra)
    keep(small, folder / "model")
    return {**scores(run, small), **extra}


def tuning_stages(recipe: CompareRecipe) -> tuple[Stage, ...]:
    """The data, and one training an arm and learning rate."""
    stages = [ORDINARY["data"]]
    for name, arm in recipe.arms.items():
        for rate in arm.lrs:
            epochs = recipe.tuning_epochs or arm.train.epochs
            tried = replace(arm, train=replace(arm.train, lr=rate, epochs=epochs))
            stages.append(_stage(f"{name}-lr-{rate:g}", try_rate, ("data",), name=name, arm=tried))
    return tuple(stages)


def chosen_rates(recipe: CompareRecipe, run: Run) -> dict[str, float]:
    """The learning rate of every arm that scored best on validation data."""
    rates = {}
    for name, arm in recipe.arms.items():
        tried = [run.result(f"{name}-lr-{rate:g}") for rate in arm.lrs]
        if tried:
            sign = -1 if arm.train.monitor_mode == "min" else 1
            rates[name] = float(max(tried, key=lambda result: sign * result["score"])["lr"])
    return rates


def teacher_stages() -> tuple[Stage, ...]:
    """The data and the teacher."""
    return ORDINARY["data"], ORDINARY["teacher"]


def arm_stages(recipe: CompareRecipe) -> tuple[Stage, ...]:
    """Every arm by each of its lessons, then the student compressed."""
    stages = list(teacher_stages() if recipe.teaches else (ORDINARY["data"],))
    for name, arm in recipe.arms.items():
        for lesson in arm.lessons:
            distilled = lesson == "distilled"
            if distilled and name == recipe.student:
                stages.append(ORDINARY["distill"])
                continue
            needs = ("data", "teacher") if distilled else ("data",)
            work = partial(_stage, name=name, arm=arm, distilled=distilled)
            stages.append(work(f"{name}-{lesson}", train_arm, needs))
    return (*stages, *compression_stages(recipe))


def compression_stages(recipe: CompareRecipe) -> tuple[Stage, ...]:
    """int8 of the whole student with and without training, then pruning and its int8."""
    if not recipe.compress:
        return ()
    needs = ("distill", "teacher")
    stages = [Stage(name="ptq", needs=needs, settings=_rounding, work=round_student)]
    if recipe.quantize.qat:
        work = round_and_train
        stages.append(Stage(name="qat", needs=needs, settings=_rounding, work=work, trains=True))
    return (*stages, ORDINARY["prune"], ORDINARY["quantize"])


def _rounding(recipe: Any) -> dict[str, Any]:
    return {"seed": recipe.seed, "quantize": asdict(recipe.quantize)}


def _stage(title: str, work: Any, needs: tuple[str, ...], **values: Any) -> Stage:
    """A stage that trains one arm; it is done again when the arm or the lesson has changed."""
    arm: ArmConfig = values["arm"]
    lesson = values.get("distilled", False)

    def settings(recipe: Any) -> dict[str, Any]:
        train = asdict(arm.training(distilled=lesson))
        own = {"model": asdict(arm.model), "train": train, "half": arm.half}
        wanted = {"seed": recipe.seed, **own, "init": initial_model_key(arm.model.init)}
        return wanted | ({"distill": asdict(recipe.student.distill)} if lesson else {})

    return Stage(
        name=title, needs=needs, settings=settings, work=partial(work, **values), trains=True
    )
