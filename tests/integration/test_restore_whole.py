# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore that is struck at any step, and the command line: the database is the old or the new one, and said so."""

from __future__ import annotations

import dataclasses
import re
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore import restoring
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.material import from_file
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.server import Server as Restoring
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.swap import Swapped
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.target import Target
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import ROLE, children, processes, until
from ansible_collections.taaraxtak.production.tests.integration.dumps_restored import DATABASE, POLICY, Shop

TOOL = Path(__file__).resolve().parents[2] / "tools" / "restore.py"
AWKWARD = Path(__file__).with_name("dumps_awkward.sql")


@pytest.fixture
def shop(tmp_path: Path, fresh_server: Server) -> Shop:
    made = Shop(tmp_path, fresh_server)
    name = made.dump()
    (tmp_path / "own.sql").write_bytes(made.text(name))
    fresh_server.run("DELETE FROM goods", database=DATABASE)
    return made


@pytest.fixture
def options() -> restoring.Options:
    return restoring.Options(database=DATABASE, unproved=True)


def plan(shop: Shop, options: restoring.Options) -> restoring.Plan:
    return restoring.plan(from_file(str(shop.folder / "own.sql")), options)


class Struck(Restoring):
    """A server with which one step fails, before it is done or just after."""

    step = ""
    after = False

    def __getattribute__(self, name: str) -> t.Any:
        found = super().__getattribute__(name)
        if name != super().__getattribute__("step"):
            return found

        def strike(*given: t.Any, **more: t.Any) -> t.Any:
            if super(Struck, self).__getattribute__("after"):
                found(*given, **more)
            raise DumpError("struck by lightning")

        return strike


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["check", "create", "restorer", "psql", "settle", "pg_dump"])
def test_whichever_step_fails_the_database_is_as_it_was(
    shop: Shop, options: restoring.Options, step: str, after: bool
) -> None:
    with Struck(Target(host=str(shop.server.cluster.socket))) as server:
        server.step, server.after = step, after
        with pytest.raises(DumpError, match=f"struck by lightning; the database {DATABASE} is as it was"):
            restoring.restore(server, plan(shop, options), options)
        assert (shop.rows(), shop.databases()) == (0, {DATABASE} | ({f"{DATABASE}__restoring"} & shop.databases()))
        # A copy of which the run has never heard goes with the next one.
        server.step = ""
        restoring.restore(server, plan(shop, options), options)
    assert shop.rows() == 2000
    assert shop.leftovers() == []


@pytest.mark.parametrize("step", ["policy", "before the swap"])
def test_what_fails_after_the_proof_leaves_the_database_as_it_was(
    shop: Shop, options: restoring.Options, step: str
) -> None:
    def strike(*_given: t.Any) -> None:
        raise ValueError("struck by lightning")

    struck = {"policy": {"apply_policy": strike}, "before the swap": {"commit": strike}}[step]
    with (
        Restoring(Target(host=str(shop.server.cluster.socket))) as server,
        pytest.raises(DumpError, match=f"struck by lightning; the database {DATABASE} is as it was"),
    ):
        restoring.restore(server, plan(shop, options), options, **struck)
    assert (shop.rows(), shop.databases(), shop.leftovers()) == (0, {DATABASE}, [])


def test_roles_that_were_made_for_a_restore_go_with_it(shop: Shop, options: restoring.Options) -> None:
    def strike(*_given: t.Any) -> None:
        raise ValueError("struck by lightning")

    shop.server.run("DROP OWNED BY shop_reader; DROP ROLE shop_reader", database=DATABASE)
    making = dataclasses.replace(options, create_roles=True)
    there = "SELECT count(*) FROM pg_roles WHERE rolname = 'shop_reader'"
    with Restoring(Target(host=str(shop.server.cluster.socket))) as server:
        with pytest.raises(DumpError, match=f"the database {DATABASE} is as it was$"):
            restoring.restore(server, plan(shop, making), making, commit=strike)
        assert shop.server.run(there) == [(0,)]
        assert restoring.restore(server, plan(shop, making), making).roles == ("shop_reader",)
    assert shop.server.run(there) == [(1,)]


def test_who_could_connect_can_afterwards_and_settings_stay(shop: Shop, options: restoring.Options) -> None:
    shop.server.run(
        f"""
        CREATE ROLE other;
        REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC;
        GRANT CONNECT ON DATABASE {DATABASE} TO shop_reader;
        GRANT CREATE ON DATABASE {DATABASE} TO other WITH GRANT OPTION;
        ALTER DATABASE {DATABASE} SET work_mem = '8MB';
        ALTER DATABASE {DATABASE} SET search_path = "$user", public, "a, ""b", 'C; DROP';
        ALTER DATABASE {DATABASE} SET "own.setting" = 'it''s {{}} %s "x", y';
        ALTER ROLE other IN DATABASE {DATABASE} SET statement_timeout = '30s';
        ALTER DATABASE {DATABASE} CONNECTION LIMIT 17
        """
    )

    def found(database: str) -> list[t.Any]:
        return shop.server.run(
            """
            SELECT datconnlimit,
                   (SELECT array_agg((grantee::regrole, privilege_type, is_grantable)::text ORDER BY 1)
                      FROM aclexplode(datacl)),
                   (SELECT array_agg((setrole::regrole, setconfig)::text ORDER BY 1)
                      FROM pg_db_role_setting WHERE setdatabase = d.oid)
              FROM pg_database d WHERE datname = %s
            """,
            values=[database],
        )

    before = found(DATABASE)
    with Restoring(Target(host=str(shop.server.cluster.socket))) as server:
        restoring.restore(server, plan(shop, options), options)
        assert found(DATABASE) == before
        assert found(f"{DATABASE}__previous") == before
        # Where nothing was ever said, everybody may connect.
        shop.server.run("CREATE DATABASE unsaid")
        options = dataclasses.replace(options, database="unsaid")
        restoring.restore(server, plan(shop, options), options)
    assert shop.server.run("SELECT has_database_privilege('other', 'unsaid', 'CONNECT')") == [(True,)]


def test_a_failure_after_the_swap_is_not_called_undone(
    shop: Shop, options: restoring.Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Restoring.swap

    def swap(self: Restoring, *given: t.Any) -> Swapped:
        real(self, *given)
        raise DumpError("struck by lightning")

    monkeypatch.setattr(Restoring, "swap", swap)
    with (
        Restoring(Target(host=str(shop.server.cluster.socket))) as server,
        pytest.raises(DumpError, match=f"the database {DATABASE} was replaced all the same"),
    ):
        restoring.restore(server, plan(shop, options), options)
    assert shop.rows() == 2000


def test_a_copy_that_lost_a_row_is_found_out(shop: Shop, options: restoring.Options) -> None:
    """The row goes between psql and the comparison."""

    class Losing(Restoring):
        def settle(self, temporary: str, owner: str = "") -> None:
            super().settle(temporary, owner)
            shop.server.run("DELETE FROM goods WHERE id = 7", database=temporary)

    with (
        Losing(Target(host=str(shop.server.cluster.socket))) as server,
        pytest.raises(DumpError, match=r"public\.goods has 1999 rows in the copy and 2000 in the dump"),
    ):
        restoring.restore(server, plan(shop, options), options)
    assert (shop.rows(), shop.databases(), shop.leftovers()) == (0, {DATABASE}, [])


def test_an_awkward_database_restores_equal(tmp_path: Path, fresh_server: Server) -> None:
    """Quoted names, partitions, inheritance, generated columns, functions, triggers: as production dumps them."""
    made = Shop(tmp_path, fresh_server)
    fresh_server.run("DROP TABLE empty", database=DATABASE)
    fresh_server.run("GRANT CREATE ON SCHEMA public TO shop_owner", database=DATABASE)
    # What only a superuser may make is refused.
    mine = "\n".join(
        line for line in AWKWARD.read_text().splitlines() if "FOREIGN" not in line and "SERVER" not in line
    )
    fresh_server.run(f"SET ROLE shop_owner; {mine}", database=DATABASE)
    name = made.dump()

    done = made.restore(name=name)

    assert not done.failed, done.msg
    assert done.values["proof"]["ddl"] == "equal"
    assert done.values["tables"] == {
        table: data["rows"] for table, data in made.manifest(name)["trailer"]["tables"].items()
    }


def test_privileges_of_postgresql_s_own_are_changed_as_the_policy_has_changed_them(
    tmp_path: Path, fresh_server: Server
) -> None:
    """Who restores may not revoke them, and a warning of psql's is no difference of the copy."""
    made = Shop(tmp_path, fresh_server)
    revoked = {**POLICY, "public": {"revoke_connect": "all", "revoke_execute": ["pg_catalog.lo_*"]}}
    revoked["grants"] = [
        *POLICY["grants"],
        {"to": "shop_reader", "on": {"routines": "pg_catalog.lo_get"}, "privileges": ["execute"]},
    ]
    assert not made.restore(name=made.dump(), policy=revoked).failed
    fresh_server.run(f"GRANT CONNECT ON DATABASE {DATABASE} TO {ROLE}")
    name = made.again().dump()
    assert b"REVOKE ALL ON FUNCTION pg_catalog.lo_create(oid) FROM PUBLIC" in made.text(name)
    assert b"GRANT ALL ON FUNCTION pg_catalog.lo_get(oid) TO shop_reader" in made.text(name)

    done = made.restore(name=name)

    assert not done.failed, done.msg
    assert done.values["proof"]["ddl"] == "equal"
    asked = "SELECT has_function_privilege(%s, 'pg_catalog.lo_get(oid)', 'EXECUTE')"
    assert fresh_server.run(asked, values=["shop_reader"], database=DATABASE) == [(True,)]
    assert fresh_server.run(asked, values=["shop_owner"], database=DATABASE) == [(False,)]


@pytest.mark.parametrize(
    "given",
    [
        b"GRANT ALL ON FUNCTION pg_catalog.pg_read_file(text) TO shop_reader;\n",
        b"GRANT ALL ON FUNCTION pg_catalog.lo_get(oid) TO PUBLIC;\n",
        b"GRANT ALL ON TABLE pg_catalog.pg_authid TO shop_reader;\n",
    ],
)
def test_a_dump_gives_nobody_the_server_s_own(shop: Shop, options: restoring.Options, given: bytes) -> None:
    path = shop.folder / "own.sql"
    text = path.read_bytes()
    at = text.rindex(b"--\n-- PostgreSQL database dump complete")
    path.write_bytes(text[:at] + given + text[at:])
    with (
        Restoring(Target(host=str(shop.server.cluster.socket))) as server,
        pytest.raises(DumpError, match=r"PostgreSQL's own and not for everybody|permission denied"),
    ):
        restoring.restore(server, plan(shop, options), options)
    assert (shop.rows(), shop.databases(), shop.leftovers()) == (0, {DATABASE}, [])


# The command line


def run(shop: Shop, *, url: str = "", wait: bool = True, **words: str) -> subprocess.Popen[str]:
    """As make starts it."""
    environment = {
        "PATH": f"{shop.server.cluster.bindir}:/usr/bin:/bin",
        "PGURL": url or f"postgresql:///{DATABASE}?host={shop.server.cluster.socket}",
        "TAARAXTAK_RESTORE": " ".join(words),
        **words,
    }
    process = subprocess.Popen(
        [sys.executable, TOOL],
        env=environment,
        cwd=shop.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if wait:
        process.wait(60)
    return process


def said(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    return out + err


def test_make_restore_restores_into_an_own_server(shop: Shop) -> None:
    process = run(shop, DUMP="own.sql", UNPROVED="1")

    told = said(process)
    assert process.returncode == 0, told
    assert f"own.sql is {DATABASE} now: 2 tables, 2000 rows" in told
    assert "statements equal" in told
    assert "has no manifest, so nothing proves that it is whole or who made it" in told
    assert f"what was there before is {DATABASE}__previous" in told
    assert shop.rows() == 2000


def test_an_empty_name_is_no_database_of_the_url(shop: Shop) -> None:
    """As whoever calls the command itself may say it."""
    utils = TOOL.parents[1] / "plugins" / "module_utils"
    program = f"import sys; sys.path.insert(0, {str(utils)!r}); from dumps.restore import command; command.main()"
    words = [f"--file={shop.folder / 'own.sql'}", "--unproved", "--into="]
    url = f"postgresql:///{DATABASE}?host={shop.server.cluster.socket}"
    environment = {"PATH": f"{shop.server.cluster.bindir}:/usr/bin:/bin", "PGURL": url}

    done = subprocess.run(
        [sys.executable, "-c", program, *words], env=environment, capture_output=True, text=True, check=False
    )

    assert "the database to restore into has no name: name it; nothing was changed" in done.stderr
    assert (shop.rows(), shop.databases()) == (0, {DATABASE})


def test_make_restore_checks_and_does_nothing(shop: Shop) -> None:
    process = run(shop, DUMP="own.sql", UNPROVED="1", CHECK="1", INTO="elsewhere")

    told = said(process)
    assert process.returncode == 0, told
    assert "would be restored into elsewhere" in told
    assert shop.databases() == {DATABASE}


@pytest.mark.parametrize(
    ("url", "words", "sentence"),
    [
        ("postgresql://u:s3cret@192.0.2.1/x", {"DUMP": "own.sql", "UNPROVED": "1"}, "neither a socket's folder nor"),
        ("postgresql://u:s3cret@db.example.org/x", {"DUMP": "own.sql", "UNPROVED": "1"}, "neither a socket's folder"),
        ("mysql://u:s3cret@localhost/x", {"DUMP": "own.sql", "UNPROVED": "1"}, "must begin with postgresql://"),
        ("", {"DUMP": "own.sql"}, "has no manifest"),
        ("", {"DUMP": "nowhere.sql", "UNPROVED": "1"}, "could not be read"),
        ("", {"DUMP": "own.sql", "STORE": "me@host"}, "not allowed with argument"),
        ("", {"STORE": "me@host"}, "name the file"),
        ("", {"DUMP": "own.sql", "UNPROVED": "1", "INTO": "postgres"}, "PostgreSQL's own database"),
        ("", {"DUMP": "own.sql", "UNPROVED": "1", "INTO": ""}, "INTO is given and is empty: say what it is, or leave"),
        ("", {"DUMP": "own.sql", "UNPROVED": "1", "SIGNERS": ""}, "SIGNERS is given and is empty"),
        ("", {"DUMP": "own.sql", "UNPROVED": "0"}, "UNPROVED is 1, or it is left out: '0' is neither"),
        ("", {"DUMP": "own.sql", "UNPROVED": "1", "CHECK": "no"}, "CHECK is 1, or it is left out: 'no' is neither"),
        ("", {"DUMP": "own.sql", "UNPROVED": ""}, "has no manifest"),
    ],
)  # fmt: skip
def test_make_restore_refuses_in_a_sentence(shop: Shop, url: str, words: dict[str, str], sentence: str) -> None:
    process = run(shop, url=url, **words)

    told = said(process)
    assert process.returncode != 0
    assert sentence in told
    assert "Traceback" not in told
    assert "s3cret" not in told
    assert re.search(r"; nothing was changed, (the database \S+|every database) is as it was$", told.strip())
    assert (shop.rows(), shop.databases()) == (0, {DATABASE})


def waiting(shop: Shop) -> subprocess.Popen[str]:
    """A restore with a password in its URL that psql hangs in, since a statement of the dump waits."""
    text = (shop.folder / "own.sql").read_bytes()
    at = text.index(b"CREATE TABLE")
    (shop.folder / "slow.sql").write_bytes(text[:at] + b"SELECT pg_catalog.pg_sleep(600);\n" + text[at:])
    url = f"postgresql://postgres:s3cret@/{DATABASE}?host={shop.server.cluster.socket}"
    process = run(shop, url=url, wait=False, DUMP="slow.sql", UNPROVED="1")
    asked = "SELECT 1 FROM pg_stat_activity WHERE query ~ 'pg_sleep' AND datname = %s"
    until(lambda: shop.server.run(asked, values=[f"{DATABASE}__restoring"]), "psql to come to the statement")
    return process


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_restore_leaves_the_database_as_it_was(shop: Shop, how: signal.Signals) -> None:
    process = waiting(shop)

    process.send_signal(how)

    told = said(process)
    assert process.returncode == 1
    assert f"interrupted by {how.name}; the database {DATABASE} is as it was" in told
    assert not [one for one in processes("--no-psqlrc") if one in processes(str(shop.server.cluster.socket))]
    assert (shop.rows(), shop.databases(), shop.leftovers()) == (0, {DATABASE}, [])


def test_a_killed_restore_is_cleaned_up_by_the_next(shop: Shop) -> None:
    process = waiting(shop)

    process.kill()
    process.wait(10)
    process.communicate()
    assert (shop.rows(), f"{DATABASE}__previous" in shop.databases()) == (0, False)

    again = run(shop, DUMP="own.sql", UNPROVED="1")
    assert again.returncode == 0, said(again)
    assert shop.rows() == 2000
    assert shop.leftovers() == []


def test_a_password_is_in_no_argument_and_in_no_child(shop: Shop) -> None:
    process = waiting(shop)
    try:
        family = [process.pid, *children(process.pid).values()]
        assert len(family) >= 2
        for number in family:
            assert b"s3cret" not in Path(f"/proc/{number}/cmdline").read_bytes()
        for number in family[1:]:
            assert b"s3cret" not in Path(f"/proc/{number}/environ").read_bytes()
    finally:
        process.terminate()
        process.communicate(timeout=60)
