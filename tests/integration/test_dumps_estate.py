"""Several databases, the cluster's roles, several stores: each by itself, signed, encrypted where that is asked for."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import Manifest
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import (
    ROLE,
    Hosts,
    children,
    processes,
    until,
)

# Fails as often as there are files beside it, each time taking one away; then it is the store.
MOODY = """#!{python} -I
import os, pathlib, sys
if sys.argv[1] == "receive":
    for path in sorted(pathlib.Path({moods!r}).iterdir()):
        path.unlink()
        sys.stderr.write("ssh: no route to the store\\n")
        sys.exit(255)
os.execv({store!r}, [{store!r}, *sys.argv[1:]])
"""


@pytest.fixture
def hosts(tmp_path: Path, server: Server, database: str) -> Hosts:
    server.run("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS a", database=database)
    return Hosts(tmp_path, server, database)


@pytest.fixture
def second_database(server: Server, database: str) -> t.Iterator[str]:
    name = f"{database}_second"
    server.run(f'CREATE DATABASE "{name}"')
    server.run("CREATE TABLE other AS SELECT generate_series(1, 7) AS b", database=name)
    yield name
    server.run(f'DROP DATABASE "{name}" WITH (FORCE)')


def text(data: Path) -> str:
    return subprocess.run(["zstd", "-dcq", data], capture_output=True, check=True).stdout.decode()


def moody(hosts: Hosts, failures: int) -> list[str]:
    """The command of a store that can't be reached the first *failures* times."""
    moods = hosts.folder / "moods"
    moods.mkdir()
    for number in range(failures):
        (moods / str(number)).touch()
    path = hosts.folder / "moody"
    path.write_text(MOODY.format(python=sys.executable, moods=str(moods), store=str(hosts.folder / "sshd")))
    path.chmod(0o755)
    return [str(path)]


def stores(hosts: Hosts, **commands: list[str]) -> list[dict[str, t.Any]]:
    return [{"name": name, "command": command} for name, command in commands.items()]


def test_the_roles_go_first_without_their_passwords(hosts: Hosts, server: Server) -> None:
    server.run("""CREATE ROLE "Odd ""one" LOGIN PASSWORD 'geheim' CONNECTION LIMIT 3""")
    # Other tests of the same server may have roles of their own.
    ours = "SELECT count(*) FROM pg_roles WHERE rolname !~ '^pg_'"
    try:
        done = hosts.send()
        [(roles,)] = server.run(ours)
    finally:
        server.run('DROP ROLE "Odd ""one"')

    assert done.returncode == 0, done.stderr
    data, manifest = hosts.globals()
    lines = done.stdout.splitlines()
    assert [data.name in lines[0], hosts.dump()[0].name in lines[1], len(lines)] == [True, True, 2]
    trailer = manifest["trailer"]
    assert (trailer["kind"], trailer["tables"], trailer["roles"]) == ("globals", {}, roles)
    held = text(data)
    assert re.search('^CREATE ROLE "Odd ""one";$', held, re.MULTILINE)
    assert "CONNECTION LIMIT 3" in held
    assert "PASSWORD" not in held
    assert f"CREATE ROLE {ROLE};" in held


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("text = text[: text.index(b'-- PostgreSQL database cluster dump complete')]", "lacks its last line"),
        ("text = text.replace(b'CREATE ROLE postgres;\\n', b'', 1)", "other roles than the cluster: postgres"),
        ("text = b''", "lacks its last line"),
    ],
)
def test_globals_that_are_not_whole_are_none(hosts: Hosts, server: Server, change: str, said: str) -> None:
    programs = hosts.folder / "bin"
    programs.mkdir()
    real = server.cluster.bindir
    (programs / "pg_dump").symlink_to(real / "pg_dump")
    (programs / "pg_dumpall").write_text(
        f"#!{sys.executable} -I\nimport subprocess, sys\n"
        f"text = subprocess.run([{str(real / 'pg_dumpall')!r}, *sys.argv[1:]], stdout=-1, check=True).stdout\n"
        f"if '--version' not in sys.argv:\n    {change}\n"
        "sys.stdout.buffer.write(text)\n"
    )
    (programs / "pg_dumpall").chmod(0o755)
    hosts.configure_source(bindir=str(programs))

    done = hosts.send()

    assert done.returncode == 1
    assert said in done.stderr
    assert "no dump of globals was stored at vault" in done.stderr
    # The next one was made all the same.
    hosts.dump()
    assert not [path for path in hosts.incoming.iterdir() if ".globals." in path.name]


def test_each_database_is_a_dump_of_its_own(hosts: Hosts, database: str, second_database: str) -> None:
    hosts.configure_source(databases=[database, second_database])
    hosts.configure_sender(databases=[database, second_database])

    done = hosts.send()

    assert done.returncode == 0, done.stderr
    manifests = [path for path in hosts.files() if path.endswith(".json")]
    counted = {
        trailer["database"]: {name: table["rows"] for name, table in trailer["tables"].items()}
        for trailer in (json.loads((hosts.incoming / name).read_text())["trailer"] for name in manifests)
    }
    assert counted == {database: {"public.kept": 1000}, second_database: {"public.other": 7}}


def test_a_database_that_is_missing_does_not_keep_the_next_from_its_dump(hosts: Hosts, database: str) -> None:
    hosts.configure_source(databases=[database, "nowhere"])
    hosts.configure_sender(databases=["nowhere", database], retry_delays=[60])

    done = hosts.send()

    # And nobody waits a minute to find it missing again.
    assert done.returncode == 1
    assert re.search('no dump of nowhere was stored at vault: .*database "nowhere" does not exist', done.stderr)
    assert "the next is in" not in done.stderr
    hosts.dump()
    hosts.globals()


def test_a_signature_is_of_the_trailer_as_the_manifest_has_it(hosts: Hosts) -> None:
    assert hosts.send().returncode == 0
    for data, _ in (hosts.dump(), hosts.globals()):
        manifest = Manifest.read((hosts.incoming / f"{data.name}.manifest.json").read_bytes())
        signature = hosts.folder / "signature"
        signature.write_text(manifest.signature)
        verify = ["ssh-keygen", "-Y", "verify", "-f", hosts.signers, "-I", "production", "-n", "taaraxtak-dump"]
        for content, good in ((manifest.trailer.signed, True), (manifest.trailer.signed + b" ", False)):
            done = subprocess.run([*verify, "-s", signature], input=content, capture_output=True, check=False)
            assert (done.returncode == 0) is good, done.stderr


def test_a_signature_that_fails_is_no_dump(hosts: Hosts) -> None:
    hosts.signing_key.write_text("no key\n")
    done = hosts.send()
    assert done.returncode == 1
    assert "the dump could not be signed: ssh-keygen failed" in done.stderr
    assert list(hosts.incoming.iterdir()) == []


@pytest.mark.skipif(shutil.which("age") is None, reason="age is not installed here")
class TestEncrypted:
    @pytest.fixture
    def keys(self, hosts: Hosts) -> list[Path]:
        paths = [hosts.folder / "one.key", hosts.folder / "two.key"]
        recipients = []
        for path in paths:
            subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
            asked = subprocess.run(["age-keygen", "-y", path], check=True, capture_output=True, text=True)
            recipients.append(asked.stdout.strip())
        hosts.configure_source(recipients=recipients)
        return paths

    def test_either_key_opens_it_and_it_says_that_it_is_closed(self, hosts: Hosts, keys: list[Path]) -> None:
        done = hosts.send()
        assert done.returncode == 0, done.stderr
        data, manifest = hosts.dump()
        assert data.name.endswith(".sql.zst.age")
        assert manifest["trailer"]["encrypted"] is True
        assert manifest["trailer"]["statuses"] == {"pg_dump": 0, "zstd": 0, "age": 0}
        assert data.read_bytes().startswith(b"age-encryption.org/")
        for key in keys:
            opened = subprocess.run(["age", "-d", "-i", key, data], capture_output=True, check=True).stdout
            plain = subprocess.run(["zstd", "-dcq"], input=opened, capture_output=True, check=True).stdout
            assert len(plain) == manifest["trailer"]["raw_bytes"]
            assert b"COPY public.kept" in plain
        assert hosts.globals()[0].name.endswith(".globals.sql.zst.age")

    def test_an_age_that_dies_is_no_dump(self, hosts: Hosts, keys: list[Path], server: Server, database: str) -> None:
        server.run(
            "CREATE TABLE big AS SELECT decode(string_agg(md5(i::text || j::text), ''), 'hex') AS a"
            " FROM generate_series(1, 8000) i, generate_series(1, 128) j GROUP BY i",
            database=database,
        )
        sender = hosts.start_held()
        (source,) = processes(str(hosts.folder / "source"))
        os.kill(children(source)["age"], signal.SIGKILL)
        hosts.held.unlink()
        _out, err = sender.communicate(timeout=60)
        assert sender.returncode == 1
        assert "age was ended by signal 9" in err
        hosts.nothing_left()

    def test_a_recipient_that_is_none_is_said(self, hosts: Hosts) -> None:
        hosts.configure_source(recipients=["age1one", "age1two"])
        done = hosts.send()
        assert done.returncode == 1
        assert "age failed with exit status 1" in done.stderr
        assert list(hosts.incoming.iterdir()) == []


def test_a_store_that_fails_does_not_keep_the_next_from_its_dumps(hosts: Hosts) -> None:
    command = [str(hosts.folder / "sshd")]
    hosts.configure_sender(stores=stores(hosts, broken=["/bin/false"], vault=command))

    done = hosts.send()

    assert done.returncode == 1
    hosts.dump()
    hosts.globals()
    assert [" is stored at vault: " in line for line in done.stdout.splitlines()] == [True, True]
    assert re.findall(r"no dump of (\S+) was stored at (\S+): ", done.stderr) == [
        ("globals", "broken"),
        (hosts.database, "broken"),
    ]


def test_what_failed_is_tried_again_and_only_that(hosts: Hosts, server: Server, database: str) -> None:
    """The globals arrive at the second attempt; the dump, whose turn had not come, too."""
    hosts.configure_sender(stores=stores(hosts, vault=moody(hosts, 1)), retry_delays=[1, 1])

    done = hosts.send("--json")

    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert [(result["artefact"], result["attempts"], result["ok"]) for result in results] == [
        ("globals", 2, True),
        (database, 1, True),
    ]
    assert "attempt 1 of 3 at vault failed for globals, " in done.stderr
    assert "ssh: no route to the store" in done.stderr
    hosts.dump()
    hosts.globals()


def test_each_attempt_is_a_new_dump_and_what_is_stored_is_not_sent_again(
    hosts: Hosts, server: Server, database: str
) -> None:
    holder = server.connect(database)
    hosts.configure_source(lock_wait_timeout=1)
    hosts.configure_sender(retry_delays=[1, 1, 1, 1])
    with holder.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE kept IN ACCESS EXCLUSIVE MODE; INSERT INTO kept VALUES (0)")
        sender = hosts.start("--json")
        until(lambda: hosts.waits_for_a_lock(), "the dump to wait")
        until(lambda: not hosts.waits_for_a_lock(), "the dump to give up")
        cursor.execute("COMMIT")
    holder.close()
    out, err = sender.communicate(timeout=60)

    assert sender.returncode == 0, err
    results = {result["artefact"]: result for result in json.loads(out)["results"]}
    assert results["globals"]["attempts"] == 1
    assert results[database]["attempts"] > 1
    # The row that came between the attempts is in it: its snapshot is younger.
    assert results[database]["rows"] == 1001
    hosts.globals()


def test_attempts_end(hosts: Hosts) -> None:
    hosts.configure_sender(stores=stores(hosts, vault=moody(hosts, 9)), retry_delays=[0.1, 0.1])
    done = hosts.send("--json")
    assert done.returncode == 1
    first, second = [result["attempts"] for result in json.loads(done.stdout)["results"]]
    # The next has its turn where the source was through with the first before the connection broke.
    assert (first, second <= 3) == (3, True)
    assert len(list((hosts.folder / "moods").iterdir())) == 9 - first - second


def test_who_asks_for_one_attempt_gets_one(hosts: Hosts) -> None:
    hosts.configure_sender(stores=stores(hosts, vault=moody(hosts, 1)), retry_delays=[60])
    done = hosts.send("--once")
    assert done.returncode == 1
    assert "the next is in" not in done.stderr
    assert list(hosts.incoming.iterdir()) == []


def test_one_store_or_one_dump_can_be_chosen(hosts: Hosts, database: str) -> None:
    command = [str(hosts.folder / "sshd")]
    hosts.configure_sender(stores=stores(hosts, broken=["/bin/false"], vault=command))
    done = hosts.send("--store", "vault", "--artefact", database, "--json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    data, manifest = hosts.dump()
    assert (result["store"], result["name"], result["rows"]) == ("vault", data.name, 1000)
    assert (result["trailer"], result["signature"]) == (manifest["trailer"], manifest["signature"])
    for arguments in (("--store", "other"), ("--artefact", "other")):
        done = hosts.send(*arguments)
        assert done.returncode == 1
        assert "other is no " in done.stderr


def test_an_interrupted_run_tells_what_it_has_done(hosts: Hosts, server: Server, database: str) -> None:
    with server.connect(database) as holder, holder.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE kept IN ACCESS EXCLUSIVE MODE")
        sender = hosts.start()
        until(hosts.waits_for_a_lock, "the dump to wait")
        sender.send_signal(signal.SIGTERM)
        out, err = sender.communicate(timeout=30)
    assert sender.returncode == 1
    assert ".globals.sql.zst is stored at vault" in out
    # The source is ahead: the signal may come while the store is still asked about the globals.
    why = "(it was not begun, because )?interrupted by SIGTERM\n"
    assert re.search(f"no dump of {database} was stored at vault: {why}", err)
    assert "interrupted by SIGTERM" in err
    hosts.nothing_left()
    hosts.globals()


def test_large_objects_are_left_out_where_that_is_asked_for(hosts: Hosts, server: Server, database: str) -> None:
    ((found,),) = server.run("SELECT lo_from_bytea(0, 'x')", database=database)
    hosts.configure_sender(retry_delays=[60])
    refused = hosts.send()
    assert f"large objects ({found})" in refused.stderr
    assert "the next is in" not in refused.stderr

    hosts.configure_source(leave_out_large_objects=True)
    done = hosts.send()

    assert done.returncode == 0, done.stderr
    assert "without large objects" in done.stdout
    dumps = [name for name in hosts.files() if name.endswith(".json")]
    trailer = json.loads((hosts.incoming / dumps[-1]).read_text())["trailer"]
    assert trailer["left_out"] == ["large objects"]


def test_the_rows_of_foreign_tables_are_left_out_and_named(hosts: Hosts, server: Server, database: str) -> None:
    server.run(
        "CREATE FOREIGN DATA WRAPPER nobody; CREATE SERVER far FOREIGN DATA WRAPPER nobody;"
        "CREATE FOREIGN TABLE distant (a int) SERVER far",
        database=database,
    )
    done = hosts.send()
    assert done.returncode == 0, done.stderr
    assert hosts.dump()[1]["trailer"]["left_out"] == ["rows of the foreign table public.distant"]


@pytest.fixture
def subscribed(server: Server, database: str) -> t.Iterator[None]:
    """Two subscriptions here, one of which has an odd name, and one in another database, which is none of ours."""
    made = "CREATE SUBSCRIPTION {} CONNECTION '' PUBLICATION p WITH (connect = false, slot_name = NONE)"
    there = [(database, "follower"), (database, '"Odd ""one"'), ("postgres", "elsewhere")]
    for where, name in there:
        server.run(made.format(name), database=where)
    yield
    for where, name in there:
        server.run(f"DROP SUBSCRIPTION {name}", database=where)


@pytest.mark.usefixtures("subscribed")
@pytest.mark.parametrize("superuser", [False, True])
def test_the_subscriptions_that_only_a_superuser_can_dump_are_named(
    hosts: Hosts, server: Server, superuser: bool
) -> None:
    if superuser:
        hosts.configure_source(role="postgres")

    done = hosts.send()

    assert done.returncode == 0, done.stderr
    data, manifest = hosts.dump()
    left_out = [] if superuser else ['the subscription "Odd ""one"', "the subscription follower"]
    assert manifest["trailer"]["left_out"] == left_out
    # What is named is what is not there, and nothing else.
    assert re.findall("^CREATE SUBSCRIPTION (.+) CONNECTION", text(data), re.MULTILINE) == (
        ['"Odd ""one"', "follower"] if superuser else []
    )
    assert ("without the subscription" in done.stdout) is not superuser


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (b"", "must be one line"),
        (b"hello\n", "is not JSON"),
        (b'{"artefacts":["x"],"protocol":1}\n', "speaks protocol 1"),
        (b'{"artefacts":["template1"],"protocol":3}\n', "'template1' is not among what may be dumped here"),
        (b'{"artefacts":["globals"],"protocol":3}\nmore', "must be one line"),
        (b"x" * 5000, "must be one line"),
    ],
)
def test_the_source_does_nothing_that_it_is_not_asked_for(hosts: Hosts, asked: bytes, said: str) -> None:
    done = subprocess.run([hosts.folder / "source"], input=asked, capture_output=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (1, b"")
    assert said in done.stderr.decode()


def test_a_sender_that_goes_on_talking_is_hung_up_on(hosts: Hosts) -> None:
    with subprocess.Popen([hosts.folder / "source"], stdin=-1, stdout=-1, stderr=-1) as source:
        assert source.stdin is not None
        source.stdin.write(b'{"artefacts":["globals"],"protocol":3}\n')
        source.stdin.flush()
        assert source.stdout is not None
        assert source.stdout.read(1) == b"\0"
        source.stdin.write(b"more\n")
        source.stdin.flush()
        _out, err = source.communicate(timeout=30)
    assert (source.returncode, b"wrote more than its request" in err) in {(1, True), (0, False)}


def pager(hosts: Hosts, **more: t.Any) -> Path:
    """Let somebody be told of failures: the file that then holds the event, written after a moment."""
    heard = hosts.folder / "heard"
    command = hosts.folder / "pager"
    command.write_text(
        f"#!{sys.executable} -I\nimport pathlib, sys, time\ncontent = sys.stdin.buffer.read()\n"
        f"pathlib.Path({str(hosts.folder / 'hearing')!r}).touch()\ntime.sleep(0.5)\n"
        f"pathlib.Path({str(heard)!r}).write_bytes(content)\n"
    )
    command.chmod(0o755)
    (hosts.folder / "notify.json").write_text(json.dumps({"command": [str(command)], **more}))
    return heard


def test_a_failure_is_told_to_somebody(hosts: Hosts) -> None:
    heard = pager(hosts)
    assert hosts.send().returncode == 0
    assert not heard.exists()
    hosts.configure_sender(store_command=["/bin/false"])
    assert hosts.send().returncode == 1
    event = json.loads(heard.read_bytes())
    assert (event["program"], event["ok"]) == ("dump-send", False)
    assert "no dump of globals was stored at vault" in event["lines"][0]


def test_a_signal_does_not_keep_a_failure_from_being_told(hosts: Hosts) -> None:
    heard = pager(hosts)
    hosts.configure_sender(store_command=["/bin/false"])
    sender = hosts.start()
    until((hosts.folder / "hearing").exists, "the pager to be started")
    sender.send_signal(signal.SIGTERM)
    sender.communicate(timeout=30)
    assert sender.returncode == 1
    assert json.loads(heard.read_bytes())["ok"] is False


def test_only_a_run_of_everything_tells_that_all_is_well(hosts: Hosts, database: str) -> None:
    """The ping has no file, so that it fails where it is tried."""
    (hosts.folder / "notify.json").write_text(json.dumps({"ping_file": str(hosts.folder / "absent")}))
    tried = "the ping that should tell of this failed"
    command = [str(hosts.folder / "sshd")]

    def told(*arguments: str, **commands: list[str]) -> bool:
        hosts.configure_sender(stores=stores(hosts, **commands))
        done = hosts.send(*arguments)
        assert done.returncode == 0, done.stderr
        for path in hosts.incoming.iterdir():
            path.unlink()
        return tried in done.stderr

    assert not told("--store", "vault", broken=["/bin/false"], vault=command)
    assert not told("--artefact", database, vault=command)
    assert told(vault=command)
    assert told("--once", "--store", "vault", "--artefact", database, "--artefact", "globals", vault=command)


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_streams_that_nobody_reads_change_nothing(hosts: Hosts, arguments: list[str]) -> None:
    command = [str(hosts.folder / "sshd")]
    hosts.configure_sender(stores=stores(hosts, one=command))
    with Path("/dev/full").open("w") as full:
        good = subprocess.run([hosts.folder / "sender", *arguments], stdout=full, stderr=full, check=False, timeout=60)
        hosts.dump()
        # Names have seconds, and none is taken twice.
        second = int(time.time())
        until(lambda: int(time.time()) > second, "the next second")
        heard = pager(hosts)
        hosts.configure_sender(stores=stores(hosts, broken=["/bin/false"], one=command))
        bad = subprocess.run([hosts.folder / "sender", *arguments], stdout=full, stderr=full, check=False, timeout=60)
    assert (good.returncode, bad.returncode) == (0, 1)
    assert json.loads(heard.read_bytes())["ok"] is False
    assert len(hosts.files()) == 4


def test_what_pg_dump_warns_of_is_shown_although_the_dump_is_whole(hosts: Hosts, server: Server) -> None:
    programs, real = hosts.folder / "bin", server.cluster.bindir
    programs.mkdir()
    (programs / "pg_dumpall").symlink_to(real / "pg_dumpall")
    (programs / "pg_dump").write_text(
        f"#!{sys.executable} -I\nimport os, sys\nif '--version' not in sys.argv:\n"
        "    sys.stderr.write('pg_dump: warning: subscriptions\\nnot dumped\\n')\n"
        f"os.execv({str(real / 'pg_dump')!r}, ['pg_dump', *sys.argv[1:]])\n"
    )
    (programs / "pg_dump").chmod(0o755)
    hosts.configure_source(bindir=str(programs))

    done = hosts.send()

    assert done.returncode == 0, done.stderr
    assert "warning: pg_dump: pg_dump: warning: subscriptions not dumped\n" in done.stderr
    hosts.dump()
