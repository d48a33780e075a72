# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dump_restore: what production dumped is back, proved equal and under its policy, or the database is as it was."""

from __future__ import annotations

import functools
import gzip
import json
import re
import shutil
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server, run_module
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import ROLE
from ansible_collections.taaraxtak.production.tests.integration.dumps_restored import DATABASE, POLICY, Shop

AS_IT_WAS = f"the database {DATABASE} is as it was"
UNTOUCHED = re.compile(r"; nothing was changed, (the database \S+|every database) is as it was$")


@pytest.fixture
def shop(tmp_path: Path, fresh_server: Server) -> Shop:
    return Shop(tmp_path, fresh_server)


@pytest.fixture
def emptied(shop: Shop) -> tuple[Shop, str]:
    """The shop when its goods are gone, and the dump from before."""
    name = shop.dump()
    shop.server.run("DELETE FROM goods; INSERT INTO goods VALUES (1, 'a', 'left')", database=DATABASE)
    return shop, name


def test_the_newest_dump_takes_the_place_of_the_database(emptied: tuple[Shop, str]) -> None:
    shop, name = emptied

    done = shop.restore(policy=POLICY)

    assert not done.failed, done.msg
    assert done.changed
    values, trailer = done.values, shop.manifest(name)["trailer"]
    assert (values["dump"]["name"], values["dump"]["sha256"]) == (name, trailer["sha256"])
    assert (values["database"], values["previous"], values["signed_by"]) == (
        DATABASE,
        f"{DATABASE}__previous",
        "production",
    )
    assert values["tables"] == {"public.empty": 0, "public.goods": 2000}
    assert values["rows"] == 2000
    assert values["bytes"] == trailer["raw_bytes"]
    assert values["proof"] == {"tables": 2, "rows": 2000, "ddl": "equal"}
    assert list(values["seconds"]) == ["check", "create", "restore", "prove", "policy", "swap"]
    assert shop.rows() == 2000
    assert shop.rows(database=f"{DATABASE}__previous") == 1
    assert shop.databases() == {DATABASE, f"{DATABASE}__previous"}
    assert shop.leftovers() == []


def test_the_copy_is_under_the_policy_before_anybody_can_connect(emptied: tuple[Shop, str]) -> None:
    shop, _name = emptied
    shop.server.run("CREATE ROLE stranger LOGIN")

    assert not shop.restore(policy=POLICY).failed

    acl = shop.server.run(
        "SELECT pg_get_userbyid(datdba), has_database_privilege('stranger', oid, 'CONNECT'),"
        " has_database_privilege('shop_reader', oid, 'CONNECT') FROM pg_database WHERE datname = %s",
        values=[DATABASE],
    )
    assert acl == [("shop_owner", False, True)]
    settings = shop.server.run(
        "SELECT setrole = 0, setconfig FROM pg_db_role_setting WHERE setdatabase ="
        " (SELECT oid FROM pg_database WHERE datname = %s) ORDER BY 1",
        values=[DATABASE],
    )
    assert settings == [(False, ["statement_timeout=30s"]), (True, ["work_mem=8MB"])]
    again = shop.server
    assert again.run("SELECT count(*) FROM goods", database=DATABASE, user="shop_reader") == [(2000,)]


def test_the_policy_takes_from_the_kept_database_what_roles_have_set_in_it_and_nothing_else(
    emptied: tuple[Shop, str],
) -> None:
    shop, _name = emptied
    for _again in range(2):
        assert not shop.restore(policy=POLICY).failed
    kept = f"{DATABASE}__previous"
    held = "SELECT to_jsonb(d), (SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = d.oid AND setrole = 0)"
    before = shop.server.run(f"{held} FROM pg_database d WHERE datname = %s", values=[kept])
    given = {**shop.server.login, "policy": POLICY, "lock_file": str(shop.folder / "policy.lock"), "hba": False}

    first, second = run_module("pg_access", given), run_module("pg_access", given)

    about = [query for query in first.values["queries"] if kept in query]
    assert about == [f'ALTER ROLE "shop_reader" IN DATABASE "{kept}" RESET "statement_timeout"']
    assert not second.changed
    assert shop.server.run(f"{held} FROM pg_database d WHERE datname = %s", values=[kept]) == before
    assert shop.rows(database=kept) == 2000


def test_beside_the_database_nothing_is_replaced(emptied: tuple[Shop, str]) -> None:
    shop, name = emptied

    done = shop.restore(name=name, into="shop_before", policy=POLICY)

    assert not done.failed, done.msg
    assert done.values["previous"] == ""
    assert (shop.rows(), shop.rows(database="shop_before")) == (1, 2000)
    assert shop.databases() == {DATABASE, "shop_before"}


def test_previous_ones_are_kept_as_many_as_wanted(emptied: tuple[Shop, str]) -> None:
    shop, _name = emptied

    assert not shop.restore(keep_previous=2).failed
    second = shop.restore(keep_previous=2)
    assert second.values["previous"] == f"{DATABASE}__previous"
    assert shop.databases() == {DATABASE, f"{DATABASE}__previous", f"{DATABASE}__previous_2"}
    third = shop.restore(keep_previous=0)
    assert (third.values["previous"], shop.databases()) == ("", {DATABASE})


def test_check_mode_says_which_databases_would_be_dropped(emptied: tuple[Shop, str]) -> None:
    shop, _name = emptied
    first = shop.restore(check=True)
    assert first.values["would_drop"] == []
    assert shop.restore().values["dropped"] == []
    born = "SELECT to_char((pg_stat_file('base/' || oid || '/PG_VERSION')).modification AT TIME ZONE 'UTC', "
    query = f'{born} \'YYYY-MM-DD"T"HH24:MI:SS"Z"\') FROM pg_database WHERE datname = %s'
    ((replaced,),) = shop.server.run(query, values=[DATABASE])

    second = shop.restore(check=True)

    # The rows of today are there until the restore that put them aside, and younger than the dump.
    assert second.values["would_drop"] == [{"name": f"{DATABASE}__previous", "until": replaced}]
    assert second.values["dump"]["started"] <= replaced
    assert shop.restore(check=True, keep_previous=2).values["would_drop"] == []
    nothing_kept = [one["name"] for one in shop.restore(check=True, keep_previous=0).values["would_drop"]]
    assert nothing_kept == [DATABASE, f"{DATABASE}__previous"]
    assert set(shop.databases()) == {DATABASE, f"{DATABASE}__previous"}


def writes(server: Server) -> list[t.Any]:
    """The next transaction id, and all that a restore could leave."""
    return [
        *server.run("SELECT pg_snapshot_xmax(pg_current_snapshot())::text"),
        *server.run("SELECT datname, datacl::text FROM pg_database ORDER BY 1"),
        *server.run("SELECT rolname FROM pg_roles ORDER BY 1"),
    ]


def test_check_mode_says_what_would_be_restored_and_only_reads(emptied: tuple[Shop, str]) -> None:
    shop, name = emptied
    shop.server.run("ALTER SYSTEM SET autovacuum = off")
    shop.server.run("SELECT pg_reload_conf()")
    before = writes(shop.server)

    done = shop.restore(check=True, policy=POLICY)

    assert not done.failed, done.msg
    assert done.changed
    assert writes(shop.server) == before
    trailer = shop.manifest(name)["trailer"]
    dump = done.values["dump"]
    assert (dump["name"], dump["bytes"], dump["raw_bytes"], dump["rows"]) == (
        name,
        trailer["bytes"],
        trailer["raw_bytes"],
        2000,
    )
    assert (done.values["database"], done.values["tables"]["public.goods"]) == (DATABASE, 2000)
    assert "previous" not in done.values
    assert shop.rows() == 1


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"archive": None}, "one of the following is required: file, command, archive"),
        ({"into": "postgres"}, "PostgreSQL's own database"),
        ({"into": ""}, "the database to restore into has no name: name it"),
        ({"into": "", "database": DATABASE}, "the database to restore into has no name: name it"),
        ({"into": "shop__previous"}, "a name that a restore itself uses"),
        ({"keep_previous": -1}, "keep_previous must be 0 to 99"),
        ({"name": "shop_2020-01-01-00.00.00.sql.zst"}, "there is no dump"),
        ({"database": "other"}, "there is no dump with a right signature of other"),
        ({"verified": True}, "there is no verified dump"),
        ({"login_unix_socket": None, "login_host": "192.0.2.1"}, "neither a socket's folder nor a loopback address"),
        (
            {"login_unix_socket": None, "login_host": "192.0.2.1", "restore_into_production": True},
            "needs the host's name typed out",
        ),
        (
            {
                "login_unix_socket": None,
                "login_host": "192.0.2.1",
                "restore_into_production": True,
                "production_host": "192.0.2.2",
            },
            "neither a socket's folder nor a loopback address",
        ),
        ({"signers": "/nowhere"}, "there is no dump with a right signature"),
        ({"policy": {**POLICY, "mode": "wrong"}}, "mode: write authoritative"),
        ({"policy": {**POLICY, "scope": {"databases": ["x"], "schemas": ["public"]}, "grants": [],
                     "database_settings": {}}}, "the policy does not speak of the database shop"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_before_anything_is_made(
    emptied: tuple[Shop, str], options: dict[str, t.Any], sentence: str, check: bool
) -> None:
    shop, _name = emptied
    before = writes(shop.server)

    done = shop.restore(check=check, **options)

    assert done.failed
    assert not done.changed
    assert sentence in done.msg
    assert UNTOUCHED.search(done.msg) or "following is required" in done.msg
    assert writes(shop.server) == before


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("trailer", "sentence"),
    [
        ({"raw_bytes": 10**18}, "the restore needs 1.5e+06 TB beside the database that is there, and "),
        ({"versions": {"server": "99.1"}}, "the dump comes from PostgreSQL 99, and this server is PostgreSQL "),
        (
            {"extensions": {"nowhere": "1"}},
            "the extension nowhere, which the server does not have: install the package",
        ),
        ({"extensions": {"plpgsql": "99"}}, "plpgsql 99 (here 1.0): install a newer version"),
        ({"extensions": {"pageinspect": "1.0"}}, "pageinspect, which only a superuser may create"),
    ],
    ids=["space", "server", "absent", "older", "untrusted"],
)
def test_what_the_server_lacks_is_found_before_anything_is_made(
    emptied: tuple[Shop, str], tmp_path: Path, trailer: dict[str, t.Any], sentence: str, check: bool
) -> None:
    shop, name = emptied
    manifest = shop.manifest(name) | {"signature": "", "adopted": True}
    manifest["trailer"] |= trailer
    shutil.copy(shop.archive / name, tmp_path / name)
    (tmp_path / f"{name}.manifest.json").write_text(json.dumps(manifest))
    before = writes(shop.server)

    done = shop.restore(check=check, file=str(tmp_path / name), unproved=True)

    assert done.failed
    assert not done.changed
    assert sentence in done.msg
    assert done.msg.endswith(AS_IT_WAS)
    assert writes(shop.server) == before


def test_a_dump_of_an_unknown_database_needs_a_name(emptied: tuple[Shop, str], tmp_path: Path) -> None:
    shop, name = emptied
    (tmp_path / "own.sql").write_bytes(shop.text(name))

    done = shop.restore(file=str(tmp_path / "own.sql"), unproved=True)

    assert done.failed
    assert "the database to restore into has no name: name it" in done.msg
    assert done.msg.endswith("nothing was changed, every database is as it was")


def test_a_server_that_can_not_be_worked_with_leaves_the_database_as_it_was(emptied: tuple[Shop, str]) -> None:
    shop, _name = emptied

    nobody = shop.restore(login_unix_socket=str(shop.folder / "nowhere"))
    ordinary = shop.restore(login_user="shop_reader")

    for done, sentence in ((nobody, "could not connect"), (ordinary, "the role shop_reader is no superuser")):
        assert done.failed
        assert sentence in done.msg
        assert done.msg.endswith(AS_IT_WAS)
    assert shop.rows() == 1


def test_a_known_production_host_is_refused_until_its_name_is_typed(emptied: tuple[Shop, str]) -> None:
    shop, _name = emptied
    host = Path("/proc/sys/kernel/hostname").read_text().strip()

    refused = shop.restore(production_hosts=[host])
    wrong = shop.restore(production_hosts=[host], restore_into_production=True, production_host="somewhere")
    assert refused.failed
    assert wrong.failed
    assert f"runs on the production host {host}" in refused.msg
    assert shop.rows() == 1

    assert not shop.restore(production_hosts=[host], restore_into_production=True, production_host=host).failed
    assert shop.rows() == 2000


def test_a_copy_in_another_time_zone_is_equal(shop: Shop) -> None:
    """pg_dump itself writes times as the server, the database or the role has it, and bytea too."""
    shop.server.run(
        "CREATE TABLE seen (at timestamptz DEFAULT '2026-01-02 03:04+00', what bytea); "
        "INSERT INTO seen VALUES ('2026-07-08 09:10+00', '\\x00ff41')",
        database=DATABASE,
    )
    shop.server.run("ALTER TABLE seen OWNER TO shop_owner", database=DATABASE)
    shop.server.run(f"ALTER DATABASE {DATABASE} SET timezone = 'Asia/Tehran'")
    shop.server.run(f"ALTER DATABASE {DATABASE} SET bytea_output = 'escape'")
    name = shop.dump()
    assert b"2026-07-08 09:10:00+00\t\\\\x00ff41" in shop.text(name)

    done = shop.restore(name=name)

    assert not done.failed, done.msg
    assert done.values["proof"]["ddl"] == "equal"


def _run_with(run: t.Callable[..., t.Any], environment: dict[str, str], *words: t.Any, **more: t.Any) -> t.Any:
    return run(*words, **{**more, "env": environment})


@pytest.fixture
def abroad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Shop]:
    """A shop on a server that writes money with a decimal comma, and its dumper's role quotes every name."""
    locale, sources = "de_DE.UTF-8", Path("/usr/share/i18n/locales/de_DE")
    if not sources.exists():
        pytest.skip(f"no {sources}: install the package locales")
    # The server's account must reach it.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        made = ["localedef", "--no-archive", "--inputfile=de_DE", "--charmap=UTF-8", f"{folder}/{locale}"]
        subprocess.run(made, check=True)
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "LOCPATH": folder}
        run = functools.partial(_run_with, subprocess.run, environment)
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "run", run)
            cluster = ScratchCluster().__enter__()
        try:
            server = Server(cluster)
            server.run(f"ALTER SYSTEM SET lc_monetary = '{locale}'")
            server.run("SELECT pg_reload_conf()")
            shop = Shop(tmp_path, server)
            server.run(f"ALTER ROLE {ROLE} SET quote_all_identifiers = on")
            yield shop
        finally:
            cluster.__exit__(None, None, None)


def test_money_and_names_are_written_alike_whatever_server_and_role_have_set(abroad: Shop) -> None:
    abroad.server.run(
        "CREATE TABLE purse (what money); INSERT INTO purse VALUES (1234.5::numeric); "
        "CREATE VIEW rich AS SELECT what FROM purse; "
        "ALTER TABLE purse OWNER TO shop_owner; ALTER VIEW rich OWNER TO shop_owner",
        database=DATABASE,
    )
    assert abroad.server.run("SELECT what::text FROM purse", database=DATABASE)[0][0].startswith("1.234,50")
    name = abroad.dump()
    text = abroad.text(name)
    assert b"\n$1,234.50\n" in text
    assert b"FROM public.purse;" in text

    done = abroad.restore(name=name)

    assert not done.failed, done.msg
    assert done.values["proof"]["ddl"] == "equal"
    assert str(abroad.server.run("SELECT what::numeric FROM purse", database=DATABASE)[0][0]) == "1234.50"


def test_an_old_dump_is_compared_in_the_time_zone_it_was_made_in(shop: Shop, tmp_path: Path) -> None:
    zone = "Asia/Tehran"
    shop.server.run(
        "CREATE TABLE seen (at timestamptz); INSERT INTO seen VALUES ('2021-01-08 09:10+00')", database=DATABASE
    )
    shop.server.run("ALTER TABLE seen OWNER TO shop_owner", database=DATABASE)
    old = tmp_path / "old.sql"
    login = [f"--host={shop.server.cluster.socket}", "--username=postgres", f"--dbname={DATABASE}", f"--file={old}"]
    program = shop.server.cluster.bindir / "pg_dump"
    subprocess.run([program, *login], check=True, env={"PATH": "/usr/bin:/bin", "PGTZ": zone})
    given = {"file": str(old), "database": DATABASE, "unproved": True}

    wrong, unknown = shop.restore(**given), shop.restore(**given, timezone="Nowhere/X", check=True)
    right = shop.restore(**given, timezone=zone)

    assert wrong.failed
    assert "public.seen has " in wrong.msg
    assert "times were compared as in UTC: say the timezone of the server that it was made on" in wrong.msg
    assert wrong.msg.endswith(AS_IT_WAS)
    assert unknown.failed
    assert "Nowhere/X" in unknown.msg
    assert not right.failed, right.msg


def test_a_dump_that_nobody_signed_needs_a_word(emptied: tuple[Shop, str], tmp_path: Path) -> None:
    shop, name = emptied
    path = tmp_path / name
    shutil.copy(shop.archive / name, path)

    refused = shop.restore(file=str(path))
    assert refused.failed
    assert "has no manifest" in refused.msg
    assert "unproved: true" in refused.msg
    assert shop.rows() == 1

    done = shop.restore(file=str(path), unproved=True)
    assert not done.failed, done.msg
    assert (done.values["signed_by"], done.values["proof"]["ddl"]) == ("", "equal")
    assert "has no manifest, so nothing proves that it is whole or who made it" in done.values["unproved"]
    assert done.values["unproved"] in str(done.values["warnings"])
    assert done.values["dump"]["sha256"] == shop.manifest(name)["trailer"]["sha256"]
    assert shop.rows() == 2000


@pytest.mark.skipif(Path("/etc/taaraxtak/dump_signers").exists(), reason="this host knows whose signatures count")
def test_a_signature_that_nobody_can_check_is_no_proof(emptied: tuple[Shop, str], tmp_path: Path) -> None:
    shop, name = emptied
    for file in (name, f"{name}.manifest.json"):
        shutil.copy(shop.archive / file, tmp_path / file)

    refused = shop.restore(file=str(tmp_path / name), signers=None)
    asked = shop.restore(file=str(tmp_path / name), signers=None, unproved=True, check=True)
    done = shop.restore(file=str(tmp_path / name), signers=None, unproved=True)

    assert refused.failed
    said = "is signed, and nobody says whose signatures count, so nothing proves who made it: give signers"
    assert said in refused.msg
    assert refused.msg.endswith(AS_IT_WAS)
    for answer in (asked, done):
        assert not answer.failed, answer.msg
        assert answer.values["signed_by"] == ""
        assert said in answer.values["unproved"]
    assert done.values["unproved"] in str(done.values["warnings"])
    assert shop.restore(check=True).values["unproved"] == ""


def test_a_wrong_signature_is_refused_whatever_is_said(emptied: tuple[Shop, str], tmp_path: Path) -> None:
    shop, name = emptied
    for file in (name, f"{name}.manifest.json"):
        shutil.copy(shop.archive / file, tmp_path / file)
    signers = tmp_path / "others"
    signers.write_text(shop.hosts.signers.read_text()[:-10] + "AAAAAAAA\n")

    done = shop.restore(file=str(tmp_path / name), signers=str(signers), unproved=True)

    assert done.failed
    assert "is refused" in done.msg
    assert shop.rows() == 1


def test_a_dump_of_another_database_needs_into(emptied: tuple[Shop, str], tmp_path: Path) -> None:
    shop, name = emptied
    path = tmp_path / name
    shutil.copy(shop.archive / name, path)

    done = shop.restore(file=str(path), database="other", unproved=True)

    assert done.failed
    assert "say into" in done.msg


def test_a_flipped_byte_leaves_the_database_as_it_was(emptied: tuple[Shop, str], tmp_path: Path) -> None:
    shop, name = emptied
    data = bytearray((shop.archive / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / name).write_bytes(data)
    shutil.copy(shop.archive / f"{name}.manifest.json", tmp_path / f"{name}.manifest.json")

    done = shop.restore(file=str(tmp_path / name))

    assert done.failed
    assert not done.changed
    assert AS_IT_WAS in done.msg
    assert shop.rows() == 1
    assert shop.databases() == {DATABASE}
    assert shop.leftovers() == []


@pytest.mark.parametrize("cut", ["middle", "end"])
def test_a_dump_that_ends_early_commits_nothing(emptied: tuple[Shop, str], tmp_path: Path, cut: str) -> None:
    shop, name = emptied
    text = shop.text(name)
    at = len(text) // 2 if cut == "middle" else text.rindex(b"--\n-- PostgreSQL database dump complete")
    path = tmp_path / "cut.sql"
    path.write_bytes(text[:at])

    done = shop.restore(file=str(path), database=DATABASE, unproved=True)

    assert done.failed
    assert AS_IT_WAS in done.msg
    assert "the dump " in done.msg
    assert (shop.rows(), shop.databases(), shop.leftovers()) == (1, {DATABASE}, [])


@pytest.mark.parametrize(
    ("planted", "sentence"),
    [
        (b"\\! touch {marker}\n", "psql command"),
        (b"SELECT 1 \\! touch {marker}\n;\n", "psql command"),
        (b"COPY (SELECT 1) TO PROGRAM 'touch {marker}';\n", "permission denied|could not be read"),
        (b"SELECT pg_read_file('/etc/passwd');\n", "permission denied"),
        (b"ALTER SYSTEM SET archive_command = 'touch {marker}';\n", "ALTER SYSTEM|permission denied"),
        (b"COMMIT; ALTER DATABASE shop RENAME TO gone;\n", "must be owner|being accessed|permission denied"),
    ],
)
def test_a_hostile_dump_reaches_nothing_and_leaves_nothing(
    emptied: tuple[Shop, str], tmp_path: Path, planted: bytes, sentence: str
) -> None:
    shop, name = emptied
    marker = tmp_path / "marker"
    text = shop.text(name)
    at = text.index(b"CREATE TABLE")
    path = tmp_path / "hostile.sql"
    path.write_bytes(text[:at] + planted.replace(b"{marker}", str(marker).encode()) + text[at:])

    done = shop.restore(file=str(path), database=DATABASE, unproved=True)

    assert done.failed
    assert re.search(sentence, done.msg), done.msg
    assert AS_IT_WAS in done.msg
    assert not marker.exists()
    assert (shop.rows(), shop.databases(), shop.leftovers()) == (1, {DATABASE}, [])


def test_a_policy_that_does_not_fit_leaves_the_database_as_it_was(emptied: tuple[Shop, str]) -> None:
    shop, _name = emptied
    grants = [*POLICY["grants"], {"to": "shop_reader", "on": {"tables": "public.nowhere"}, "privileges": ["select"]}]

    done = shop.restore(policy={**POLICY, "grants": grants})

    assert done.failed
    assert "public.nowhere" in done.msg
    assert AS_IT_WAS in done.msg
    assert (shop.rows(), shop.databases(), shop.leftovers()) == (1, {DATABASE}, [])

    skipped = shop.restore(policy={**POLICY, "grants": grants}, missing_objects="skip")
    assert not skipped.failed, skipped.msg
    assert shop.rows() == 2000


def test_a_missing_role_is_named_or_made(emptied: tuple[Shop, str], tmp_path: Path) -> None:
    shop, name = emptied
    text = shop.text(name).replace(b"shop_owner", b'"Gone; owner"').replace(b"shop_reader", b"gone_reader")
    path = tmp_path / "gone.sql"
    path.write_bytes(text)

    refused = shop.restore(file=str(path), into="elsewhere", unproved=True)
    assert refused.failed
    assert 'role "Gone; owner" does not exist; make the roles first' in refused.msg
    assert "nothing was restored" in refused.msg
    assert shop.databases() == {DATABASE}

    path.write_bytes(text.replace(b"CREATE VIEW", b"CREATE MESS"))
    broken = shop.restore(file=str(path), into="elsewhere", unproved=True, missing_roles="create")
    assert broken.failed
    assert shop.server.run("SELECT rolname FROM pg_roles WHERE rolname ~* 'gone'") == []

    path.write_bytes(text)
    done = shop.restore(file=str(path), into="elsewhere", unproved=True, missing_roles="create")
    assert not done.failed, done.msg
    assert sorted(done.values["roles"]) == ["Gone; owner", "gone_reader"]
    owner = shop.server.run(
        "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'goods'", database="elsewhere"
    )
    assert owner == [("Gone; owner",)]
    logins = shop.server.run("SELECT rolcanlogin FROM pg_roles WHERE rolname ~* 'gone'")
    assert logins == [(False,), (False,)]


@pytest.mark.parametrize("ending", [".sql", ".sql.gz", ".sql.tar.gz", ".sql.zst"])
def test_a_dump_restores_in_any_packing(emptied: tuple[Shop, str], tmp_path: Path, ending: str) -> None:
    shop, name = emptied
    text = shop.text(name)
    path = tmp_path / f"own{ending}"
    stored = (shop.archive / name).read_bytes() if ending == ".sql.zst" else gzip.compress(text)
    path.write_bytes(text if ending == ".sql" else stored)

    done = shop.restore(file=str(path), database=DATABASE, unproved=True, policy=POLICY)

    assert not done.failed, done.msg
    assert done.values["dump"]["name"] == ""
    assert shop.rows() == 2000


def test_an_adopted_dump_restores_where_that_is_wanted(emptied: tuple[Shop, str], tmp_path: Path) -> None:
    shop, name = emptied
    old = tmp_path / f"{DATABASE}_2021-03-04-05.06.07.sql.tar.gz"
    old.write_bytes(gzip.compress(shop.text(name)))
    keep = {"archive": str(shop.archive), "incoming": str(shop.hosts.incoming), "signers": str(shop.hosts.signers)}
    (tmp_path / "keep.json").write_text(json.dumps(keep | {"reserve_bytes": 1}))
    program = f"""import sys; sys.path.insert(0, {str(shop.hosts.lib)!r}); from dumps.store import main
sys.exit(main({str(tmp_path / "store.json")!r}, {str(tmp_path / "keep.json")!r}))"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, "adopt", str(old)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    adopted = f"{DATABASE}_2021-03-04-05.06.07.sql.zst"

    refused = shop.restore(name=adopted)
    assert refused.failed
    assert "was adopted" in refused.msg

    restored = shop.restore(name=adopted, unproved=True, policy=POLICY)
    assert not restored.failed, restored.msg
    assert restored.values["dump"]["adopted"] is True
    assert shop.rows() == 2000


def test_a_verified_dump_is_taken_where_that_is_wanted(emptied: tuple[Shop, str]) -> None:
    shop, name = emptied
    note = shop.archive / f"{name}.drill.json"
    note.write_text(json.dumps({"ok": True, "finished": "2026-11-22T03:00:00Z"}))
    note.chmod(0o440)

    done = shop.restore(verified=True)

    assert not done.failed, done.msg
    assert done.values["dump"]["name"] == name


def test_a_reading_key_s_store_gives_the_newest(emptied: tuple[Shop, str], tmp_path: Path) -> None:
    shop, name = emptied
    ssh = tmp_path / "ssh"
    ssh.write_text(
        f"#!{sys.executable} -I\nimport os, sys\nos.environ['SSH_ORIGINAL_COMMAND'] = ' '.join(sys.argv[1:])\n"
        f"os.execv({str(tmp_path / 'store')!r}, ['store', 'read'])\n"
    )
    ssh.chmod(0o755)

    done = shop.restore(command=[str(ssh)], database=DATABASE, policy=POLICY)

    assert not done.failed, done.msg
    assert (done.values["dump"]["name"], done.values["signed_by"]) == (name, "production")
    assert shop.rows() == 2000
