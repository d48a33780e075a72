"""What goes wrong on a dump's way: nothing is published, exit status and reason say so, nothing stays behind."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import struct
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import (
    ROLE,
    Hosts,
    children,
    processes,
    until,
)

BIG = "dumps_big"


@pytest.fixture(scope="module")
def big(server: Server) -> t.Iterator[str]:
    """A database whose dump, of bytes that can't be compressed, is larger than all that the pipes hold."""
    server.run(f"CREATE DATABASE {BIG}")
    server.run(
        "CREATE TABLE big (a bytea);"
        "INSERT INTO big SELECT decode(string_agg(md5(i::text || j::text), ''), 'hex')"
        " FROM generate_series(1, 20000) i, generate_series(1, 128) j GROUP BY i",
        database=BIG,
    )
    yield BIG
    server.run(f"DROP DATABASE {BIG} WITH (FORCE)")


@pytest.fixture
def hosts(tmp_path: Path, server: Server, big: str) -> Hosts:
    return Hosts(tmp_path, server, big)


def finish(hosts: Hosts, sender: subprocess.Popen[str]) -> str:
    """Let the held stream flow again; what the sender says of its failure."""
    hosts.held.unlink(missing_ok=True)
    out, err = sender.communicate(timeout=60)
    assert sender.returncode == 1, (out, err)
    assert stored(out) == []
    hosts.nothing_left()
    return err


def fails(hosts: Hosts, *arguments: str) -> str:
    """Run a sender that must fail; what it says."""
    done = hosts.send(*arguments)
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert stored(done.stdout) == []
    hosts.nothing_left()
    return done.stderr


def stored(said: str) -> list[str]:
    """The dumps that the sender says are stored, the globals apart: they may have been in time."""
    return [line for line in said.splitlines() if ".globals." not in line]


def source_of(hosts: Hosts) -> int:
    (found,) = processes(str(hosts.folder / "source"))
    return found


def test_without_a_fault_the_held_dump_arrives(hosts: Hosts) -> None:
    sender = hosts.start_held()
    # Stuck as it is, pg_dump can't have ended: the faults below do strike in the middle.
    assert hosts.pg_dumps()
    hosts.held.unlink()
    out, err = sender.communicate(timeout=60)
    assert sender.returncode == 0, err
    assert "20000 rows of 1 tables" in out
    hosts.dump()


@pytest.mark.parametrize(
    ("program", "said"),
    [("pg_dump", "pg_dump was ended by signal 9"), ("zstd", "zstd was ended by signal 9")],
)
def test_a_killed_program_is_no_dump(hosts: Hosts, program: str, said: str) -> None:
    sender = hosts.start_held()
    os.kill(children(source_of(hosts))[program], signal.SIGKILL)
    assert said in finish(hosts, sender)
    assert hosts.files() == []


def test_a_terminated_backend_is_no_dump(hosts: Hosts, server: Server) -> None:
    sender = hosts.start_held()
    killed = server.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND query LIKE 'COPY%%'",
        values=[BIG],
    )
    assert killed == [(True,)]
    said = finish(hosts, sender)
    assert "pg_dump failed with exit status 1" in said
    assert "COPY public.big" in said
    assert hosts.files() == []


def test_a_terminated_snapshot_is_a_whole_dump_or_none(hosts: Hosts, server: Server) -> None:
    sender = hosts.start_held()
    killed = server.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = %s AND application_name = 'taaraxtak dump' AND query NOT LIKE 'COPY%%'",
        values=[BIG],
    )
    assert killed == [(True,)]
    hosts.held.unlink()
    sender.communicate(timeout=60)
    # The counts may have been complete already; then the dump is whole, else there is none.
    assert (sender.returncode, len(hosts.files())) in {(0, 2), (1, 0)}


def test_a_killed_source_is_no_dump(hosts: Hosts) -> None:
    sender = hosts.start_held()
    os.kill(source_of(hosts), signal.SIGKILL)
    assert "the source ended before its stream did (exit status -9)" in finish(hosts, sender)
    assert hosts.files() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_killed_sender_leaves_nothing_running(hosts: Hosts, number: signal.Signals) -> None:
    sender = hosts.start_held()
    sender.send_signal(number)
    # Still held: everything ends without the stream going on.
    sender.communicate(timeout=30)
    assert sender.returncode != 0
    hosts.nothing_left()
    assert hosts.files() == []


def test_a_killed_store_is_no_dump(hosts: Hosts) -> None:
    sender = hosts.start_held()
    (store,) = processes(f"{hosts.folder}/store ssh")
    os.kill(store, signal.SIGKILL)
    assert "the connection to the store broke" in finish(hosts, sender)
    assert [name.endswith(".partial") for name in hosts.files()] == [True]


def test_a_stalled_store_ends_the_dump_in_time(hosts: Hosts) -> None:
    # A busy machine may need a second for the globals, which come first.
    hosts.wire("store", "hold", 200_000, idle_timeout=4)
    said = fails(hosts)
    assert "nothing moved for 4 s, while writing to the store" in said


def test_the_whole_has_a_limit(hosts: Hosts) -> None:
    hosts.wire("store", "hold", 200_000, overall_timeout=2)
    assert "the whole took longer than 2 s" in fails(hosts)


def test_the_source_alone_has_a_limit_too(hosts: Hosts) -> None:
    hosts.configure_source(overall_timeout=4)
    sender = hosts.start_held()
    until(lambda: not hosts.pg_dumps(), "the dump to be ended")
    assert "the dump took longer than 4 s" in finish(hosts, sender)


@pytest.mark.parametrize("side", ["source", "store"])
def test_a_flipped_bit_is_no_dump(hosts: Hosts, side: str) -> None:
    hosts.wire(side, "flip", 5_000_000)
    said = fails(hosts)
    assert ("what arrived from the source" if side == "source" else "what arrived (") in said
    assert hosts.files() == []


@pytest.mark.parametrize("side", ["source", "store"])
@pytest.mark.parametrize("place", [10, 150_000])
def test_a_stream_cut_short_is_no_dump(hosts: Hosts, side: str, place: int) -> None:
    hosts.wire(side, "cut", place)
    said = fails(hosts)
    assert ("the source ended before its stream did" if side == "source" else "ended before its ") in said
    assert hosts.files() == []


def test_a_lost_answer_is_settled_by_asking(hosts: Hosts) -> None:
    hosts.wire("store", "swallow-answer")
    done = hosts.send()
    assert done.returncode == 0, done.stderr
    hosts.dump()


def test_a_lost_end_is_settled_as_a_failure(hosts: Hosts) -> None:
    hosts.wire("store", "swallow-end", 30_000_000)
    said = fails(hosts)
    assert "the stream ended before its " in said


def test_a_lost_end_without_an_answer_is_a_failure(hosts: Hosts) -> None:
    silent = hosts.folder / "silent"
    silent.write_text(
        f"#!{sys.executable} -I\nimport os, sys\n"
        f"if sys.argv[1] == 'stat':\n    os.execv('{hosts.folder}/sshd', sys.argv)\n"
        "while os.read(0, 1 << 20):\n    pass\n"
    )
    silent.chmod(0o755)
    hosts.configure_sender(store_command=[str(silent)])
    said = fails(hosts, "--artefact", BIG)
    assert f"no dump of {BIG} was stored at vault: the store's answer was lost" in said
    assert "there is no dump" in said


# Takes everything, does what is in {then}, and gives no answer; asked for the dump, it fails.
DEAF = """#!{python} -I
import os, pathlib, sys, time
if sys.argv[1] == "stat":
    {stat}
while os.read(0, 1 << 20):
    pass
{then}
"""


def deaf_store(hosts: Hosts, *, stat: str, then: str) -> None:
    path = hosts.folder / "deaf"
    path.write_text(DEAF.format(python=sys.executable, stat=stat, then=then))
    path.chmod(0o755)
    hosts.configure_sender(store_command=[str(path)])


@pytest.mark.parametrize(
    "stat",
    [
        "sys.exit(255)",
        """print('{"ok": false, "reason": "the store\\'s settings could not be read"}'); sys.exit(1)""",
    ],
)
def test_what_is_not_known_is_not_called_a_failure(hosts: Hosts, stat: str) -> None:
    deaf_store(hosts, stat=stat, then="")
    said = fails(hosts)
    # The globals go first; what comes after them may or may not have been begun by then.
    assert "no dump of globals" not in said
    assert re.search(
        rf"whether {BIG}_\S+\.globals\.sql\.zst is stored is not known: ask vault with dump-store list", said
    )


def test_a_sender_that_is_interrupted_before_the_answer_does_not_know(hosts: Hosts) -> None:
    deaf_store(hosts, stat="sys.exit(255)", then=f"pathlib.Path({str(hosts.held)!r}).touch(); time.sleep(60)")
    sender = hosts.start()
    until(hosts.held.exists, "the store to have everything")
    sender.send_signal(signal.SIGTERM)
    said = finish(hosts, sender)
    assert "is stored is not known: ask vault with dump-store list" in said
    assert "interrupted by SIGTERM" in said


def test_a_missing_database_is_said(hosts: Hosts, server: Server) -> None:
    hosts.configure_source(databases=["nowhere"])
    hosts.configure_sender(databases=["nowhere"])
    assert 'database "nowhere" does not exist' in fails(hosts)


def test_a_database_that_the_source_was_not_told_of_is_refused(hosts: Hosts) -> None:
    hosts.configure_sender(databases=["postgres"])
    assert f"'postgres' is not among what may be dumped here: {BIG}" in fails(hosts)


def test_a_table_that_the_role_may_not_read_is_no_dump(hosts: Hosts, server: Server) -> None:
    hosts.configure_source(role="nobody_reads")
    server.run("CREATE ROLE nobody_reads LOGIN")
    try:
        assert "permission denied" in fails(hosts)
    finally:
        server.run("DROP ROLE nobody_reads")


def test_rows_hidden_by_row_security_are_no_dump(hosts: Hosts, server: Server) -> None:
    server.run("CREATE ROLE no_bypass LOGIN; GRANT pg_read_all_data TO no_bypass")
    server.run("CREATE TABLE hidden (a int); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY", database=BIG)
    hosts.configure_source(role="no_bypass")
    try:
        assert "row-level security" in fails(hosts)
    finally:
        server.run("DROP TABLE hidden", database=BIG)
        server.run("DROP ROLE no_bypass")


def test_large_objects_are_refused_by_name(hosts: Hosts, server: Server) -> None:
    ((found,),) = server.run("SELECT lo_from_bytea(0, 'x')", database=BIG)
    try:
        assert f"large objects ({found})" in fails(hosts)
    finally:
        server.run("SELECT lo_unlink(%s)", values=[found], database=BIG)


def test_a_lock_that_does_not_go_away_is_no_dump(hosts: Hosts, server: Server) -> None:
    hosts.configure_source(lock_wait_timeout=1)
    holder = server.connect(BIG)
    try:
        with holder.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE big IN ACCESS EXCLUSIVE MODE")
        assert "lock timeout" in fails(hosts)
    finally:
        holder.close()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("bindir", "/nowhere", "No such file"),
        ("zstd", "/nowhere/zstd", "No such file"),
        ("socket", "/nowhere", "could not connect"),
        ("databases", ["../etc"], "can't be part of a file name"),
        ("databases", ["globals"], "none may be called globals"),
        ("recipients", ["age1only"], "recipients must hold 2 different keys"),
        ("recipients", ["ssh-rsa AA== a", "ssh-rsa AA== b"], "recipients must hold 2 different keys"),
        ("signing_key", "/nowhere", "the signing key could not be read"),
        ("ssh_keygen", "/nowhere", "ssh-keygen could not be started"),
        ("colour", "red", "a key that is not known: colour"),
        ("level", 99, "level must be 1 to 19"),
    ],
)
def test_wrong_settings_of_the_source_are_said(hosts: Hosts, key: str, value: t.Any, said: str) -> None:
    hosts.configure_source(**{key: value})
    assert said in fails(hosts)


def test_a_source_that_can_not_be_started_is_said(hosts: Hosts) -> None:
    hosts.configure_sender(source_command=["/nowhere"])
    assert "the source could not be started" in fails(hosts)


def test_two_runs_at_once_are_one_run_and_one_failure(hosts: Hosts) -> None:
    first = hosts.start_held()
    second = hosts.send()
    hosts.held.unlink()
    _out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert second.returncode == 1
    assert f"another dump is under way (process {first.pid})" in second.stderr
    hosts.dump()


def test_the_source_takes_no_arguments(hosts: Hosts) -> None:
    done = subprocess.run([hosts.folder / "source", "other"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "takes no arguments" in done.stderr


def test_nothing_on_production_is_open_for_writing_but_pipes_and_the_lock(hosts: Hosts) -> None:
    sender = hosts.start_held()
    source = source_of(hosts)
    opened = []
    for process in (sender.pid, source, *children(source).values()):
        for number in os.listdir(f"/proc/{process}/fd"):  # noqa: PTH208 (what is open, not files)
            target = str(Path(f"/proc/{process}/fd/{number}").readlink())
            flags = int(Path(f"/proc/{process}/fdinfo/{number}").read_text().split("flags:")[1].split()[0], 8)
            if flags & (os.O_WRONLY | os.O_RDWR):
                opened.append(target)
    hosts.held.unlink()
    _out, err = sender.communicate(timeout=60)
    assert sender.returncode == 0, err
    memory = ("pipe:", "socket:", "/dev/null", "/memfd:", "anon_inode:")
    assert [target for target in opened if not target.startswith(memory)] == [str(hosts.folder / "lock")]
    assert len(opened) > 5


# Stands in for pg_dump and falsifies what it says, as a fault in it or in the scan would.
FALSE_PG_DUMP = """#!{python} -I
import subprocess, sys
done = subprocess.run(["{real}", *sys.argv[1:]], stdout=subprocess.PIPE, check=True)
text = done.stdout
if "--version" not in sys.argv:
    {change}
sys.stdout.buffer.write(text)
"""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("text = text.replace(b'\\nrow 7\\n', b'\\n', 1)", "public.few has 9 rows in the snapshot but 8 were streamed"),
        ("text = text.replace(b'\\nrow 7\\n', b'\\nrow 7\\nrow 7\\n')", "9 rows in the snapshot but 10 were streamed"),
        ("text = text.replace(b'public.few', b'public.new')", "public.new was streamed (9 rows) but not counted"),
        ("text = text[: text.index(b'row 7')]", "the dump ends within the rows of public.few"),
        ("text = text[: text.index(b'-- PostgreSQL database dump complete')]", "lacks its last line"),
        ("text = b''", "lacks its last line"),
        ("text += b'DROP TABLE few;'", "ends within a line"),
        ("text += b'SELECT 1;\\n'", "goes on after"),
    ],
)
def test_a_dump_that_is_not_what_was_counted_is_no_dump(
    hosts: Hosts, server: Server, database: str, change: str, said: str
) -> None:
    server.run("CREATE TABLE few AS SELECT 'row ' || i AS t FROM generate_series(1, 9) i", database=database)
    programs = hosts.folder / "bin"
    programs.mkdir()
    real = server.cluster.bindir / "pg_dump"
    (programs / "pg_dump").write_text(FALSE_PG_DUMP.format(python=sys.executable, real=real, change=change))
    (programs / "pg_dump").chmod(0o755)
    (programs / "pg_dumpall").symlink_to(real.with_name("pg_dumpall"))
    hosts.configure_source(databases=[database], bindir=str(programs))
    hosts.configure_sender(databases=[database])
    assert said in fails(hosts)
    assert hosts.files() == []


def test_a_full_store_refuses_before_it_writes(hosts: Hosts) -> None:
    hosts.configure_store(reserve_bytes=1 << 60)
    said = fails(hosts)
    assert "the store is full" in said
    assert hosts.files() == []


def test_a_dump_over_the_limit_is_refused(hosts: Hosts) -> None:
    hosts.configure_store(max_bytes=1_000_000)
    assert "larger than the 1000000 bytes" in fails(hosts)
    assert hosts.files() == []


def test_a_missing_folder_is_said(hosts: Hosts) -> None:
    hosts.configure_store(incoming="/nowhere")
    done = hosts.send()
    assert done.returncode == 1
    assert "the folder of the store could not be opened" in done.stderr


def test_a_source_whose_clock_differs_is_refused(hosts: Hosts) -> None:
    late = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10)
    header = {
        "protocol": 3,
        "kind": "dump",
        "encrypted": False,
        "name": f"{BIG}_{late:%Y-%m-%d-%H.%M.%S}.sql.zst",
        "database": BIG,
        "started": f"{late:%Y-%m-%dT%H:%M:%SZ}",
    }
    content = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    (hosts.folder / "header").write_bytes(struct.pack(">I", len(content)) + content + b"\0\0\0\0")
    # Speaks, and then only listens.
    late_source = (
        "import pathlib, sys; sys.stdout.buffer.write(pathlib.Path(sys.argv[1]).read_bytes()); "
        "sys.stdout.flush(); sys.stdin.read()"
    )
    hosts.configure_sender(source_command=[sys.executable, "-I", "-c", late_source, str(hosts.folder / "header")])
    assert "but it is 20" in fails(hosts, "--artefact", BIG)


def test_the_role_of_the_source_can_only_read(hosts: Hosts, server: Server) -> None:
    assert server.run("SELECT rolsuper FROM pg_roles WHERE rolname = %s", values=[ROLE]) == [(False,)]
