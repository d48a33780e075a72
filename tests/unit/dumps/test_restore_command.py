"""What the command line of a restore understands, and what it never repeats."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.command import (
    reader_command,
    target_of,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.target import Target

SOCKET = "/var/run/postgresql"


@pytest.mark.parametrize(
    ("url", "target", "database"),
    [
        ("postgresql://", Target(), ""),
        ("postgresql:///shop", Target(), "shop"),
        ("postgres://me@localhost/shop", Target("localhost", 5432, "me"), "shop"),
        ("postgresql://me:s%2Fp%40x@127.0.0.1:5433/a%20b", Target("127.0.0.1", 5433, "me", password="s/p@x"), "a b"),
        ("postgresql://[::1]:5434/x", Target("::1", 5434), "x"),
        ("postgresql:///x?host=/tmp/pg&port=5499&user=me", Target("/tmp/pg", 5499, "me"), "x"),
        ("postgresql://%2Ftmp%2Fpg/x", Target("/tmp/pg"), "x"),
    ],
)
def test_a_url_names_a_server(url: str, target: Target, database: str) -> None:
    found, name = target_of(url)
    assert (found, name) == (target, database)
    assert found.password == target.password


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop",
        "mysql://me:s3cret@localhost/x",
        "postgresql://me:s3cret@localhost:port/x",
        "postgresql://me:s3cret@localhost/x?sslmode=require",
        "postgresql://me:s3cret@localhost/x?port=many",
        "postgresql://me:s3cret@localhost/x#there",
        "postgresql://me:s3cret@[::1/x",
    ],
)
def test_what_is_no_such_url_is_refused_and_no_password_is_repeated(url: str) -> None:
    with pytest.raises(DumpError) as caught:
        target_of(url)
    assert "PGURL" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    for name in ("key", "known hosts"):
        (tmp_path / name).write_text("x")
    return str(tmp_path / "key"), str(tmp_path / "known hosts")


@pytest.mark.parametrize(
    ("store", "port", "last"),
    [
        ("store.example.org", "22", "dumps-read@store.example.org"),
        ("me@192.0.2.7:2222", "2222", "me@192.0.2.7"),
        ("me@2001:db8::7", "22", "me@2001:db8::7"),
    ],
)
def test_a_store_is_asked_by_ssh_that_trusts_one_host_key(
    files: tuple[str, str], store: str, port: str, last: str
) -> None:
    words = reader_command(store, *files)
    assert (words[0], words[-1]) == ("/usr/bin/ssh", last)
    assert {f"-p{port}", "-oStrictHostKeyChecking=yes", f'-oUserKnownHostsFile="{files[1]}"'} <= set(words)


@pytest.mark.parametrize("store", ["", "-oProxyCommand=x", "@host", "me@", "me@-x", "host:port"])
def test_what_is_no_address_is_refused(files: tuple[str, str], store: str) -> None:
    with pytest.raises(DumpError, match="no address of a store"):
        reader_command(store, *files)


@pytest.mark.parametrize("which", [0, 1])
def test_a_store_needs_a_key_and_a_host_key(files: tuple[str, str], which: int) -> None:
    given = list(files)
    given[which] = ""
    with pytest.raises(DumpError, match="name the file"):
        reader_command("store", *given)
