from __future__ import annotations

import pytest

from aum_edge.errors import ExportError
from aum_edge.submission.package.module_text import architecture_module
from aum_edge.submission.package.vendor import needed, relative

RUNTIME = "aum_edge.submission.runtime"


def test_only_what_the_networks_need_is_copied() -> None:
    own = {f"{RUNTIME}.architecture": architecture_module(["mamba_student"])}
    found = needed([f"{RUNTIME}.api"], own)
    assert {"aum_edge.audio.frontend", "aum_edge.models.architectures.mamba_student"} <= set(found)
    assert {f"aum_edge.ssm.mixers.{mixer}" for mixer in ("s6", "ssd", "gated_conv")} <= set(found)
    for other in ("audio_mamba", "ast", "cp_mobile"):
        assert f"aum_edge.models.architectures.{other}" not in found
    assert not [name for name in found if ".storage." in name]
    assert not [name for name in found if ".training." in name or ".compression." in name]
    assert f"{RUNTIME}.onnx_network" not in found


def test_imports_become_relative() -> None:
    source = (
        "from aum_edge.errors import AudioError\n"
        "from aum_edge.ssm import choice, cuda\n"
        "def f():\n"
        "    from aum_edge.audio.mel import (\n        mel_filters,\n    )\n"
    )
    assert relative("aum_edge.ssm.scan.operator", source) == (
        "from ...errors import AudioError\n"
        "from ...ssm import choice, cuda\n"
        "def f():\n"
        "    from ...audio.mel import (\n        mel_filters,\n    )\n"
    )


def test_what_cannot_be_copied_is_refused() -> None:
    with pytest.raises(ExportError, match="aum_edge whole"):
        needed(["aum_edge.x"], {"aum_edge.x": "import aum_edge\n"})
