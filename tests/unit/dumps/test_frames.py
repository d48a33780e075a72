"""The stream: whatever pieces it comes in, the same parts come out, and its end is never guessed."""

from __future__ import annotations

import itertools
import struct

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.frames import (
    END,
    FRAME_LIMIT,
    HEADER_LIMIT,
    SIGNATURE_LIMIT,
    FrameDecoder,
    Section,
    StreamDecoder,
    prefix,
    section,
)
from hypothesis import given
from hypothesis import strategies as st


def pieces(content: bytes, cuts: list[int]) -> list[bytes]:
    """*content* cut at the places given."""
    places = [0, *sorted({cut % (len(content) + 1) for cut in cuts}), len(content)]
    return [content[start:end] for start, end in itertools.pairwise(places)]


CUTS = st.lists(st.integers(0, 10_000), max_size=20)
PAYLOADS = st.lists(st.binary(min_size=1, max_size=50), max_size=10)


@given(payloads=PAYLOADS, cuts=CUTS)
def test_frames_come_out_as_they_went_in(payloads: list[bytes], cuts: list[int]) -> None:
    content = b"".join(prefix(len(payload)) + payload for payload in payloads) + END
    decoder = FrameDecoder()
    assert [frame for piece in pieces(content, cuts) for frame in decoder.feed(piece)] == [*payloads, b""]
    assert not decoder.inside


DOCUMENTS = st.tuples(st.binary(max_size=50), PAYLOADS, st.binary(max_size=50), st.binary(max_size=50))
Documents = tuple[bytes, list[bytes], bytes, bytes]


def stream(documents: Documents) -> bytes:
    """Header, payloads, trailer and signature as they are written."""
    header, payloads, trailer, signature = documents
    data = b"".join(prefix(len(payload)) + payload for payload in payloads)
    return section(header) + data + END + section(trailer) + section(signature)


def parts(documents: Documents) -> list[tuple[Section, bytes]]:
    """What a decoder should make of that."""
    header, payloads, trailer, signature = documents
    data = [(Section.DATA, payload) for payload in payloads]
    return [(Section.HEADER, header), *data, (Section.TRAILER, trailer), (Section.SIGNATURE, signature)]


@given(documents=DOCUMENTS, cuts=CUTS)
def test_a_stream_comes_out_as_it_went_in(documents: Documents, cuts: list[int]) -> None:
    decoder = StreamDecoder()
    assert [part for piece in pieces(stream(documents), cuts) for part in decoder.feed(piece)] == parts(documents)
    assert decoder.ended


@given(several=st.lists(DOCUMENTS, max_size=4), cuts=CUTS)
def test_streams_that_follow_each_other_come_out_as_they_went_in(several: list[Documents], cuts: list[int]) -> None:
    decoder = StreamDecoder(many=True)
    content = b"".join(stream(documents) for documents in several)
    found = [part for piece in pieces(content, cuts) for part in decoder.feed(piece)]
    assert found == [part for documents in several for part in parts(documents)]
    assert decoder.ended


@given(documents=DOCUMENTS, many=st.booleans(), cut=st.integers(0, 10_000))
def test_a_stream_that_is_cut_has_not_ended(documents: Documents, many: bool, cut: int) -> None:
    content = stream(documents)
    decoder = StreamDecoder(many=many)
    decoder.feed(content[: 1 + cut % (len(content) - 1)])
    assert not decoder.ended


def test_a_large_document_is_split_into_frames() -> None:
    content = bytes(FRAME_LIMIT + 1)
    assert section(content) == prefix(FRAME_LIMIT) + bytes(FRAME_LIMIT) + prefix(1) + b"\0" + END


@pytest.mark.parametrize("size", [0, -1, FRAME_LIMIT + 1])
def test_a_frame_of_another_size_is_not_made(size: int) -> None:
    with pytest.raises(ValueError, match="a frame holds"):
        prefix(size)


@pytest.mark.parametrize("size", [FRAME_LIMIT + 1, 2**32 - 1])
def test_a_frame_over_the_limit_is_refused_by_its_length_alone(size: int) -> None:
    with pytest.raises(ValueError, match="larger than the limit"):
        list(FrameDecoder().feed(struct.pack(">I", size)))


def test_a_header_over_its_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="the header is larger"):
        StreamDecoder().feed(section(bytes(HEADER_LIMIT + 1)))


def test_a_signature_over_its_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="the signature is larger"):
        StreamDecoder().feed(stream((b"h", [], b"t", bytes(SIGNATURE_LIMIT + 1))))


@pytest.mark.parametrize("more", [b"\0", b"\0\0\0\0", b"\0\0\0\1x"])
def test_a_stream_that_goes_on_after_its_end_is_refused(more: bytes) -> None:
    decoder = StreamDecoder()
    decoder.feed(stream((b"h", [], b"t", b"s")))
    with pytest.raises(ValueError, match="goes on"):
        decoder.feed(more)
