"""What `aum_edge.ssm` promises to importers."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import aum_edge.ssm


def test_the_scan_is_a_name_of_the_room() -> None:
    from aum_edge.ssm import selective_scan
    from aum_edge.ssm.scan.interface import selective_scan_ref

    torch.manual_seed(0)
    u, delta = torch.randn(2, 3, 5), torch.rand(2, 3, 5)
    A, B, C = -torch.rand(3, 4), torch.randn(2, 4, 5), torch.randn(2, 4, 5)
    expected = selective_scan_ref(u, delta, A, B, C)
    torch.testing.assert_close(selective_scan(u, delta, A, B, C), expected)
    assert "selective_scan" in aum_edge.ssm.__all__


def test_other_names_are_no_names_of_the_room() -> None:
    with pytest.raises(AttributeError, match="no attribute 'selective_scan_fast'"):
        aum_edge.ssm.selective_scan_fast  # noqa: B018


def test_importing_the_room_imports_no_torch() -> None:
    code = "import sys, aum_edge.ssm; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
