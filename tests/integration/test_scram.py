"""Verifiers made here, on a real server: the password they were made of logs in, and no other."""

from __future__ import annotations

import getpass
import typing as t
from pathlib import Path

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.filter.scram_verifier import scram_verifier
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.passwords import fits, verifier
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import SUPERUSER, ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir  # noqa: F401 (a fixture)
from psycopg2 import sql

PASSWORDS = [
    "pencil",
    " leading and trailing ",
    'it\'s "quoted" \\ and $so$ on: %s',
    "x" * 200,
    "pässwörd",
    "e\u0301",  # to be composed
    "\ufb01sh \u2168",  # compatibility characters
    "soft\u00adhyphen and\u00a0no-break\u200bblanks",
    "\u00ad",  # nothing but what is mapped to nothing
    "\u0627\u0628\u0629",
    "\u0627 mixed a",
    "\u00aa\u0007",  # prohibited: as it is
    "\u00aa😀",  # unassigned in Unicode 3.2
    "日本語のパスワード",
    "\u1e9e\u0345\u212b",
]


@pytest.fixture(scope="module")
def cluster(bindir: Path) -> t.Iterator[ScratchCluster]:  # noqa: F811
    hba = [f"local all {SUPERUSER} peer map=m", "local all all scram-sha-256"]
    with ScratchCluster(bindir=bindir, hba=hba, ident=[f'm "{getpass.getuser()}" {SUPERUSER}']) as cluster:
        yield cluster


def login(cluster: ScratchCluster, user: str, password: str | None = None) -> t.Any:
    return psycopg2.connect(
        host=str(cluster.socket), port=cluster.port, user=user, dbname="postgres", password=password, passfile="/none"
    )


@pytest.fixture
def superuser(cluster: ScratchCluster) -> t.Iterator[t.Any]:
    connection = login(cluster, SUPERUSER)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE remote LOGIN")
        yield cursor
        cursor.execute("DROP ROLE remote")
    connection.close()


def give(superuser: t.Any, password: str) -> str:
    """Set the password; what the server stored then."""
    superuser.execute(sql.SQL("ALTER ROLE remote PASSWORD {}").format(sql.Literal(password)))
    superuser.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'remote'")
    return str(superuser.fetchone()[0])


@pytest.mark.parametrize("password", PASSWORDS, ids=ascii)
def test_the_password_of_a_verifier_logs_in_and_no_other_does(cluster, superuser, password):
    made = scram_verifier(password, "db1", "remote")
    assert give(superuser, made) == made
    login(cluster, "remote", password).close()
    for other in (password + "x", password[:-1] or "y", password.swapcase() + "!", made):
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            login(cluster, "remote", other)


@pytest.mark.parametrize("password", PASSWORDS, ids=ascii)
def test_what_the_server_itself_makes_of_a_password_fits_it(superuser, password):
    stored = give(superuser, password)
    assert fits(password, stored)
    assert not fits(password + "x", stored)


def test_a_role_without_a_password_gets_in_with_none(cluster, superuser):
    superuser.execute("ALTER ROLE remote PASSWORD NULL")
    for password in ("x", ""):
        with pytest.raises(psycopg2.OperationalError):
            login(cluster, "remote", password)


def test_other_iterations_work_too(cluster, superuser):
    made = verifier("pencil", b"another salt, of some length", 10000)
    assert give(superuser, made) == made
    login(cluster, "remote", "pencil").close()
