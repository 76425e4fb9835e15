"""The tones as data, made once a file of tests."""

from __future__ import annotations

import pytest

from aum_edge.data.config import DataConfig
from aum_edge.data.datamodule import AudioData
from tests.small_run import FRONTEND, tones


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AudioData:
    root = tones(tmp_path_factory.mktemp("tones"))
    made = AudioData(
        DataConfig.of("folder", root),
        FRONTEND,
        cache_dir=tmp_path_factory.mktemp("cache"),
    )
    made.setup()
    return made
