"""A copy's schema is that of the dump: shown by a real server, which writes some things in other words."""

from __future__ import annotations

import itertools
import os
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.text import Text
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.scan import Scanned, Scanner
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster, newest_bindir
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir, every_server  # noqa: F401

AWKWARD = Path(__file__).with_name("restore_awkward.sql").read_text(encoding="utf-8")
KEY = "k" * 32
Dumped = tuple[Scanned, Scanner, bytes]


def run(server: Server, folder: Path, *arguments: str, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """A program of *folder*, on *server*."""
    cluster = server.cluster
    environment = {**os.environ, "PGHOST": str(cluster.socket), "PGPORT": str(cluster.port), "PGUSER": "postgres"}
    command = [str(folder / arguments[0]), *arguments[1:]]
    return subprocess.run(command, input=text, env=environment, capture_output=True, check=False)


def dump(server: Server, folder: Path, database: str) -> Dumped:
    done = run(server, folder, "pg_dump", "--encoding=UTF8", database)
    assert done.returncode == 0, done.stderr
    scanner = Scanner()
    scanner.feed(done.stdout)
    return scanner.finish(), scanner, done.stdout


def psql(server: Server, database: str, text: bytes) -> subprocess.CompletedProcess[bytes]:
    """Debian's, for what a wheel brings may not run, or is older than \\restrict."""
    return run(server, newest_bindir(), "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, text=text)


class Pair:
    """The awkward database and its copy, on one server."""

    def __init__(self, server: Server, folder: Path, schema: str = AWKWARD) -> None:
        self.server, self.folder = server, folder
        made = psql(server, self.new("awkward"), schema.encode())
        assert made.returncode == 0, made.stderr.decode()
        self.original = dump(server, folder, "awkward")
        self.restore("copy")

    def new(self, database: str) -> str:
        self.server.run(f'CREATE DATABASE "{database}" TEMPLATE template0')
        return database

    def restore(self, database: str) -> None:
        text = Text(Scanner(), KEY)
        parts = [*text.feed(self.original[2]), text.finish()[1]]
        done = psql(self.server, self.new(database), b"".join(parts))
        assert done.returncode == 0, done.stderr.decode()


@pytest.fixture(scope="module")
def pair() -> t.Iterator[Pair]:
    with ScratchCluster() as cluster:
        yield Pair(Server(cluster), newest_bindir())


@pytest.fixture
def copy(pair: Pair) -> t.Iterator[str]:
    """A copy to change."""
    pair.server.run("CREATE DATABASE changed TEMPLATE copy")
    yield "changed"
    pair.server.run("DROP DATABASE changed WITH (FORCE)")


def test_a_restored_schema_equals_the_dump(pair: Pair) -> None:
    scanned, scanner, text = dump(pair.server, pair.folder, "copy")
    assert pair.original[1].statements.differences(scanner.statements) == []
    assert scanned.ddl == pair.original[0].ddl
    assert (scanned.tables.keys(), scanned.sequences) == (pair.original[0].tables.keys(), pair.original[0].sequences)
    # Were the texts equal, nothing would have to be normalised.
    assert sorted(text.splitlines()) != sorted(pair.original[2].splitlines())
    kinds = scanned.ddl.kinds
    assert kinds["RULE"] == 2
    assert kinds["POLICY"] == 2
    assert kinds["FUNCTION"] == 5
    # One of them twice: it needs its table's primary key, so it is made empty first.
    assert kinds["VIEW"] == 4


def test_a_schema_without_extensions_is_restored_equal_by_every_version(every_server: Server, bindir: Path) -> None:  # noqa: F811
    schema = "".join(line for line in AWKWARD.splitlines(keepends=True) if "-- an extension's" not in line)
    if bindir == newest_bindir():
        pytest.skip("this version's is restored with its extensions by the test above")
    pair = Pair(every_server, bindir, schema)
    scanned, scanner, _ = dump(pair.server, pair.folder, "copy")
    assert pair.original[1].statements.differences(scanner.statements) == []
    assert scanned.ddl == pair.original[0].ddl


CHANGES = [
    ("ALTER TABLE words ALTER kind SET DEFAULT 'y'", "the table public.words differs"),
    ("DROP INDEX words_partial", "the index public.words_partial is missing in the copy"),
    (
        "DROP INDEX words_trgm; CREATE INDEX words_trgm ON words USING gist (kind gist_trgm_ops)",
        "the index public.words_trgm differs",
    ),
    (
        "CREATE OR REPLACE FUNCTION cast_pair(pair) RETURNS int LANGUAGE sql AS 'SELECT  $1.a'",
        "function public.cast_pair",
    ),
    (
        "ALTER TABLE words DROP CONSTRAINT several, ADD CONSTRAINT several CHECK (n IN (1, -2))",
        "the table public.words differs",
    ),
    (
        "ALTER TABLE words DROP CONSTRAINT words_m_check, ADD CONSTRAINT words_m_check CHECK (m = 'so; so')",
        "the table public.words differs",
    ),
    ("ALTER TABLE words DROP CONSTRAINT again", "the constraint again of public.words is missing in the copy"),
    ("ALTER TABLE words ADD x int", "the table public.words differs"),
    (
        "CREATE OR REPLACE VIEW simple AS SELECT a, kind FROM ancestor WHERE kind IN ('x', 'z')",
        "view public.simple differs",
    ),
    ("DROP RULE two ON simple", "the rule two of public.simple is missing in the copy"),
    ("DROP TRIGGER changes ON words", "the trigger changes of public.words is missing in the copy"),
    ("ALTER POLICY own ON words USING (n > 1)", "the policy own of public.words differs"),
    ("ALTER SEQUENCE \"odd; 'one'\" NO CYCLE", "sequence public.\"odd; 'one'\" differs"),
    ("ALTER TABLE words ALTER id SET INCREMENT 4", "the sequence of public.words differs"),
    ("CREATE TABLE more ()", "the table public.more is only in the copy"),
    ("REVOKE INSERT ON words FROM ddl_reader", "INSERT ON TABLE public.words TO ddl_reader is missing in the copy"),
    ("ALTER TYPE mood ADD VALUE 'more'", "the type public.mood differs"),
    ("COMMENT ON TABLE words IS 'other'", "COMMENT ON TABLE public.words IS"),
    ("ALTER TABLE heir OWNER TO ddl_reader", "the owner of table public.heir differs"),
    ("DROP EXTENSION btree_gist CASCADE", "the extension btree_gist is missing in the copy"),
    (
        "ALTER TABLE words ENABLE TRIGGER changes",
        "ALTER TABLE public.words DISABLE TRIGGER changes is missing in the copy",
    ),
]


@pytest.mark.parametrize(("change", "said"), CHANGES, ids=[f"{change[:40]}" for change, _ in CHANGES])
def test_what_differs_in_a_copy_is_named(pair: Pair, copy: str, change: str, said: str) -> None:
    pair.server.run(change, database=copy)
    scanned, scanner, _ = dump(pair.server, pair.folder, copy)
    assert scanned.ddl.sha256 != pair.original[0].ddl.sha256
    assert said in "; ".join(pair.original[1].statements.differences(scanner.statements))


BEGIN = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n"
END = "\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n"
# A line that psql takes for the end of the rows and the scan does not, and then what psql would obey.
ENDS_EARLY = "CREATE TABLE public.a (b text);\nCOPY public.a (b) FROM stdin;\n1\r\n\\.\r\n{command}\n2\n\\.\n"


@pytest.mark.parametrize(
    "command",
    ["\\! touch {file}", "\\i {script}", "\\unrestrict abc\n\\! touch {file}"],
)
def test_a_dump_cannot_run_a_command_of_psql(pair: Pair, tmp_path: Path, command: str) -> None:
    file, script = tmp_path / "made", tmp_path / "script"
    script.write_text(f"\\! touch {file}\n", encoding="utf-8")
    hostile = ENDS_EARLY.format(command=command.format(file=file, script=script))
    whole = f"{BEGIN}{hostile}{END}".encode()
    text = Text(Scanner(), "s" * 40)
    given = b"".join(itertools.chain(text.feed(whole), text.finish()[1:]))
    pair.new("hostile")
    try:
        done = psql(pair.server, "hostile", given)
        unprotected = b"".join(line for line in given.splitlines(True) if b"s" * 40 not in line)
        assert done.returncode != 0
        assert b"restricted" in done.stderr or b"unrestrict" in done.stderr
        assert not file.exists()
        # The same without ours: so that this test can fail.
        psql(pair.server, "hostile", unprotected.replace(b"CREATE TABLE public.a (b text);\n", b""))
        assert file.exists() or "unrestrict" in command
    finally:
        pair.server.run("DROP DATABASE hostile WITH (FORCE)")
