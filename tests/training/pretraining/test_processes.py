from __future__ import annotations

import pytest
import torch

from aum_edge.models.classifier import load
from tests.small_run import tones
from tests.training.two_processes import two_processes

RECIPE = """
name: tones
data: {{corpus: audio, root: {root}}}
frontend: {{sample_rate: 8000, n_fft: 256, win_length: 256, hop_length: 250, n_mels: 16}}
model: {{preset: aum-mini, overrides: {{d_model: 16, depth: 2, d_state: 4, drop_path: 0.1}}}}
pretrain: {{epochs: 2, batch_size: 6, passes: two, trainer: {{accelerator: cpu}}}}
"""


@pytest.mark.slow
def test_two_processes_pretrain_one_encoder(tmp_path) -> None:
    tones(tmp_path / "audio", per_class=8)
    (tmp_path / "pre.yaml").write_text(RECIPE.format(root=tmp_path / "audio"))
    shown = two_processes("tests.training.pretraining.pretrain_worker", tmp_path)

    first, second = (torch.load(tmp_path / f"rank-{rank}.pt") for rank in (0, 1))
    for name, tensor in first["weights"].items():
        assert torch.equal(second["weights"][name], tensor), name
    assert first["history"] == second["history"]
    saved = load(tmp_path / "tones" / "pretrain" / "model")
    for name, tensor in saved.state_dict().items():
        assert torch.equal(first["weights"][name], tensor), name
    assert [out.count("validation loss") for out in shown] == [1, 0]
    assert not (tmp_path / "tones" / "run.lock").exists()
