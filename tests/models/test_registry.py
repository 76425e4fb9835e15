"""Config to network and back to a name."""

from __future__ import annotations

from aum_edge.models.config import BackboneConfig
from aum_edge.models.registry import architecture_of, architectures, build


def test_every_config_builds_its_own_network(small_configs: dict[str, BackboneConfig]) -> None:
    kinds = {name: type(build(config)).__name__ for name, config in small_configs.items()}
    assert kinds == {
        "audio_mamba": "AudioMamba",
        "student_ssd": "MambaStudent",
        "student_s6": "MambaStudent",
        "cp_mobile": "CPMobile",
    }


def test_the_network_carries_its_config(small_configs: dict[str, BackboneConfig]) -> None:
    for config in small_configs.values():
        assert build(config).config is config


def test_names_lead_back_to_the_config(small_configs: dict[str, BackboneConfig]) -> None:
    for config in small_configs.values():
        assert architectures()[architecture_of(config)].config is type(config)
