"""Stores that only keep files: what they don't promise is written once, SFTP's packets, what the settings refuse."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import Manifest, encode
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.plain import guarantees
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.plain import sftp_wire as wire
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.plain.files import Place
from ansible_collections.taaraxtak.production.tests.unit.dumps.test_manifest import TRAILER

COMMAND = ("/usr/bin/ssh", "box")


def test_a_dump_store_loses_nothing_and_every_other_kind_says_what() -> None:
    assert guarantees.loses(guarantees.DUMP_STORE) == ()
    for kind in guarantees.PLAIN:
        lost = guarantees.loses(kind)
        assert len(set(lost)) == len(lost) >= 8
        assert len(guarantees.sentences(kind)) == len(lost)


def test_every_sentence_is_of_some_kind() -> None:
    said = {key for kind in guarantees.KINDS for key in guarantees.loses(kind)}
    assert said == guarantees.LOST.keys()


def test_a_kind_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="is no kind of store: it is dump_store, "):
        guarantees.loses("ftp")


@pytest.mark.parametrize("kind", guarantees.PLAIN)
def test_a_manifest_says_what_its_store_did_not_promise(kind: str) -> None:
    manifest = Manifest("2026-01-01T00:00:00Z", TRAILER, "signature", kept=guarantees.Kept.at(kind))
    read = Manifest.read(encode(manifest.document()))
    assert read == manifest
    assert json.loads(encode(read.document()))["store"] == {"kind": kind, "loses": list(guarantees.loses(kind))}


@pytest.mark.parametrize("store", [{"kind": "s3"}, {"kind": "s3", "loses": [1]}, {"kind": "s3", "loses": [], "x": 1}])
def test_a_manifest_whose_store_is_not_understood_is_refused(store: t.Any) -> None:
    document = Manifest("2026-01-01T00:00:00Z", TRAILER, "signature").document()
    with pytest.raises(ValueError, match="manifest's store"):
        Manifest.read(encode({**document, "store": store}))


@pytest.mark.parametrize("folder", ["-x", "a b", "a;id", "$(id)", "../up", "a/../b", "a'b", "a\nb", "ä"])
def test_a_folder_that_a_shell_could_take_for_more_is_refused(folder: str) -> None:
    with pytest.raises(ValueError, match="the folder of the store box has letters"):
        Place("box", "ssh_files", COMMAND, folder)


@pytest.mark.parametrize(
    ("folder", "path"), [("", "x"), ("dumps", "dumps/x"), ("/srv/dumps/", "/srv/dumps/x"), ("/", "/x")]
)
def test_a_file_lies_in_the_folder(folder: str, path: str) -> None:
    assert Place("box", "sftp", COMMAND, folder).path("x") == path


def test_other_kinds_and_a_bucket_without_a_name_are_refused() -> None:
    with pytest.raises(ValueError, match="the kind of the store box is ssh_files, sftp, s3, not 'dump_store'"):
        Place("box", "dump_store", COMMAND)
    with pytest.raises(ValueError, match="needs its bucket"):
        Place("box", "s3", COMMAND)


# --- SFTP -----------------------------------------------------------------------------------------------------------


def test_packets_come_out_of_pieces_of_any_size() -> None:
    sent = wire.packet(wire.STATUS, wire.uint32(7), wire.uint32(2), wire.text(b"no")) + wire.packet(wire.HANDLE, b"h")
    for size in (1, 3, 100):
        packets, found = wire.Packets(), []
        for start in range(0, len(sent), size):
            packets.feed(sent[start : start + size])
            while (one := packets.take()) is not None:
                found.append(one)
        assert [kind for kind, _content in found] == [wire.STATUS, wire.HANDLE]
    assert wire.Answer(wire.STATUS, 7, found[0][1][4:]).status() == (2, "no")


def test_a_shells_greeting_is_no_sftp() -> None:
    packets = wire.Packets()
    packets.feed(b"Welcome to the box!\n")
    with pytest.raises(ValueError, match="no SFTP server: does the account's shell print something"):
        packets.take()


def test_a_packet_that_is_cut_short_is_refused() -> None:
    with pytest.raises(ValueError, match="cut short"):
        wire.Taker(wire.uint32(10) + b"short").text()


def test_names_and_sizes_of_a_folder_are_read_past_all_other_attributes() -> None:
    attributes = wire.uint32(0x8000000F) + wire.uint64(1 << 40) + bytes(8) + bytes(4) + bytes(8)
    attributes += wire.uint32(1) + wire.text(b"x@y") + wire.text(b"z")
    content = wire.uint32(2) + wire.text(b"a") + wire.text(b"-rw- a") + attributes
    content += wire.text(b"b") + wire.text(b"-rw- b") + wire.uint32(0)
    assert wire.Answer(wire.NAME, 1, content).entries() == [("a", 1 << 40), ("b", None)]
