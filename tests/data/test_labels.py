"""Several labels a clip, label CSVs, and one manifest file for each split."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch

from aum_edge.audio.config import Normalization, aum_fbank
from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.datamodule import AudioData
from aum_edge.data.features.cache import build_cache, multi_hot
from aum_edge.data.labels import read_label_table, with_model_labels
from aum_edge.data.manifest import Clip, make_manifest, validate
from aum_edge.data.splits import split_by_groups
from aum_edge.data.summary import corpus_stats
from aum_edge.errors import DataError, RecipeError

TABLE = 'index,mid,display_name\n1,/m/b,"Speech, male"\n0,/m/a,Dog\n2,/m/c,Cat\n'
FBANK = aum_fbank(8000, n_frames=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_tone):
    """Twelve training clips and four to evaluate on, some with two labels."""
    root = tmp_path_factory.mktemp("multi")
    marks = ["/m/a", "/m/b", "/m/a,/m/b", "/m/c"]
    for name, count in (("train", 12), ("eval", 4)):
        rows = []
        for number in range(count):
            file = f"{name}/{number}.wav"
            write_tone(root / file, 0.3 + 0.1 * (number % 5), seed=number)
            rows.append({"wav": file, "labels": marks[number % 4]})
        (root / f"{name}.json").write_text(json.dumps({"data": rows}))
    (root / "labels.csv").write_text(TABLE)
    return root


def config(folder, **values):
    values = {
        "val_root": str(folder / "eval.json"),
        "test_root": str(folder / "eval.json"),
    } | values
    return DataConfig.of(
        "manifest",
        folder / "train.json",
        label_file=str(folder / "labels.csv"),
        **values,
    )


def test_labels_follow_the_index_and_rows_keep_all_of_theirs(folder, tmp_path):
    manifest = load_manifest(config(folder), tmp_path)
    validate(manifest)
    assert manifest.labels == ("Dog", "Speech, male", "Cat")
    assert manifest.multi_label
    assert manifest.clips[2].labels == ("Dog", "Speech, male")
    assert manifest.clips[2].label == "Dog"
    assert [len(manifest.split(split)) for split in ("train", "val", "test")] == [12, 4, 4]


def test_one_file_for_validation_and_test_is_said(folder, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        manifest = load_manifest(config(folder), tmp_path)
    assert manifest.val_is_test
    assert "selected on it is selected on test data" in caplog.text
    assert [c.path for c in manifest.split("val")] == [c.path for c in manifest.split("test")]


def test_without_a_validation_file_it_is_carved_from_training(folder, tmp_path):
    manifest = load_manifest(config(folder, val_root="", val_fraction=0.25), tmp_path)
    assert not manifest.val_is_test
    assert len(manifest.split("train")) + len(manifest.split("val")) == 12
    assert len(manifest.split("val")) >= 2
    assert len(manifest.split("test")) == 4
    validate(manifest)


def test_without_a_test_file_it_is_carved_from_training(folder, tmp_path):
    manifest = load_manifest(config(folder, test_root=""), tmp_path)
    assert len(manifest.split("val")) == 4
    assert len(manifest.split("test")) >= 2


def test_a_test_file_alone_can_be_scored(folder, tmp_path):
    only = DataConfig.of(
        "manifest",
        test_root=str(folder / "eval.json"),
        label_file=str(folder / "labels.csv"),
    )
    manifest = load_manifest(only, tmp_path)
    assert len(manifest.split("test")) == len(manifest.clips) == 4
    assert manifest.labels == ("Dog", "Speech, male", "Cat")


def test_training_rows_in_the_test_file_are_refused(folder, tmp_path):
    with pytest.raises(DataError, match=r"has 12 rows given more than once: .*train/0.wav"):
        load_manifest(config(folder, val_root="", test_root=str(folder / "train.json")), tmp_path)


def test_targets_are_multi_hot_in_cache_and_batches(folder, tmp_path):
    data = AudioData(config(folder), FBANK, cache_dir=tmp_path, batch_size=5, waveforms=True)
    data.setup()
    train = data.arrays["train"]
    assert train.targets.dtype == np.float32
    assert train.targets[:4].tolist() == [[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert train.labels[:4].tolist() == [0, 1, 0, 2]
    for batch in data.train_dataloader():
        rows = batch["index"].numpy()
        assert batch["y"].dtype == torch.float32
        assert np.array_equal(batch["y"].numpy(), train.targets[rows])
        assert np.array_equal(batch["length"].numpy(), train.lengths[rows])
        assert batch["waveform"].shape == (len(rows), FBANK.clip_samples)
    assert all(batch["y"].shape[1] == 3 for batch in data.val_dataloader())


def test_lengths_and_frames_of_padding_come_back_from_the_cache(folder, tmp_path):
    manifest = load_manifest(config(folder), tmp_path)
    first = build_cache(manifest, FBANK, tmp_path)["train"]
    again = build_cache(manifest, FBANK, tmp_path)["train"]
    wanted = [min(round((0.3 + 0.1 * (n % 5)) * 8000), FBANK.clip_samples) for n in range(12)]
    assert first.lengths.tolist() == again.lengths.tolist() == wanted
    for row, length in enumerate(wanted):
        own = FBANK.frames_of(length)
        assert not again.features[row, :, own:].any()
        assert again.features[row, :, :own].all()


def test_a_single_label_corpus_has_no_targets(fsdd_corpus, frontend, tmp_path):
    single = DataConfig.of("fsdd", fsdd_corpus, test_speakers=("cy",))
    arrays = build_cache(load_manifest(single, tmp_path), frontend, tmp_path)
    assert arrays["train"].targets is None
    assert arrays["train"].lengths is None


def test_given_normalisation_is_used_as_it_is(folder, tmp_path):
    published = Normalization(mean=-4.2677393, std=4.5689974, std_factor=2)
    data = AudioData(config(folder, normalization=published), FBANK, cache_dir=tmp_path)
    data.setup()
    assert data.normalization == published
    plain = AudioData(config(folder), FBANK, cache_dir=tmp_path)
    plain.setup()
    assert plain.normalization != published


def test_stats_and_carving_count_every_label(folder, tmp_path):
    manifest = load_manifest(config(folder), tmp_path)
    labels = corpus_stats(manifest).splits["train"].labels
    assert labels == {"Cat": 3, "Dog": 6, "Speech, male": 6}
    clips = [
        Clip(path=tmp_path / f"{n}.wav", label="x", labels=("x", "y")[: 1 + n % 2], split="train")
        for n in range(40)
    ]
    held = [clip for clip in split_by_groups(clips, 0.2, 0, "val") if clip.split == "val"]
    assert len(held) == 8
    assert sum(len(clip.labels) == 2 for clip in held) == 4


def test_fingerprints_see_the_second_label(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"x")
    clip = Clip(path=tmp_path / "a.wav", label="x", split="train")
    two = Clip(path=tmp_path / "a.wav", label="x", labels=("x", "y"), split="train")
    assert make_manifest("m", [clip]).fingerprint() != make_manifest("m", [two]).fingerprint()
    with pytest.raises(DataError, match="must differ and start with `x`"):
        Clip(path=tmp_path / "a.wav", label="x", labels=("y", "x"), split="train")
    assert multi_hot([two], {"z": 0, "y": 1, "x": 2}).tolist() == [[0, 1, 1]]


def test_a_csv_with_a_separator_and_a_json_list(folder, tmp_path):
    (folder / "m.csv").write_text("path,label\ntrain/0.wav,Dog; Cat\ntrain/1.wav,Cat\n")
    table = DataConfig.of("manifest", folder / "m.csv", label_separator=";")
    assert load_manifest(table, tmp_path).clips[0].labels == ("Dog", "Cat")
    rows = [{"path": "train/0.wav", "label": ["a, b", "c"]}, {"path": "train/1.wav", "label": "c"}]
    (folder / "m.json").write_text(json.dumps(rows))
    plain = DataConfig.of("manifest", folder / "m.json")
    assert load_manifest(plain, tmp_path).clips[0].labels == ("a, b", "c")


def test_a_split_that_a_file_of_its_own_contradicts_is_named(folder, tmp_path):
    (folder / "m.csv").write_text("path,label,split\neval/0.wav,Dog,train\n")
    with pytest.raises(DataError, match="line 2: `split` is 'train' in the file given for test"):
        load_manifest(config(folder, val_root="", test_root=str(folder / "m.csv")), tmp_path)


def test_classes_never_trained_are_refused_unless_a_label_file_fixes_them(folder, caplog):
    rows = [
        Clip(path=folder / f"train/{n}.wav", label=label, split=split)
        for n, (label, split) in enumerate(
            [("x", "train"), ("y", "train"), ("x", "val"), ("z", "test")]
        )
    ]
    manifest = make_manifest("m", rows)
    with pytest.raises(DataError, match="training split lacks: z"):
        validate(manifest)
    fixed = type(manifest)("m", manifest.clips, manifest.labels, fixed_labels=True)
    with caplog.at_level(logging.WARNING):
        validate(fixed)
    assert "never trained: z" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,mid,display_name\n0,/m/a,A\n1,/m/a,B\n2,/m/c,C\n", "1 ids more than once: /m/a"),
        ("index,mid,display_name\n0,/m/a,A\n1,,B\n", "line 3: `mid` is empty"),
        ("index,mid,display_name\n0,/m/a,A\n2,/m/b,B\n", "indices 0 to 1, .* missing: 1"),
        ("index,mid,display_name\n0,/m/a,A\n0,/m/b,B\n", "twice or more: 0; missing: 1"),
        ("index,mid,display_name\nx,/m/a,A\n", "line 2: `index` must be a number from 0 on"),
        ("index,mid,display_name\n-1,/m/a,A\n", "`index` must be a number from 0 on, got '-1'"),
        ("id,name\n0,/m/a\n", "header index,mid,display_name; got 'id,name'"),
        ("0,/m/a,A\n1,/m/b,B\n", "header index,mid,display_name; got '0,/m/a,A'"),
        ("index,mid,display_name\n0,/m/a,Speech, male\n", "line 2: the header has 3 columns"),
        ("index,mid,display_name\n0,/m/a\n", "line 2: the header has 3 columns"),
        ("index,mid,display_name\n", "has no classes"),
        ("", "header index,mid,display_name; got ''"),
    ],
)
def test_label_file_errors_are_one_line(tmp_path, text, message):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_label_table(path)
    assert "\n" not in str(caught.value)
    assert "labels.csv" in str(caught.value)


def test_a_label_file_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_label_table(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"index,mid,display_name\n0,\xff\xfe,a\n")
    with pytest.raises(DataError, match="is not a CSV file in UTF-8"):
        read_label_table(tmp_path / "b.csv")


def test_two_classes_of_one_name_keep_apart(tmp_path):
    (tmp_path / "l.csv").write_text("index,mid,display_name\n0,/m/a,Bark\n1,/m/b,Bark\n2,/m/c,\n")
    assert read_label_table(tmp_path / "l.csv").names == ("Bark (/m/a)", "Bark (/m/b)", "/m/c")


def test_labels_that_the_label_file_lacks_are_counted_and_named(folder, tmp_path):
    (tmp_path / "few.csv").write_text("index,mid,display_name\n0,/m/a,Dog\n")
    short = DataConfig.of(
        "manifest",
        folder / "train.json",
        label_file=str(tmp_path / "few.csv"),
    )
    message = r"9 of 12 rows of corpus `manifest` have 2 labels that .*few.csv lacks: /m/b, /m/c"
    with pytest.raises(DataError, match=message):
        load_manifest(short, tmp_path)


def test_another_number_of_classes_than_the_recipe_says_is_refused(folder, tmp_path):
    load_manifest(config(folder, n_classes=3), tmp_path)
    with pytest.raises(DataError, match=r"has 3 classes \(Dog, .*`n_classes` says 527"):
        load_manifest(config(folder, n_classes=527), tmp_path)


def test_settings_of_manifests_are_refused_elsewhere():
    with pytest.raises(RecipeError, match="`val_root` is for the corpus `manifest`"):
        DataConfig.of("esc", "x", val_root="y")


def test_a_model_gives_its_labels_and_their_order_to_a_corpus(folder, tmp_path):
    manifest = load_manifest(config(folder), tmp_path)
    labels = ("Cow", "Cat", "Speech, male", "Dog")
    other = with_model_labels(manifest, labels)
    stored = build_cache(other, FBANK, tmp_path)["test"]
    assert stored.targets[2].tolist() == [0, 0, 1, 1]
    message = r"has 2 labels that the model does not know: Cat, Speech, male.*`--labels CSV`"
    with pytest.raises(DataError, match=message):
        with_model_labels(manifest, ("Dog", "Cow"))
