"""The public names: the notebook's program, every order of imports, and one-line refusals."""

from __future__ import annotations

import ast
import copy
import inspect
import logging
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import aum_edge as ae
from aum_edge.audio.wav import write_wav
from aum_edge.errors import (
    AudioError,
    CheckpointError,
    CompressionError,
    DiskError,
    ExportError,
    RecipeError,
)
from aum_edge.models.architectures.masked_patch import MaskedPatchModel, masked_patch_config
from aum_edge.models.classifier import AudioClassifier
from tests.small_run import FRONTEND, LABELS, RATE, student, teacher, tones

PACKAGE = Path(ae.__file__).parent
README = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
PROGRAM = README.partition("```python\n")[2].partition("```")[0]
"""As printed on the first page."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tones(tmp_path_factory.mktemp("api") / "my_sounds")


@pytest.fixture
def data(corpus: Path, tmp_path: Path) -> ae.AudioData:
    return ae.AudioData.of("folder", corpus, FRONTEND, cache_dir=tmp_path / "cache")


@pytest.mark.slow
def test_the_notebooks_program(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.NullHandler()])
    (tmp_path / "my_sounds").symlink_to(corpus)
    ae.save(student(), "runs/quickstart/distill/model")
    ae.save(teacher(), Path("teacher"))
    write_wav("dog.wav", 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    names: dict[str, object] = {}
    exec(PROGRAM, names)
    said = capsys.readouterr()
    assert "cp-mobile" in said.out
    assert "student.onnx" in said.out
    assert "aum-edge-bench-" not in said.out, "no temporary path"
    assert said.err == "", "progress is for those who ask"
    whole, small, int8 = (names[name] for name in ("model", "small", "int8"))
    assert all(isinstance(model, AudioClassifier) for model in (whole, small, int8))
    assert ae.complexity(small).counts.macs <= 0.5 * ae.complexity(whole).counts.macs
    steps = ["prune", "distill", "fold batch norm", "quantize"]
    assert [step["step"] for step in int8.lineage] == steps
    assert whole.lineage == ()
    assert Path("student.onnx").is_file()
    ranking = ae.predict("student.onnx", "dog.wav", top_k=2)
    assert len(ranking) == 2
    assert ranking[0][1] >= ranking[1][1]
    assert ae.predict(int8, ["dog.wav"])[0][0][0] == ranking[0][0]
    with pytest.raises(AudioError, match=r"none\.wav"):
        ae.predict(int8, "none.wav")


ORDERS = [
    "import aum_edge; aum_edge.{name}",
    "import aum_edge; import aum_edge.{name}",
    "import aum_edge.{name}; from aum_edge import {name}",
    "from aum_edge import {name}",
    "import aum_edge.{name}.{module}",
    "from aum_edge.{name}.{module} import __doc__; import aum_edge",
    "import aum_edge.pipeline.recipe; import aum_edge.api.training",
    "import aum_edge; vars(aum_edge).pop('{name}', None); import aum_edge.{name}.{module}",
]
MODULES = {"bench": "config", "complexity": "limits", "export": "target"}


@pytest.mark.parametrize("order", ORDERS)
def test_packages_that_are_verbs_are_callable_in_every_order_of_imports(order: str) -> None:
    lines = []
    for name, module in MODULES.items():
        lines.append(order.format(name=name, module=module))
        lines.append(
            f"import aum_edge.{name}.{module}, aum_edge as ae; from aum_edge import {name}"
        )
        lines.append(f"assert callable(ae.{name}) and ae.{name} is {name} and {name}.{module}")
    lines.append("from aum_edge.errors import RecipeError")
    lines += ["try: ae.export(None, 'x.txt')", "except RecipeError: print('called')"]
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        check=False,
        cwd=PACKAGE.parent,
    )
    assert done.stdout == "called\n", done.stderr


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, aum_edge; dir(aum_edge); aum_edge.PruneConfig; aum_edge.ExportConfig\n"
        "aum_edge.TrainConfig; aum_edge.bench; aum_edge.export\n"
        "print(*{'torch', 'lightning', 'onnxruntime', 'numpy'} & set(sys.modules))\n"
        "aum_edge.Recipe; print(*{'torch', 'lightning', 'onnxruntime'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert done.stdout.strip() == ""


def test_every_public_name_is_there_and_in_the_stub() -> None:
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    told = {
        alias.asname: node.module
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(told) - set(ae._OLD) == set(ae.__all__) - {"__version__"}
    for name in ae.__all__:
        assert name in dir(ae)
        found = getattr(ae, name)
        if name in ae._CALLABLE:
            assert found.__wrapped__.__module__ == told[name]
            assert inspect.signature(found) == inspect.signature(found.__wrapped__)
        elif name != "__version__":
            assert found.__module__ == told[name]
    with pytest.raises(AttributeError, match="dance"):
        _ = ae.dance


def test_every_config_is_a_public_name() -> None:
    missing = [
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name.endswith("Config")
        if node.name not in ae.__all__
    ]
    assert sorted(missing) == ["BackboneConfig", "CorpusConfig", "PatchedConfig"], (
        "base classes alone"
    )


def test_names_of_the_release_before_work_with_a_warning() -> None:
    for name in ("analyse", "export_onnx"):
        with pytest.warns(DeprecationWarning, match=f"aum_edge.{name} goes"):
            assert callable(getattr(ae, name))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _ = ae.load, ae.prune, ae.complexity


def test_pruning_without_data_looks_at_the_weights_alone() -> None:
    model = student()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    small = ae.prune(model, ae.PruneConfig(macs_share=0.7, steps=1))
    assert small.lineage[-1]["importance"] == "magnitude"
    assert ae.complexity(small).counts.macs < ae.complexity(model).counts.macs
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name])


def test_fit_takes_paths_and_gives_other_classes_a_fresh_head(
    data: ae.AudioData, tmp_path: Path
) -> None:
    other = teacher(n_classes=2, direction="bi-bi")
    ae.save(other, tmp_path / "start")
    told: list[int] = []
    data.progress = lambda done, total, what: told.append(done) if "val" in what else None
    made = ae.fit(
        str(tmp_path / "start"),
        data,
        ae.TrainConfig(epochs=2, batch_size=12),
        work_dir=str(tmp_path / "work"),
    )
    assert made.labels == LABELS
    assert (tmp_path / "work" / "history.csv").is_file()
    assert told == [1, 2]
    step = made.lineage[-1]
    assert (step["step"], step["data"], step["seed"]) == ("fit", "folder", 0)
    assert step["notes"]
    assert other.labels == LABELS[:2]


def test_quantize_with_training_and_its_refusal(data: ae.AudioData) -> None:
    train = ae.TrainConfig(epochs=1, batch_size=12)
    config = ae.QuantizeConfig(qat=ae.QatConfig(train=train, freeze_epochs=0))
    small = ae.quantize(student(), config, data)
    assert small.quantization["bits"] == 8
    with pytest.raises(RecipeError, match="give it AudioData"):
        ae.quantize(student(), config)
    asks = ae.QatConfig(train=train, freeze_epochs=0, distill="teachers")
    with pytest.raises(RecipeError, match="at least one teacher"):
        ae.quantize(student(), ae.QuantizeConfig(qat=asks), data)
    with pytest.raises(CompressionError, match="calibration set"):
        ae.quantize(student(), ae.QuantizeConfig(activations="uint8"))


def test_what_does_not_fit_is_one_line(data: ae.AudioData, tmp_path: Path) -> None:
    int8 = ae.quantize(student())
    quick = ae.TrainConfig(epochs=1, batch_size=12)
    with pytest.raises(CheckpointError, match="no start for training"):
        ae.fit(int8, data, quick)
    encoder = teacher(direction="bi-bi")
    bare = AudioClassifier(
        MaskedPatchModel(masked_patch_config(_without_classes(encoder.backbone.config))),
        frontend=FRONTEND,
        normalization=encoder.normalization,
        labels=(),
    )
    with pytest.raises(CheckpointError, match="encoder without classes"):
        ae.fit(bare, data, quick)
    with pytest.raises(RecipeError, match="at least one teacher, got none"):
        ae.distill(student(), [], data)
    heard = ae.FrontEndConfig(sample_rate=RATE, n_fft=256, win_length=256, n_mels=32)
    other = ae.AudioData.of("folder", "x", heard)
    with pytest.raises(RecipeError, match="n_mels 32, here 16"):
        ae.fit(student(), other, quick)
    with pytest.raises(AudioError, match="`top_k` must be at least 1"):
        ae.predict(student(), "x.wav", top_k=0)
    with pytest.raises(CheckpointError, match="no model directory"):
        ae.complexity(tmp_path / "none")
    with pytest.raises(RecipeError, match="no limits `dcase1999`"):
        ae.complexity(student(), "dcase1999")
    with pytest.raises(RecipeError, match=r"ends in \.c or \.onnx"):
        ae.export(student(), tmp_path / "m.txt")
    with pytest.raises(RecipeError, match="takes ExportConfig, got CExportConfig"):
        ae.export(student(), tmp_path / "m.onnx", ae.CExportConfig())


def test_data_given_as_a_path_is_one_line(tmp_path: Path) -> None:
    calls: list[Callable[[Any], object]] = [
        lambda data: ae.fit(student(), data),
        lambda data: ae.distill(student(), teacher(), data),
        lambda data: ae.prune(student(), ae.PruneConfig(macs_share=0.7), data),
        lambda data: ae.quantize(student(), ae.QuantizeConfig(), data),
    ]
    for call in calls:
        for given in ("my_sounds", tmp_path):
            with pytest.raises(
                RecipeError, match=rf"must be AudioData, got {type(given).__name__}"
            ):
                call(given)
    wrong: Any = ae.TrainConfig()
    with pytest.raises(RecipeError, match="must be AudioData, got TrainConfig"):
        ae.fit(student(), wrong)


def test_training_settings_in_the_place_of_distillations_are_one_line(data: ae.AudioData) -> None:
    wrong: Any = ae.TrainConfig()
    with pytest.raises(RecipeError, match=r"a DistillConfig, got TrainConfig.*`train=`"):
        ae.distill(student(), teacher(), data, wrong)


def test_files_below_a_file_are_one_line(data: ae.AudioData, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match=r"Cannot write m\.onnx in .*file"):
        ae.export(student(), tmp_path / "file" / "m.onnx")
    with pytest.raises(DiskError, match="Cannot write checkpoints"):
        ae.fit(student(), data, ae.TrainConfig(epochs=1), work_dir=tmp_path / "file")
    (tmp_path / "m.c").mkdir()
    with pytest.raises(ExportError, match=r"m\.c is a folder"):
        ae.export(student(), tmp_path / "m.c")
    with pytest.raises(ExportError, match=r"compilers read \.C as C\+\+"):
        ae.export(student(), tmp_path / "n.C")
    with pytest.raises(ExportError, match="name of a preset such as cp-mobile"):
        ae.bench("cp-mobil")


@pytest.mark.parametrize("name", MODULES)
def test_a_verb_is_pickled_by_its_name(name: str) -> None:
    verb = getattr(ae, name)
    assert pickle.loads(pickle.dumps(verb)) is verb
    assert copy.deepcopy(verb) is verb


def _without_classes(config: ae.AudioMambaConfig) -> ae.AudioMambaConfig:
    return replace(config, n_classes=0, stride=config.patch_size, pooling="mean")


def test_any_module_is_counted_with_its_shape() -> None:
    found = ae.complexity(torch.nn.Linear(3, 4), input_shape=(1, 3))
    assert found.counts.macs == 12
    with pytest.raises(RecipeError, match="needs `--input-shape`"):
        ae.complexity(torch.nn.Linear(3, 4))
    with pytest.raises(RecipeError, match="has its own"):
        ae.complexity(student(), input_shape=(1, 3))


def test_a_preset_is_a_fresh_control_for_the_same_input(tmp_path: Path) -> None:
    config = ae.BenchConfig(runs=2, warmup=0)
    report = ae.bench([student().eval(), "cp-mobile"], config, plan=ae.BenchPlan())
    assert [(row.model, row.runtime) for row in report.rows] == [
        ("model 1", "torch"),
        ("cp-mobile", "torch"),
    ]
    assert report.control == "cp-mobile"
    assert set(report.ratios) == {"model 1", "cp-mobile"}
    assert report.rows[1].ratio == 1
    assert "ratio to cp-mobile" in str(report)
    named = ae.bench(
        ["student-ssd-tiny", "cp-mobile"], config, plan=ae.BenchPlan(), control="cp-mobile"
    )
    assert named.control == "cp-mobile"


def test_a_run_directory_is_its_final_model(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: x\n")
    with pytest.raises(CheckpointError, match="no model is finished"):
        ae.load(tmp_path)
    for stage, seed in (("teacher", 1), ("distill", 2), ("quantize", 3)):
        ae.save(student(seed), tmp_path / stage / "model")
    for stage in ("teacher", "distill"):
        (tmp_path / stage / "stage.json").write_text("{}")
    left = ae.load(str(tmp_path)).state_dict()
    for name, tensor in student(2).state_dict().items():
        torch.testing.assert_close(left[name], tensor)
