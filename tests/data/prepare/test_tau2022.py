"""The challenge corpus made ready: from a site or a folder, with every flaw counted and named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aum_edge.cli.main import main
from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.prepare import integrity
from aum_edge.data.prepare.download import RetryPolicy
from aum_edge.data.prepare.integrity import check_files
from aum_edge.data.prepare.tau2022 import CORPORA, Prepare, prepare
from aum_edge.data.prepare.tau2022_tables import read_evaluation
from aum_edge.errors import DataError
from tests.data.prepare.site import Site, serving, zipped

TOP = CORPORA["tau2022"].top
GIVEN = Prepare(download=False)


@pytest.fixture
def corpus(small_corpus, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(small_corpus, tmp_path / "corpus"))


def archives(root: Path) -> dict[str, bytes]:
    """The corpus as its record holds it: two audio parts, the tables and the documents."""
    clips = sorted((root / "audio").iterdir())
    parts = {"audio.1": clips[:40], "audio.2": clips[40:], "meta": [root / "meta.csv"]}
    made = {
        f"{TOP}.{part}.zip": zipped(
            {f"{TOP}/{path.relative_to(root).as_posix()}": path.read_bytes() for path in paths}
        )
        for part, paths in parts.items()
    }
    return made | {f"{TOP}.doc.zip": zipped({f"{TOP}/README.md": b"words"})}


def site_of(root: Path) -> Site:
    tables = {path.name: path.read_bytes() for path in (root / "split_setup").iterdir()}
    return Site(files=archives(root), tables=tables)


def settings(site: Site, **values) -> Prepare:
    quick = RetryPolicy(timeout=5, tries=2, pause=0.0)
    return Prepare(site=site.address, split_site=site.address, patience=quick, **values)


def problem(summary, kind: str) -> tuple[int, str]:
    found = summary["problems"][kind]
    return found["count"], "; ".join(found["first"])


def test_from_a_site_to_a_corpus_that_can_be_read(small_corpus, tmp_path):
    root = tmp_path / "tau"
    with serving(site_of(small_corpus)) as site:
        site.break_after, site.breaks = 500_000, 1
        summary = prepare("tau2022", root, settings(site))
        assert summary["fit"]
        assert summary["problems"] == {}
        assert (summary["clips"], len(summary["labels"])) == (87, 10)
        assert summary["splits"]["test"]["clips"] == 27
        asked = len(site.requests)
        prepare("tau2022", root, settings(site))
        assert len(site.requests) == asked
    manifest = load_manifest(DataConfig.of("tau2022", root, subset="split100"), root)
    assert len(manifest.clips) == 87
    published = (small_corpus / "split_setup" / "test.csv").read_bytes()
    assert (root / "split_setup" / "test.csv").read_bytes() == published


def test_a_record_without_an_audio_part_or_a_flipped_archive_is_refused(small_corpus, tmp_path):
    with serving(site_of(small_corpus)) as site:
        whole = dict(site.files)
        del site.files[f"{TOP}.audio.1.zip"]
        with pytest.raises(DataError, match="audio parts 1 are missing"):
            prepare("tau2022", tmp_path / "a", settings(site))
        site.files = whole
        site.flip[f"{TOP}.meta.zip"] = 2
        with pytest.raises(DataError, match="twice over"):
            prepare("tau2022", tmp_path / "b", settings(site))


def test_archives_in_a_folder_are_unpacked_and_a_truncated_one_is_named(small_corpus, tmp_path):
    for name, data in archives(small_corpus).items():
        cut = data[: len(data) // 2] if "audio.2" in name else data
        (tmp_path / name).write_bytes(cut)
    how = Prepare(download=False, splits=small_corpus / "split_setup")
    with pytest.raises(DataError, match=r"audio\.2\.zip is truncated or damaged"):
        prepare("tau2022", tmp_path, how)
    (tmp_path / f"{TOP}.audio.2.zip").write_bytes(archives(small_corpus)[f"{TOP}.audio.2.zip"])
    assert prepare("tau2022", tmp_path, how)["fit"]


def test_split_files_that_are_nowhere_are_asked_for(small_corpus, corpus):
    shutil.rmtree(corpus / "split_setup")
    with pytest.raises(DataError, match="--splits DIR"):
        prepare("tau2022", corpus, GIVEN)
    given = Prepare(download=False, splits=small_corpus / "split_setup")
    assert prepare("tau2022", corpus, given)["fit"]


def damage(root: Path) -> list[Path]:
    """One file of every flaw."""
    clips = sorted((root / "audio").iterdir())
    good, _ = soundfile.read(clips[0])
    clips[0].unlink()
    clips[1].write_bytes(clips[1].read_bytes()[:1000])
    soundfile.write(clips[2], good[:22_050], 22_050, subtype="PCM_24")
    soundfile.write(clips[3], good[:30_000], 44_100, subtype="PCM_24")
    nan = good.copy()
    nan[7] = np.nan
    soundfile.write(clips[4], nan, 44_100, subtype="FLOAT")
    soundfile.write(clips[5], 0 * good, 44_100, subtype="PCM_24")
    soundfile.write(clips[6], np.sign(good), 44_100, subtype="PCM_24")
    shutil.copy(clips[7], root / "audio" / "airport-nowhere-9-9-0-a.wav")
    return clips


def test_every_flaw_is_counted_and_named(corpus):
    clips = damage(corpus)
    text = (corpus / "meta.csv").read_text().splitlines()
    other = "\tvolcano\t".join(text[11].split("\t", 2)[::2])
    text += [text[10], other, "audio/x.wav\tbus"]
    name = clips[20].name
    text = [line.rsplit("\t", 1)[0] + "\tz9" if name in line else line for line in text]
    (corpus / "meta.csv").write_text("\n".join(text) + "\n")
    summary = prepare("tau2022", corpus, GIVEN)
    assert not summary["fit"]
    assert problem(summary, "missing file") == (1, f"audio/{clips[0].name}")
    assert problem(summary, "unreadable")[0] == 1
    assert clips[1].name in problem(summary, "unreadable")[1]
    assert problem(summary, "wrong rate")[1].endswith("22050 Hz, not 44100")
    assert "30000 samples, not 44100" in problem(summary, "wrong length")[1]
    assert problem(summary, "NaN or Inf")[1].endswith("1 samples")
    assert problem(summary, "silent")[1].endswith("all zeros")
    assert clips[6].name in problem(summary, "clipped")[1]
    assert problem(summary, "file not in meta.csv") == (1, "audio/airport-nowhere-9-9-0-a.wav")
    assert problem(summary, "duplicated row")[0] == 2
    assert problem(summary, "incomplete row")[0] == 1
    assert "z9" in problem(summary, "unknown device")[1]
    assert json.loads((corpus / "integrity.json").read_text()) == summary


def test_a_cleaned_corpus_can_be_read_and_says_what_is_gone(corpus, caplog):
    damage(corpus)
    lines = (corpus / "meta.csv").read_text().splitlines()
    (corpus / "meta.csv").write_text("\n".join([*lines, lines[10]]) + "\n")
    config = DataConfig.of("tau2022", corpus, subset="split100")
    with pytest.raises(DataError):
        load_manifest(config, corpus)
    summary = prepare("tau2022", corpus, Prepare(download=False, clean=True))
    assert summary["unusable"] == 5
    manifest = load_manifest(config, corpus)
    assert len(manifest.clips) == 82
    assert "clips out of the" in caplog.text


def test_a_repaired_corpus_is_whole_again(small_corpus, corpus):
    whole = len(load_manifest(DataConfig.of("tau2022", corpus), corpus).clips)
    victim = next((corpus / "audio").iterdir())
    victim.write_bytes(b"RIFF")
    assert prepare("tau2022", corpus, Prepare(download=False, clean=True))["unusable"] == 1
    shutil.copyfile(small_corpus / "audio" / victim.name, victim)
    assert prepare("tau2022", corpus, GIVEN)["fit"]
    assert not (corpus / "meta.cleaned.csv").exists()
    config = DataConfig.of("tau2022", corpus)
    assert len(load_manifest(config, corpus).clips) == whole


def test_a_file_that_is_trained_and_tested_on_is_named(corpus):
    train = (corpus / "split_setup" / "split25.csv").read_text()
    first = train.splitlines()[1]
    test = corpus / "split_setup" / "test.csv"
    test.write_text(test.read_text() + first + "\n")
    summary = prepare("tau2022", corpus, Prepare(download=False, decode=False))
    assert not summary["fit"]
    assert first.split("\t")[0] in problem(summary, "trained and tested on")[1]


def test_a_check_goes_on_where_it_was_killed(corpus, tmp_path, monkeypatch):
    names = [f"audio/{path.name}" for path in sorted((corpus / "audio").iterdir())]
    monkeypatch.setattr(integrity, "CHUNK", 8)
    record = tmp_path / "checked.jsonl"

    def killed(done, total, what):
        if done >= 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_files(corpus, names, record=record, progress=killed)
    with record.open("a") as file:
        file.write('{"audio/half')
    decoded = []
    real = integrity.file_flaws
    monkeypatch.setattr(
        integrity, "file_flaws", lambda path, e: decoded.append(path.name) or real(path, e)
    )
    check_files(corpus, names, record=record)
    assert len(decoded) == len(names) - 40
    soundfile.write(corpus / names[3], np.zeros(44_100), 44_100, subtype="PCM_24")
    problems, _ = check_files(corpus, names, record=record)
    assert len(decoded) == len(names) - 40 + 1
    assert problems["silent"].count == 1


def test_the_evaluation_list_counts_devices_and_names_flaws(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "evaluation_setup").mkdir()
    for number in range(4):
        (tmp_path / "audio" / f"{number}.wav").touch()
    rows = ["filename\tdevice_id", "audio/0.wav\ta", "audio/1.wav\tunknown", "audio/9.wav\tunknown"]
    rows += ["audio/0.wav\ta"]
    (tmp_path / "evaluation_setup" / "fold1_test.csv").write_bytes("\r\n".join(rows).encode())
    found = read_evaluation(tmp_path)
    assert found["devices"] == {"a": 1, "unknown": 2}
    assert problem(found, "missing file") == (1, "audio/9.wav")
    assert problem(found, "duplicated row")[0] == 1
    assert problem(found, "file not in fold1_test.csv")[0] == 2
    assert prepare("tau2025-evaluation", tmp_path, GIVEN) == found


def test_the_command_says_what_is_wrong_and_ends_with_the_right_code(corpus, capsys):
    command = ["data", "prepare", "tau2022", str(corpus), "--no-download"]
    assert main([*command, "--strict"]) == 0
    clip = sorted((corpus / "audio").iterdir())[0]
    soundfile.write(clip, np.zeros(44_100), 44_100, subtype="PCM_24")
    assert main(command) == 0
    assert main([*command, "--strict"]) == 1
    clip.unlink()
    capsys.readouterr()
    assert main(command) == 1
    assert f"missing file: 1: audio/{clip.name}" in capsys.readouterr().out
    assert main([*command, "--clean", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unusable"] == 1
    assert main(["data", "prepare", "tau2022"]) == 2
    assert main(["data", "prepare", "nothing", str(corpus)]) == 2


@pytest.mark.parametrize("name", ["meta.csv", "split_setup/test.csv"])
def test_a_table_that_is_no_text_is_named_in_one_line(name, corpus, capsys):
    (corpus / name).write_bytes(b"filename\tscene_label\xff\n")
    assert main(["data", "prepare", "tau2022", str(corpus), "--no-download"]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"{corpus / name} is no table in UTF-8" in line


def test_a_mistyped_folder_is_not_made(small_corpus, tmp_path):
    given = Prepare(download=False, splits=small_corpus / "split_setup")
    with pytest.raises(DataError, match=r"There is no .*meta\.csv"):
        prepare("tau2022", tmp_path / "typo", given)
    assert not (tmp_path / "typo").exists()


def test_another_piece_of_a_tested_recording_is_named(corpus):
    tested = (corpus / "split_setup" / "test.csv").read_text().split()[2]
    piece = f"{tested.rsplit('-', 2)[0]}-9-a.wav"
    with (corpus / "split_setup" / "split25.csv").open("a") as file:
        file.write(f"{piece}\tbus\n")
    summary = prepare("tau2022", corpus, GIVEN)
    assert problem(summary, "trained and tested on") == (1, f"{piece} (split25 and test)")
