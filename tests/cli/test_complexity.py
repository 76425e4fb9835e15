"""`aum-edge complexity`: any model, every format, the exit code for anyone's CI."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import yaml

from aum_edge.cli.main import main
from aum_edge.complexity.limits import presets
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.storage.directory import save
from tests.small_run import student

NETWORK = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 2))

ready = Net()
number = 3

def needs(width):
    return Net()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save(student().eval(), folder / "float")
    save(quantize(student().eval(), QuantizeConfig()), folder / "int8")
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["complexity", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_text_shows_every_table(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, model / "int8", "--crosscheck")
    assert (code, err) == (0, "")
    for words in (
        "Limits dcase2025",
        "stored as int8",
        "scales and zero points",
        "activations at the peak",
        "MACs by operator",
        "Front end, not in the figures above",
        "torch FlopCounterMode / 2",
        "MACs by layer",
    ):
        assert words in out


def test_csv_adds_up(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, model / "float", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    _, text, _ = run(capsys, model / "float", "--json")
    assert sum(int(row["macs"]) for row in rows) == json.loads(text)["exact"]["macs"]


def test_the_submission_block_is_yaml(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, model / "int8", "--submission")
    block = yaml.safe_load(out)["complexity"]
    _, text, _ = run(capsys, model / "int8", "--json")
    values = json.loads(text)
    assert block["macs"] == values["official"]["macs"]
    assert block["total_model_size"] == values["official"]["param_bytes"]
    assert block["exact"]["macs"] == values["exact"]["macs"]
    assert isinstance(block["total_parameters"], int)


def test_payload_of_every_precision_is_what_the_file_holds(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("float", "int8"):
        _, text, _ = run(capsys, model / name, "--json")
        content = (model / name / "model.safetensors").read_bytes()
        header = int.from_bytes(content[:8], "little")
        assert json.loads(text)["bytes"]["payload_bytes"] == len(content) - 8 - header


def test_several_models_have_a_budget_each(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = tmp_path / "l.yaml"
    limits.write_text("param_bytes: 10000\n")
    code, out, err = run(capsys, model / "float", model / "int8", "--limits", limits, "--json")
    models = json.loads(out)["models"]
    assert [m["within_limits"]["exact"] for m in models.values()] == [False, True]
    assert code == 3
    assert "float is over the l limits by the exact count: 18,604 of 10,000 bytes, 86.0 %" in err
    assert "% too many" in err


@pytest.mark.parametrize("limits", list(presets()))
def test_every_preset_gives_a_verdict(
    limits: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, model / "int8", "--limits", limits)
    assert (code, err) == (0, "")
    assert out.startswith(f"Limits {limits} ")
    assert out.count(" inside\n") == 2


def test_what_is_not_known_is_said_and_is_no_failure(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export_onnx(student().eval(), tmp_path / "m.onnx", ExportConfig(), None)
    code, out, err = run(capsys, tmp_path / "m.onnx", "--json")
    assert code == 0
    assert json.loads(out)["within_limits"] == {"exact": True, "official": None}
    assert err.count("\n") == 1
    assert "m.onnx is not known to be inside the dcase2025 limits by the official count" in err


def test_the_exported_graph_beside_the_model(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export_onnx(student().eval(), tmp_path / "m.onnx", ExportConfig(), None)
    code, out, _ = run(capsys, model / "float", "--graph", tmp_path / "m.onnx")
    assert code == 0
    assert "The exported graph m.onnx" in out
    _, text, _ = run(capsys, model / "float", "--graph", tmp_path / "m.onnx", "--json")
    values = json.loads(text)
    assert values["graph"]["macs"] == values["exact"]["macs"]
    assert values["graph"]["differences"] == []
    code, text, _ = run(capsys, tmp_path / "m.onnx", "--json")
    values = json.loads(text)
    assert values["bytes"]["file_bytes"] == (tmp_path / "m.onnx").stat().st_size
    assert values["bytes"]["payload_bytes"] < values["bytes"]["file_bytes"]
    assert values["exact"]["peak_activation_bytes"] > 0


def test_any_module_by_its_import_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_net.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    for name in ("Net", "ready"):
        code, out, _ = run(capsys, f"own_net:{name}", "--input-shape", "1,1,8,8", "--json")
        assert code == 0
        assert json.loads(out)["exact"]["macs"] == 4 * 36 * 9 + 2 * 144
    for words, message in (
        (["own_net:Net"], "needs `--input-shape`"),
        (["own_net:Nothing", "--input-shape", "1,1,8,8"], "has no `Nothing`"),
        (["own_nett:Net", "--input-shape", "1,1,8,8"], "Cannot import own_nett"),
        (["own_net:number", "--input-shape", "1,1,8,8"], "cannot be called without arguments"),
        (["own_net:needs", "--input-shape", "1,1,8,8"], "cannot be called without arguments"),
        (["own_net:Net", "--input-shape", "1,1,9,9"], "does not take an input of (1, 1, 9, 9)"),
        (["own_net:Net", "--input-shape", "1,x"], "must be sizes such as"),
    ):
        code, out, err = run(capsys, *words)
        assert (code, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1


def test_options_that_would_do_nothing_are_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "m.onnx"
    export_onnx(student().eval(), file, ExportConfig(), None)
    for words, message in (
        ([file, "--crosscheck"], "needs the torch model"),
        ([model / "int8", "--input-shape", "1,1"], "has its own"),
        ([model / "int8", "--graph", file, "--csv"], "stands beside one model"),
        ([model / "int8", model / "float", "--graph", file], "stands beside one model"),
    ):
        code, out, err = run(capsys, *words)
        assert (code, out) == (2, "")
        assert message in err


def test_submission_of_an_onnx_file_claims_no_official_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export_onnx(student().eval(), tmp_path / "m.onnx", ExportConfig(), None)
    _, out, _ = run(capsys, tmp_path / "m.onnx", "--submission")
    block = yaml.safe_load(out)["complexity"]
    assert block["macs"] is None
    assert block["exact"]["macs"] > 0


def test_modules_that_fail_to_import_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken_net.py").write_text("def f(:\n")
    (tmp_path / "raising_net.py").write_text("raise KeyError('x')\n")
    monkeypatch.chdir(tmp_path)
    for name, word in (("broken_net:f", "SyntaxError"), ("raising_net:f", "KeyError")):
        code, _, err = run(capsys, name, "--input-shape", "1,4")
        assert code == 2
        assert word in err
        assert err.count("\n") == 1
