"""from_pretrained and save_pretrained: folders, a hub's cache, and names that lead nowhere."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml

import aum_edge
from aum_edge.errors import CheckpointError
from aum_edge.models.classifier import AudioClassifier, from_pretrained, load
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.storage.card import front_matter

Make = Callable[..., AudioClassifier]
FILES = {"config.json", "model.safetensors", "README.md"}


@pytest.fixture
def model(classifier: Make, small_configs: dict[str, BackboneConfig]) -> AudioClassifier:
    return classifier(small_configs["audio_mamba"])


@pytest.fixture
def saved(model: AudioClassifier, tmp_path: Path) -> Path:
    model.save_pretrained(tmp_path / "m")
    return tmp_path / "m"


def same(one: AudioClassifier, other: AudioClassifier) -> bool:
    x = torch.randn(1, 1, 16, 12, generator=torch.manual_seed(8))
    return torch.equal(one(x), other(x)) and one.labels == other.labels


def message_of(*args: Any, **values: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        from_pretrained(*args, **values)
    message = str(caught.value)
    assert "\n" not in message
    return message


def change(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text()) | values
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))


def fake_hub(patch: pytest.MonkeyPatch, answer: Callable[..., str]) -> None:
    module = ModuleType("huggingface_hub")
    module.snapshot_download = answer  # type: ignore[attr-defined]
    patch.setitem(sys.modules, "huggingface_hub", module)


def test_a_folder_comes_back_as_it_was(model: AudioClassifier, saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == FILES
    for way in (AudioClassifier.from_pretrained, aum_edge.from_pretrained):
        assert same(way(saved), model)
        assert same(way(str(saved)), model)
    assert not from_pretrained(saved).training


def test_a_folder_wins_over_the_hub(
    model: AudioClassifier, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    shutil.copytree(saved, saved.parent / "owner" / "name")
    monkeypatch.chdir(saved.parent)
    assert same(from_pretrained("owner/name"), model)
    assert "has no revision `v1`" in message_of("owner/name", revision="v1")


def test_a_hub_name_fetches_three_files_and_no_more(
    model: AudioClassifier, saved: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = []
    fake_hub(monkeypatch, lambda **values: calls.append(values) or str(saved))
    assert same(from_pretrained("owner/name", "v2", tmp_path, local_files_only=True), model)
    (call,) = calls
    assert set(call.pop("allow_patterns")) == FILES
    assert call == {
        "repo_id": "owner/name",
        "revision": "v2",
        "cache_dir": tmp_path,
        "local_files_only": True,
    }


@pytest.mark.parametrize("name", ["nowhere", "./a/b", "/no/such", "a/b/c", "owner/", "../x", ""])
def test_names_that_are_neither(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    fake_hub(monkeypatch, lambda **_: pytest.fail("the hub was asked"))
    monkeypatch.chdir(tmp_path)
    assert "no config.json" in message_of(name) if not name else "no hub name" in message_of(name)


def test_without_huggingface_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install huggingface_hub" in message_of("owner/name")


def test_what_the_hub_says_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> str:
        raise ConnectionError("no route\nto host")

    fake_hub(monkeypatch, refuse)
    message = message_of("owner/name", revision="main")
    assert message == "Cannot fetch owner/name at main: ConnectionError: no route to host."


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_repository_of_another_kind(
    saved: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    fake_hub(monkeypatch, lambda **_: str(saved))
    (saved / file).unlink()
    message = message_of("owner/name")
    assert f"owner/name has no {file}" in message
    assert "aum-edge convert" in message


def test_the_real_library_reads_its_cache_offline(
    model: AudioClassifier, saved: Path, tmp_path: Path
) -> None:
    pytest.importorskip("huggingface_hub")
    commit = "0123456789abcdef0123456789abcdef01234567"
    root = tmp_path / "cache" / "models--owner--name"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(commit)
    shutil.copytree(saved, root / "snapshots" / commit)
    found = from_pretrained("owner/name", cache_dir=tmp_path / "cache", local_files_only=True)
    assert same(found, model)
    message = message_of("owner/other", cache_dir=tmp_path / "cache", local_files_only=True)
    assert message.startswith("Cannot fetch owner/other: ")


def test_id2label_alone_gives_the_labels(model: AudioClassifier, saved: Path) -> None:
    change(saved, labels=..., label2id=...)
    assert same(load(saved), model)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"id2label": {"0": "class 0", "1": "x", "2": "class 2"}}, "class 1 is `class 1` in"),
        ({"label2id": {"class 0": 0, "class 1": 2, "class 2": 1}}, "in `label2id`"),
        ({"label2id": {"class 0": 0, "class 1": 1, "class 2": 1}}, "one number to two"),
        ({"id2label": {"0": "class 0"}}, "`id2label` has 1 labels where `labels` has 3"),
        ({"labels": ..., "id2label": {"0": "a", "2": "b"}}, "from 0 without gaps"),
        ({"id2label": ["class 0"]}, "must number the labels"),
        ({"label2id": ["class 0"]}, "must map names to numbers"),
        ({"label2id": {"class 0": [0]}}, "must map names to numbers"),
        ({"labels": ..., "id2label": ...}, "`labels` must be a list of texts, got None"),
        ({"labels": "abc"}, "`labels` must be a list of texts, got abc"),
    ],
)
def test_labels_that_contradict_each_other(saved: Path, values: Any, words: str) -> None:
    change(saved, **values)
    assert words in message_of(saved)


def test_every_card_has_the_hubs_front_matter(saved: Path) -> None:
    front = yaml.safe_load((saved / "README.md").read_text().split("---")[1])
    assert front["library_name"] == "aum-edge"
    assert {"audio-classification", "audio-mamba"} <= set(front["tags"])
    assert "model-index" not in front


def test_front_matter_quotes_what_yaml_would_misread() -> None:
    text = front_matter({"accuracy": 0.5}, "a: b", "Corpus #1")
    front = yaml.safe_load(text.split("---")[1])
    assert front["metrics"] == ["accuracy"]
    assert front["model-index"][0]["name"] == "a: b"
    assert front["model-index"][0]["results"][0]["dataset"]["name"] == "Corpus #1"
