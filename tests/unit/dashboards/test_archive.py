"""Old archives: what is read of them, and everything that ends the reading."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tracemalloc

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import archive, document, exchange, tree
from ansible_collections.taaraxtak.production.tests.unit.dashboards.archives import (
    BASE,
    SAMPLE,
    STAMP,
    answer,
    member,
    members,
    old_dashboard,
    packed,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def read(content: bytes) -> archive.Contents:
    return archive.read(io.BytesIO(content))


def test_every_dashboard_is_read_with_its_folder() -> None:
    found = read(packed(members(SAMPLE)))
    assert [(one.data["uid"], one.folder) for one in found.dashboards] == [
        *(("3nPN6xrGk", ""), ("6WNoEaXGk", "Internet"), ("SEA4e4GMz", "Internet")),
    ]
    assert found.ignored == {".datasource": 1, ".folder_permission": 1, ".txt": 2}


def test_an_archive_becomes_a_tree_whatever_order_it_has() -> None:
    one = exchange.from_archive(read(packed(members(SAMPLE))), document.dashboard)
    other = exchange.from_archive(read(packed(members(SAMPLE)[::-1])), document.dashboard)
    assert tree.layout(one) == tree.layout(other)
    assert sorted(tree.layout(one)) == ["Internet/internet-centralization.json", "Internet/ooni.json", "debug.json"]


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd.dashboard",
        "../x.dashboard",
        "a/../../x.dashboard",
        "a/..",
        "..",
        "\\x.dashboard",
        "a\\..\\x",
        "C:\\x",
        "",
    ],
)
def test_a_member_that_leads_out_of_the_archive_ends_it(name: str) -> None:
    with pytest.raises(ValueError, match="leads out of the archive"):
        read(packed([*members(SAMPLE), member(name, answer(old_dashboard("x", "X")))]))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_link_or_a_device_ends_it(kind: bytes) -> None:
    odd = member("x.dashboard", b"", type=kind, linkname="/etc/passwd")
    with pytest.raises(ValueError, match="is a link or a device"):
        read(packed([*members(SAMPLE), odd]))


def test_a_member_that_is_there_twice_ends_it() -> None:
    with pytest.raises(ValueError, match="twice"):
        read(packed([*members(SAMPLE), members(SAMPLE)[-1]]))


def test_a_bomb_ends_it_before_it_fills_the_memory() -> None:
    """A few hundred kB that would unpack to 400 MB: in a member, in one that isn't read, and behind the tar's end."""
    zeros = b"\0" * (1024 * 1024)
    for name in ("bomb.dashboard", "bomb.datasource"):
        stream = io.BytesIO()
        with gzip.GzipFile(fileobj=stream, mode="wb") as file:
            info = tarfile.TarInfo(name)
            info.size = 400 * len(zeros)
            file.write(info.tobuf())
            for _ in range(400):
                file.write(zeros)
        tracemalloc.start()
        with pytest.raises(ValueError, match=r"limit|more than"):
            read(stream.getvalue())
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2 * archive.TOTAL_LIMIT


def test_a_bomb_behind_the_end_or_in_a_header_ends_it() -> None:
    whole = gzip.decompress(packed(members(SAMPLE)))
    with pytest.raises(ValueError, match="more than"):
        read(gzip.compress(whole + b"\0" * (archive.TOTAL_LIMIT + 1)))
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1024 * 1024 * 1024
    with pytest.raises(ValueError, match="more than"):
        read(gzip.compress(header.tobuf() + b"\0" * (archive.TOTAL_LIMIT + 1)))


def test_too_many_members_end_it() -> None:
    with pytest.raises(ValueError, match="more than 10000 members"):
        read(packed([member(f"{number}.x", b"") for number in range(archive.COUNT_LIMIT + 1)]))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_an_archive_that_is_cut_anywhere_is_refused(data: st.DataObject) -> None:
    whole = packed(members(SAMPLE))
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError, match=r"^it "):
        read(whole[:length])


def test_a_tar_that_is_cut_and_packed_again_is_refused_by_its_own_list() -> None:
    whole = gzip.decompress(packed(members(SAMPLE)))
    for length in range(0, len(whole), tarfile.BLOCKSIZE):
        cut = whole[:length]
        if cut.rstrip(b"\0") == whole.rstrip(b"\0"):
            continue
        with pytest.raises(ValueError, match=r"^its? "):
            read(gzip.compress(cut))


def test_a_header_that_cannot_be_read_is_no_end() -> None:
    """Whoever takes it for the end reads a part of the dashboards, and the list is behind it too."""
    whole = bytearray(gzip.decompress(packed(members(SAMPLE)[::-1])))
    second = whole.index(b"ustar", tarfile.BLOCKSIZE) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
    whole[second : second + 8] = b"\xff" * 8
    with pytest.raises(ValueError, match="a header can't be read, or its end is missing"):
        read(gzip.compress(whole))


@pytest.mark.parametrize("blocks", [0, 1])
def test_an_archive_without_the_whole_of_its_end_is_refused(blocks: int) -> None:
    whole = gzip.decompress(packed(members(SAMPLE))).rstrip(b"\0")
    whole += bytes(-len(whole) % tarfile.BLOCKSIZE)
    with pytest.raises(ValueError, match="end is missing"):
        read(gzip.compress(whole + bytes(blocks * tarfile.BLOCKSIZE)))
    assert len(read(gzip.compress(whole + bytes(2 * tarfile.BLOCKSIZE))).dashboards) == len(SAMPLE)


def test_two_archives_one_behind_the_other_are_refused() -> None:
    for one, other in ((SAMPLE[:1], SAMPLE[1:]), (SAMPLE, SAMPLE)):
        both = gzip.decompress(packed(members(one))) + gzip.decompress(packed(members(other)))
        for content in (gzip.compress(both), packed(members(one)) + packed(members(other))):
            with pytest.raises(ValueError, match="it goes on behind its end"):
                read(content)


def test_an_archive_without_its_list_is_refused() -> None:
    kept = [one for one in members(SAMPLE) if not one[0].name.endswith(f"dashboards_{STAMP}.txt")]
    assert len(kept) == len(members(SAMPLE)) - 1
    with pytest.raises(ValueError, match="it lacks the list of its dashboards"):
        read(packed(kept))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=2000))
def test_anything_else_is_refused_with_a_sentence(content: bytes) -> None:
    for given_content in (content, gzip.compress(content)):
        with pytest.raises(ValueError, match=r"^it "):
            read(given_content)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_changed_byte_is_refused_or_changes_nothing(data: st.DataObject) -> None:
    whole = bytearray(packed(members(SAMPLE)))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    try:
        found = read(bytes(whole))
    except ValueError:
        return
    # The header of gzip has a name, a time and a system, which say nothing.
    assert found == read(packed(members(SAMPLE)))


def test_what_is_listed_and_not_there_is_said() -> None:
    listed = member(f"{BASE}/dashboards/{STAMP}/dashboards_{STAMP}.txt", b"uid/3nPN6xrGk\tDebug\nuid/gone\tGone\n")
    with pytest.raises(ValueError, match="dashboards that are not in it: gone"):
        read(packed([listed, member("a/3nPN6xrGk.dashboard", answer(old_dashboard("3nPN6xrGk", "Debug")))]))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"meta": {}}', b'{"dashboard": {}}', b'{"meta": 1, "dashboard": {}}', b"\xff"],
)
def test_a_member_that_is_no_answer_is_named(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"its member 'a/x\.dashboard'"):
        read(packed([*members(SAMPLE), member("a/x.dashboard", content)]))


def test_a_folder_in_a_folder_is_refused() -> None:
    meta = {**answer(old_dashboard("x", "X"), "Inner"), "meta": {"folderUid": "f", "folderTitle": "Inner"}}
    contents = [member("f.folder", {"uid": "f", "title": "Inner", "parentUid": "outer"}), member("x.dashboard", meta)]
    with pytest.raises(ValueError, match="lies in another one"):
        read(packed(contents))


def test_an_archive_without_dashboards_is_none() -> None:
    with pytest.raises(ValueError, match="it holds no dashboard"):
        read(packed(members([])))


def test_only_kinds_that_say_something_of_dashboards_are_read() -> None:
    """A data source's member may hold a password; one that isn't even JSON is never looked at."""
    found = read(packed([*members(SAMPLE), member("a/b.user", b"\xff not JSON")]))
    assert found.ignored[".user"] == 1
    assert "never read" not in json.dumps([one.data for one in found.dashboards])
