"""Every oracle that index.json lists, against our implementation.

    pytest tests/parity --fixtures DIR

A fixture of a kind that no checker knows is a failure, not a skip.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from safetensors.torch import load_file

HERE = Path(__file__).parent
CHECKERS = {
    "scan_": ("ssm", "check_scan"),
    "mixer_blocks": ("ssm", "check_mixer_blocks"),
    "frontend_dcase_mel": ("frontends", "check_frontend_dcase_mel"),
    "frontend_kaldi_fbank": ("frontends", "check_frontend_kaldi_fbank"),
    "cpmobile": ("models", "check_cpmobile"),
    "flexi_resize": ("checkpoints", "check_flexi"),
    "aum_load_": ("checkpoints", "check_aum_load"),
    "aum_from_vim": ("checkpoints", "check_vim"),
    "asc_net": ("checkpoints", "check_asc"),
    "ssamba_finetune_": ("checkpoints", "check_ssamba_finetune"),
    "ssamba_pretrain_": ("ssamba", "check_ssamba_pretrain"),
    "ssamba_masks": ("ssamba", "check_ssamba_masks"),
    "keys_ssamba_": ("ssamba", "check_ssamba_keys"),
    "aum_": ("models", "check_aum"),
    "keys_": ("models", "check_keys"),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "item" in metafunc.fixturenames:
        folder: Path = metafunc.config.getoption("--fixtures")
        items = json.loads((folder / "index.json").read_text())["items"]
        names = [Path(item["file"]).stem for item in items]
        metafunc.parametrize("item", [(folder, item) for item in items], ids=names)


def checker(name: str) -> Callable[..., list[str]]:
    for prefix, (module, function) in CHECKERS.items():
        if name.startswith(prefix):
            return getattr(load_module(module), function)
    pytest.fail(f"No checker knows the fixture kind of {name}; known: {', '.join(CHECKERS)}.")


def load_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"parity_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_fixture_agrees(item: tuple[Path, dict]) -> None:
    folder, meta = item
    path = folder / meta["file"]
    check = checker(path.stem)
    if path.suffix == ".json":
        failures = check(json.loads(path.read_text()))
    else:
        failures = check(load_file(path), meta)
    assert not failures, "\n".join(failures)


def test_checker_fails_when_the_fixture_kind_is_unknown() -> None:
    with pytest.raises(pytest.fail.Exception, match="No checker knows"):
        checker("quantum_mixer")
