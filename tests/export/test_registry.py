"""Export targets: found by themselves, named by the file's ending, with options of their own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import aum_edge.export
from aum_edge.bench.entry import entry_of
from aum_edge.cli.main import main
from aum_edge.errors import ExportError, RecipeError
from aum_edge.export.c.config import CExportConfig
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.export.onnx.export import export_onnx
from aum_edge.export.registry import export, export_targets, target_of
from aum_edge.models.storage.directory import save
from tests.small_run import student

TOY = """
from dataclasses import dataclass
from pathlib import Path

from aum_edge.errors import RecipeError
from aum_edge.export.target import ExportedFile, ExportTarget


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    shouts: bool = False
    times: int = 1

    def __post_init__(self):
        if self.times < 1:
            raise RecipeError(f"`times` must be at least 1, got {self.times}.")


def write(model, out: Path, config, progress):
    text = " ".join(model.labels * config.times)
    out.write_text(text.upper() if config.shouts else text)
    return ExportedFile(path=out)


TARGET = ExportTarget(
    ending=".toy",
    description="the labels",
    config=ToyConfig,
    write=write,
    options={"shouts": "in capitals", "times": "how often"},
)
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """One new sub-package, and nothing else."""
    package = tmp_path / "more" / "toy"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "target.py").write_text(TOY)
    monkeypatch.setattr(
        aum_edge.export, "__path__", [*aum_edge.export.__path__, str(package.parent)]
    )
    yield ".toy"
    for name in [name for name in sys.modules if name.startswith("aum_edge.export.toy")]:
        del sys.modules[name]


def test_a_new_sub_package_is_a_target(
    toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(export_targets()) == [".c", ".onnx", toy]
    made = export(student(), tmp_path / "m.toy")
    assert Path(made).read_text() == "high low mid"
    save(student(), tmp_path / "m")
    words = ["export", str(tmp_path / "m"), str(tmp_path / "n.TOY")]
    assert main([*words, "--shouts", "--times", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == "n.TOY"
    assert (tmp_path / "n.TOY").read_text() == "HIGH LOW MID HIGH LOW MID"
    assert main([*words, "--times", "0"]) == 2
    assert "`times` must be at least 1" in capsys.readouterr().err
    assert main([*words, "--scan", "scan"]) == 2
    assert "`--scan` is for .onnx files; a .toy file takes --shouts, --times" in (
        capsys.readouterr().err
    )
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert "the labels" in capsys.readouterr().out


def test_every_option_is_a_field_of_its_targets_config() -> None:
    for target in export_targets().values():
        defaults = target.config()
        for name in target.options:
            assert hasattr(defaults, name), f"{target.ending} {name}"


def test_the_ending_decides_in_capitals_too(tmp_path: Path) -> None:
    assert target_of("A.ONNX").config is ExportConfig
    assert target_of(Path("a.c")).config is CExportConfig
    with pytest.raises(RecipeError, match=r"ends in \.c or \.onnx, got a\.tflite"):
        target_of("a.tflite")


def test_a_step_graph_is_an_option_of_onnx(tmp_path: Path) -> None:
    model = student(bidirectional=False).eval()
    made = export(model, tmp_path / "STEP.ONNX", ExportConfig(streaming=True))
    assert made.scan == "step"
    assert str(made).startswith(f"{tmp_path / 'STEP.ONNX'}: ")
    with pytest.raises(RecipeError, match="leave out --with-frontend"):
        ExportConfig(streaming=True, dynamic_length=True)
    with pytest.raises(ExportError, match="export_streaming"):
        export_onnx(model, tmp_path / "m.onnx", ExportConfig(streaming=True))


def test_a_directory_has_the_form_of_every_target(toy: str, tmp_path: Path) -> None:
    save(student(), tmp_path / "m")
    assert entry_of(tmp_path / "m", "onnxruntime", tmp_path).path.suffix == ".onnx"
    assert entry_of(tmp_path / "m", None, tmp_path).runtime == "torch"
    assert entry_of(tmp_path / "m", "unheard", tmp_path) is None
    (tmp_path / "m.txt").write_text("no model")
    with pytest.raises(ExportError, match="no file that a runtime takes"):
        entry_of(tmp_path / "m.txt", None, tmp_path)
