"""Mean and deviation with and without padding, and the command that prints them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aum_edge.audio.config import aum_fbank
from aum_edge.cli.main import main
from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.features.cache import build_cache, normalization
from aum_edge.data.features.statistics import feature_statistics
from aum_edge.data.manifest import Manifest
from aum_edge.errors import DataError

FBANK = aum_fbank(8000, n_frames=40)
RECIPE = """
name: m
data: {{corpus: fsdd, root: {root}, test_speakers: [cy]}}
frontend: {{kind: kaldi_fbank, sample_rate: 8000, n_fft: 256, win_length: 200, hop_length: 80,
  n_mels: 128, f_min: 20, log_offset: 1.1920928955078125e-07, clip_seconds: 0.415, padding: zero,
  channels: first}}
"""


@pytest.fixture(scope="module")
def arrays(fsdd_corpus, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    config = DataConfig.of("fsdd", fsdd_corpus, test_speakers=("cy",))
    return build_cache(load_manifest(config, cache), FBANK, cache)


def test_both_conventions_equal_plain_sums(arrays):
    train = arrays["train"]
    got = feature_statistics(train, FBANK)
    values = np.asarray(train.features, dtype=np.float64)
    assert got.padded.mean == pytest.approx(values.mean())
    assert got.padded.std == pytest.approx(values.std())
    assert got.padded.frames == len(train) * 40
    own = np.concatenate(
        [row[:, : FBANK.frames_of(n)].ravel() for row, n in zip(values, train.lengths, strict=True)]
    )
    assert got.sound.mean == pytest.approx(own.mean())
    assert got.sound.std == pytest.approx(own.std())
    assert got.sound.frames * 128 == own.size < values.size
    assert got.padded.mean > got.sound.mean + 0.1
    used = normalization(train)
    assert (used.mean, used.std) == pytest.approx((got.padded.mean, got.padded.std))


def test_padding_that_is_heard_has_one_convention(fsdd_corpus, frontend, tmp_path):
    config = DataConfig.of("fsdd", fsdd_corpus, test_speakers=("cy",))
    stored = build_cache(load_manifest(config, tmp_path), frontend, tmp_path)
    got = feature_statistics(stored["train"], frontend)
    assert got.sound == got.padded
    empty = build_cache(Manifest("m", (), ("a", "b")), frontend, tmp_path)
    with pytest.raises(DataError, match="split is empty"):
        feature_statistics(empty["train"], frontend)


def test_the_command_prints_what_a_recipe_takes(arrays, fsdd_corpus, tmp_path, capsys):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(RECIPE.format(root=fsdd_corpus))
    words = ["data", "normalization", str(recipe), "--cache", str(tmp_path / "c")]
    assert main([*words, "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    want = feature_statistics(arrays["train"], FBANK)
    assert out["normalization"]["mean"] == pytest.approx(want.padded.mean, abs=1e-6)
    assert out["normalization"]["std_factor"] == 2
    assert out["sound"]["std"] == pytest.approx(want.sound.std)
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "(used): mean" in text
    assert "data: {normalization: {mean: " in text
    line = text.split("normalization: ")[1]
    value = f"data.normalization={line.strip().removesuffix('}')}"
    assert main([*words, "--set", value]) == 0


def test_reroot_on_the_command_line(tmp_path, write_tone, capsys):
    write_tone(tmp_path / "here" / "a" / "1.wav", 0.1)
    write_tone(tmp_path / "here" / "b" / "1.wav", 0.1)
    rows = [{"wav": f"/old/{name}/1.wav", "labels": "x"} for name in "abc"]
    (tmp_path / "m.json").write_text(json.dumps({"data": rows}))
    words = ["data", "reroot", str(tmp_path / "m.json"), str(tmp_path / "o.json")]
    words += ["--to", str(tmp_path / "here")]
    assert main(words) == 1
    assert "1 of 3 files" in capsys.readouterr().err
    assert main([*words, "--allow-missing", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "rows": 3,
        "found": 2,
        "found_by_name_alone": 0,
        "left_out": ["/old/c/1.wav"],
    }
    assert main([*words, "--from", "/old", "--allow-missing"]) == 0
    assert "2 of 3 files found" in capsys.readouterr().out


def test_a_manifest_from_a_published_table_on_the_command_line(tmp_path, write_tone, capsys):
    write_tone(tmp_path / "audio" / "bb_000005.wav")
    (tmp_path / "t.csv").write_text("bb,5,dog,test\n")
    words = ["data", "manifest", "vggsound", str(tmp_path / "t.csv"), str(tmp_path / "o.json")]
    assert main([*words, "--audio", str(tmp_path / "audio")]) == 0
    assert "1 of 1 rows have audio" in capsys.readouterr().out


def test_stats_of_a_test_file_alone_with_a_label_file(tmp_path, write_tone, capsys):
    write_tone(tmp_path / "a.wav")
    rows = [{"wav": "a.wav", "labels": "/m/a,/m/b"}]
    (tmp_path / "e.json").write_text(json.dumps({"data": rows}))
    (tmp_path / "l.csv").write_text("index,mid,display_name\n0,/m/a,A\n1,/m/b,B\n2,/m/c,C\n")
    words = ["data", "stats", "--data", "manifest", "--test-file", str(tmp_path / "e.json")]
    assert main([*words, "--labels", str(tmp_path / "l.csv"), "--json"]) == 0
    stats = json.loads(capsys.readouterr().out)
    assert stats["labels"] == ["A", "B", "C"]
    assert stats["splits"]["test"]["labels"] == {"A": 1, "B": 1}
