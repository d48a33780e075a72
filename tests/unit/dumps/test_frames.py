"""The stream: whatever pieces it comes in, the same parts come out, and its end is never guessed."""

from __future__ import annotations

import itertools
import struct

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.frames import (
    END,
    FRAME_LIMIT,
    HEADER_LIMIT,
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


@given(header=st.binary(max_size=50), payloads=PAYLOADS, trailer=st.binary(max_size=50), cuts=CUTS)
def test_a_stream_comes_out_as_it_went_in(
    header: bytes, payloads: list[bytes], trailer: bytes, cuts: list[int]
) -> None:
    data = b"".join(prefix(len(payload)) + payload for payload in payloads)
    decoder = StreamDecoder()
    found = [
        part for piece in pieces(section(header) + data + END + section(trailer), cuts) for part in decoder.feed(piece)
    ]
    assert found == [
        (Section.HEADER, header),
        *((Section.DATA, payload) for payload in payloads),
        (Section.TRAILER, trailer),
    ]
    assert decoder.ended


@given(payloads=PAYLOADS, cut=st.integers(0, 10_000))
def test_a_stream_that_is_cut_has_not_ended(payloads: list[bytes], cut: int) -> None:
    content = section(b"h") + b"".join(prefix(len(payload)) + payload for payload in payloads) + END + section(b"t")
    decoder = StreamDecoder()
    decoder.feed(content[: cut % len(content)])
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


@pytest.mark.parametrize("more", [b"\0", b"\0\0\0\0", b"\0\0\0\1x"])
def test_a_stream_that_goes_on_after_its_end_is_refused(more: bytes) -> None:
    decoder = StreamDecoder()
    decoder.feed(section(b"h") + END + section(b"t"))
    with pytest.raises(ValueError, match="goes on"):
        decoder.feed(more)
