"""The text of the globals: whatever pieces it comes in, the same roles are read, and only to pg_dumpall's own end."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.globals_scan import GlobalsScanner
from hypothesis import given
from hypothesis import strategies as st

TEXT = b"""--
-- PostgreSQL database cluster dump
--

\\restrict abc

SET default_transaction_read_only = off;

--
-- Roles
--

CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER;
CREATE ROLE "Odd ""one";
CREATE ROLE "two
lines";
COMMENT ON ROLE postgres IS 'CREATE ROLE nobody;
CREATE ROLE nobody_either;
';


\\unrestrict abc

--
-- PostgreSQL database cluster dump complete
--

"""


@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=20))
def test_roles_are_read_whatever_pieces_the_text_comes_in(cuts: list[int]) -> None:
    scanner = GlobalsScanner()
    for start, end in itertools.pairwise([0, *sorted(cuts), len(TEXT)]):
        scanner.feed(TEXT[start:end])
    assert scanner.finish().raw_bytes == len(TEXT)
    assert scanner.roles == {"postgres", 'Odd "one', "two\nlines"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TEXT[: TEXT.index(b"-- PostgreSQL database cluster dump complete")], "lacks its last line"),
        (TEXT.replace(b"cluster dump complete", b"dump complete"), "lacks its last line"),
        (TEXT.replace(b"CREATE ROLE postgres;", b"CREATE ROLE postgres LOGIN;"), "could not be read"),
        (TEXT.replace(b"SET default", b"\\! id\nSET default"), "psql command"),
        (TEXT + b"DROP ROLE postgres;\n", "goes on after"),
    ],
)
def test_globals_that_are_not_as_pg_dumpall_writes_them_are_refused(text: bytes, said: str) -> None:
    scanner = GlobalsScanner()

    def read() -> None:
        scanner.feed(text)
        scanner.finish()

    with pytest.raises(ValueError, match=said):
        read()
