from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import aum_edge
from aum_edge.bench import host as module
from aum_edge.bench.host import host


def test_names_what_the_numbers_depend_on() -> None:
    found = host()
    assert found["cpu"]
    assert 1 <= found["cores"] <= found["logical_cores"]
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["aum_edge"] == aum_edge.__version__
    json.dumps(found)


def test_reads_processor_and_governor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpu").write_text("processor\t: 0\nmodel name\t: Tiny CPU 3000\n")
    (tmp_path / "governor").write_text("powersave\n")
    monkeypatch.setattr(module, "CPU_INFO", tmp_path / "cpu")
    monkeypatch.setattr(module, "GOVERNOR", tmp_path / "governor")
    assert host()["cpu"] == "Tiny CPU 3000"
    assert host()["governor"] == "powersave"


def test_unknown_is_none_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CPU_INFO", tmp_path / "none")
    monkeypatch.setattr(module, "GOVERNOR", tmp_path / "none")
    assert host()["governor"] is None
    assert host()["cpu"]
