"""Selective scans and the mixers made of them. ``selective_scan`` is the public function."""

from __future__ import annotations

from typing import Any

__all__ = ["selective_scan"]


def __getattr__(name: str) -> Any:
    """Import the scan when it is first asked for, so that ``aum_edge.ssm.x`` alone stays cheap."""
    if name == "selective_scan":
        from aum_edge.ssm.scan.interface import selective_scan

        return selective_scan
    raise AttributeError(f"module 'aum_edge.ssm' has no attribute '{name}'")
