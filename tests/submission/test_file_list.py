from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from aum_edge.errors import DataError
from aum_edge.submission.file_list import development_listing, evaluation_listing


def evaluation_copy(root: Path, target: Path, text: str) -> Path:
    shutil.copytree(root, target)
    table = target / "evaluation_setup" / "fold1_test.csv"
    table.write_text(text, encoding="utf-8", newline="")
    return target


def test_lines_end_either_way(evaluation: Path, tmp_path: Path) -> None:
    crlf = evaluation_listing(evaluation)
    text = (evaluation / "evaluation_setup/fold1_test.csv").read_text(encoding="utf-8")
    lf = evaluation_listing(evaluation_copy(evaluation, tmp_path / "e", text))
    assert crlf.names == lf.names
    assert crlf.devices == lf.devices
    assert crlf.devices[:7] == ("a", "b", "c", "s1", "s2", "s3", "unknown")
    assert Path(crlf.paths[0]).is_file()


def test_lists_without_devices_are_all_unknown(evaluation: Path, tmp_path: Path) -> None:
    root = evaluation_copy(evaluation, tmp_path / "e", "filename\naudio/1.wav\naudio/0.wav\n")
    listing = evaluation_listing(root)
    assert listing.names == ("audio/1.wav", "audio/0.wav")
    assert listing.devices == ("", "")


def test_new_devices_are_mentioned_and_served(
    evaluation: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "filename\tdevice_id\naudio/0.wav\tphone9\naudio/1.wav\tD\n"
    with caplog.at_level(logging.WARNING):
        assert evaluation_listing(evaluation_copy(evaluation, tmp_path / "e", text)).devices
    assert "1 files are of the device `phone9`" in caplog.text
    assert "`D`" not in caplog.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("filename,device_id\naudio/0.wav,a\n", "lacks the columns filename"),
        ("filename\tdevice_id\n", "lists no files"),
        ("filename\tdevice_id\naudio/0.wav\ta\naudio/0.wav\ta\n", "more than once: audio/0.wav"),
        ("filename\tdevice_id\naudio/900000.wav\ta\n", "1 of 1 files are missing"),
        ("filename\tdevice_id\naudio/0.wav\ta\n\t\n", "line 3 has too few"),
    ],
)
def test_damaged_lists_are_refused(evaluation: Path, tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(DataError, match=why):
        evaluation_listing(evaluation_copy(evaluation, tmp_path / "e", text))


def test_the_test_split_comes_with_scenes_and_devices(development: Path) -> None:
    listing = development_listing(development)
    assert len(listing.names) == 36
    assert listing.labels is not None
    assert {"s4", "s5", "s6"} <= set(listing.devices)
    stem = Path(listing.names[0]).stem
    assert stem.split("-")[0] == listing.labels[0]
    assert stem.split("-")[-1] == listing.devices[0]


def test_a_file_that_meta_does_not_know_is_refused(development: Path, tmp_path: Path) -> None:
    root = tmp_path / "dev"
    shutil.copytree(development / "split_setup", root / "split_setup")
    (root / "meta.csv").write_text(
        "filename\tscene_label\tidentifier\tsource_label\naudio/x.wav\tpark\tlyon-1\ta\n"
    )
    with pytest.raises(DataError, match=r"36 files of the test split are not in .*meta\.csv"):
        development_listing(root)


@pytest.mark.parametrize(("scene", "device"), [("beach", "a"), ("park", "z")])
def test_unknown_scenes_and_devices_are_refused(tmp_path: Path, scene: str, device: str) -> None:
    (tmp_path / "meta.csv").write_text(
        f"filename\tscene_label\tidentifier\tsource_label\naudio/x.wav\t{scene}\tlyon-1\t{device}\n"
    )
    (tmp_path / "test.csv").write_text("filename\tscene_label\r\naudio/x.wav\tpark\r\n")
    with pytest.raises(DataError, match=f"does not know: {scene if scene == 'beach' else 'z'}"):
        development_listing(tmp_path)
