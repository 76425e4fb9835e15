"""Downloads against a loopback site: resumed, broken off, damaged, incomplete."""

from __future__ import annotations

import random
import zipfile

import pytest

from aum_edge.data.prepare.download import RemoteFile, RetryPolicy, fetch, list_record
from aum_edge.data.prepare.unpack import unpack, unpack_all
from aum_edge.errors import DataError, RecipeError
from tests.data.prepare.site import Site, serving, zipped

QUICK = RetryPolicy(timeout=5, tries=3, pause=0.0)
DATA = random.Random(0).randbytes(3_000_000)


@pytest.fixture
def site():
    with serving(Site(files={"a.zip": DATA, "b.zip": b"small"})) as found:
        yield found


def listed(site: Site) -> dict[str, RemoteFile]:
    return {file.name: file for file in list_record(site.address, site.record, QUICK)}


def test_a_record_lists_names_sizes_and_sums(site):
    files = listed(site)
    assert list(files) == ["a.zip", "b.zip"]
    assert files["a.zip"].size == len(DATA)


def test_a_file_arrives_whole_with_progress_and_is_not_fetched_again(site, tmp_path):
    seen = []
    path = fetch(listed(site)["a.zip"], tmp_path, lambda *row: seen.append(row), QUICK)
    assert path.read_bytes() == DATA
    assert seen[-1][:2] == (len(DATA), len(DATA))
    fetch(listed(site)["a.zip"], tmp_path, None, QUICK)
    assert site.requests == [("a.zip", 0)]


def test_a_lost_connection_is_resumed_where_it_broke(site, tmp_path):
    site.break_after, site.breaks = 1_000_000, 2
    path = fetch(listed(site)["a.zip"], tmp_path, None, QUICK)
    assert path.read_bytes() == DATA
    starts = [first for _, first in site.requests]
    assert starts[0] == 0
    assert 0 < starts[1] <= 1_000_000 < starts[2]


def test_a_killed_download_goes_on_from_its_part(site, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(DATA[:1_234_567])
    assert fetch(listed(site)["a.zip"], tmp_path, None, QUICK).read_bytes() == DATA
    assert site.requests == [("a.zip", 1_234_567)]
    assert not (tmp_path / "a.zip.part").exists()


def test_a_site_that_cannot_resume_starts_anew(site, tmp_path):
    site.resumes = False
    (tmp_path / "a.zip.part").write_bytes(b"x" * 100)
    assert fetch(listed(site)["a.zip"], tmp_path, None, QUICK).read_bytes() == DATA


def test_a_connection_lost_for_good_keeps_its_part_and_says_how_to_go_on(tmp_path):
    with serving(Site(files={"a.zip": DATA})) as site:
        file = listed(site)["a.zip"]
        site.files["a.zip"] = DATA[:1_000_000]
        with pytest.raises(DataError, match="stopped at 1,000,000 of 3,000,000 bytes"):
            fetch(file, tmp_path, None, QUICK)
        assert (tmp_path / "a.zip.part").stat().st_size == 1_000_000
        site.files["a.zip"] = DATA
        assert fetch(file, tmp_path, None, QUICK).read_bytes() == DATA


def test_a_flipped_byte_is_found_and_the_file_fetched_again(site, tmp_path):
    site.flip["a.zip"] = 1
    assert fetch(listed(site)["a.zip"], tmp_path, None, QUICK).read_bytes() == DATA
    assert site.requests == [("a.zip", 0), ("a.zip", 0)]


def test_a_byte_flipped_in_the_part_on_disk_is_found(site, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(b"?" + DATA[1:1000])
    assert fetch(listed(site)["a.zip"], tmp_path, None, QUICK).read_bytes() == DATA


def test_a_file_damaged_on_disk_is_fetched_again(site, tmp_path):
    (tmp_path / "b.zip").write_bytes(b"smell")
    assert fetch(listed(site)["b.zip"], tmp_path, None, QUICK).read_bytes() == b"small"


def test_a_wrong_sum_twice_is_an_error_and_nothing_is_kept(site, tmp_path):
    site.flip["a.zip"] = 2
    with pytest.raises(DataError, match=r"a\.zip has the MD5 .* twice over"):
        fetch(listed(site)["a.zip"], tmp_path, None, QUICK)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_and_a_silent_site_are_one_line(site, tmp_path):
    gone = RemoteFile(name="c.zip", url=f"{site.address}/files/c.zip/content", size=3, md5="0" * 32)
    with pytest.raises(DataError, match=r"404.*c\.zip is missing there"):
        fetch(gone, tmp_path, None, QUICK)
    with pytest.raises(DataError, match="does not answer"):
        list_record("http://127.0.0.1:9", "1", QUICK)
    with pytest.raises(RecipeError, match="http"):
        list_record("file:///etc", "passwd", QUICK)


@pytest.mark.parametrize("name", ["../x.zip", "/x.zip", ""])
def test_a_listing_with_a_strange_name_is_refused(name, tmp_path):
    with serving(Site(files={name: b"x"})) as site, pytest.raises(DataError, match="file name"):
        listed(site)


def test_archives_are_unpacked_once_and_below_the_top_folder(tmp_path):
    archive = tmp_path / "x.zip"
    archive.write_bytes(
        zipped({"top/audio/1.wav": b"one", "top/meta.csv": b"m", "other.txt": b"o"})
    )
    root = tmp_path / "root"
    assert unpack_all([archive], root, "top") == 3
    assert (root / "audio" / "1.wav").read_bytes() == b"one"
    assert (root / "other.txt").is_file()
    (root / "meta.csv").unlink()
    assert unpack_all([archive], root, "top") == 0
    assert unpack(archive, root, "top") == 1


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/etc/evil", "top/../../evil", "a\\..\\b", "C:/x", "."]
)
def test_a_member_that_leaves_the_folder_is_refused_before_anything_is_written(name, tmp_path):
    archive = tmp_path / "x.zip"
    archive.write_bytes(zipped({"top/good.txt": b"g", name: b"e"}))
    with pytest.raises(DataError, match="points outside its folder"):
        unpack(archive, tmp_path / "root", "top")
    assert not (tmp_path / "root").exists()


def test_a_link_in_an_archive_is_refused(tmp_path):
    info = zipfile.ZipInfo("top/link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="is a link"):
        unpack(tmp_path / "x.zip", tmp_path / "root")


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_archive_is_named(damage, tmp_path):
    data = bytearray(zipped({"top/a.bin": DATA[:100_000]}))
    if damage == "flip":
        data[50_000] ^= 1
    archive = tmp_path / "x.zip"
    archive.write_bytes(data[:60_000] if damage == "cut" else data)
    with pytest.raises(DataError, match=r"x\.zip is truncated or damaged"):
        unpack(archive, tmp_path / "root", "top")
    assert not list((tmp_path / "root").rglob("a.bin*"))


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(DataError, match="There is no archive"):
        unpack_all([tmp_path / "gone.zip"], tmp_path, "top")
