from __future__ import annotations

import json

from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.manifest import Clip, make_manifest
from aum_edge.data.summary import corpus_stats


def test_counts_by_split_label_and_device(small_corpus, small_config, tmp_path):
    config = DataConfig(root=str(small_corpus), settings=small_config)
    stats = corpus_stats(load_manifest(config, tmp_path))
    assert stats.files == 87
    assert stats.sample_rates == {44_100: 87}
    train, val = stats.splits["train"], stats.splits["val"]
    assert train.segments + val.segments == sum(train.labels.values()) + val.segments == 60
    assert stats.splits["test"].devices == dict.fromkeys(
        ("a", "b", "c", "s1", "s2", "s3", "s4", "s5", "s6"), 3
    )
    assert stats.splits["test"].seconds == 27
    assert stats.problems == {}
    json.dumps(stats.to_dict())


def test_segments_count_once_as_clips_and_by_their_own_length(tmp_path, write_tone):
    path = write_tone(tmp_path / "a.wav", 2.5)
    spans = ((None, 1.0), (1.0, 2.0), (2.0, None))
    clips = [
        Clip(path=path, label="x", split="test", start=s, end=e, clip_id="c") for s, e in spans
    ]
    stats = corpus_stats(make_manifest("m", clips)).splits["test"]
    assert (stats.segments, stats.clips, stats.groups, stats.seconds) == (3, 1, 1, 2.5)


def test_problems_are_listed_by_file(tmp_path, write_tone):
    write_tone(tmp_path / "fine.wav")
    write_tone(tmp_path / "quiet.wav", silent=((0, 1),))
    (tmp_path / "broken.wav").write_bytes(b"RIFFnothing")
    clips = [
        Clip(path=tmp_path / f"{n}.wav", label="x", split="train")
        for n in ("fine", "quiet", "broken")
    ]
    manifest = make_manifest("m", clips)
    assert list(corpus_stats(manifest).problems) == [str(tmp_path / "broken.wav")]
    calls = []
    found = corpus_stats(manifest, check=True, progress=lambda *a: calls.append(a)).problems
    assert set(found) == {str(tmp_path / "quiet.wav"), str(tmp_path / "broken.wav")}
    assert "silent" in found[str(tmp_path / "quiet.wav")][0]
    assert "broken.wav" in found[str(tmp_path / "broken.wav")][0]
    assert calls[-1] == (3, 3, "files checked")
