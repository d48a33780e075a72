"""Dumps: made by cron's own line, whole or not there at all, by users who can do one thing each."""

from __future__ import annotations

import json
import re
import shlex

import pytest

CRON = "/etc/cron.d/taaraxtak-backup"
INCOMING = "/var/lib/taaraxtak-dumps/incoming"
ARCHIVE = "/var/lib/taaraxtak-dumps/archive"
AS_SENDER = "runuser -u pgbackup -- "


def cron_line(production) -> str:
    """The command of the one job in the cron file."""
    text = production.file(CRON).content_string
    jobs = re.findall(r"^(?:[0-9A-Za-z*,/-]+ +){5}(\S+) +(.*)$", text, re.MULTILINE)
    assert [user for user, _ in jobs] == ["pgbackup"]
    return jobs[0][1]


def held(store, kind: str = "dump") -> list[dict]:
    """What the store says that it holds."""
    return [row for row in json.loads(store.run("dump-store list --json").stdout) if row["kind"] == kind]


def dumps(store) -> list[dict]:
    """The dumps of databases that it holds, oldest first."""
    return held(store)


def files(store) -> set[str]:
    """All that lies in the folders, partials included, but the globals: they may arrive where a dump fails."""
    names = store.file(INCOMING).listdir() + store.file(ARCHIVE).listdir()
    return {name for name in names if ".globals." not in name and not name.startswith("planted_")}


def archived(store, until, name: str) -> str:
    """The path of a dump, once it is where the receiving account can't change it."""
    path = f"{ARCHIVE}/{name}"
    until(
        lambda: store.file(f"{path}.manifest.json").exists,
        seconds=30, what=f"{name} is not archived", host=store, unit="taaraxtak-dumps-archive",
    )  # fmt: skip
    return path


def send(production):
    """Run the line of the cron file as cron does; its journal tells the rest."""
    line = cron_line(production)
    return production.run(AS_SENDER + "env -i PATH=/usr/bin:/bin /bin/sh -c %s", line)


def nothing_is_left(production) -> bool:
    """Whether no process and no session of a dump is there any more."""
    processes = production.run("pgrep -u pgbackup,pgdumper").stdout + production.run("pgrep -x sudo").stdout
    sessions = production.check_output(
        "runuser -u postgres -- psql -XAt -c \"SELECT count(*) FROM pg_stat_activity WHERE usename = 'dumper'\""
    )
    return processes == "" and sessions == "0"


def test_the_line_of_the_cron_file_makes_a_whole_dump(production, store, postgres, until):
    before, roles = {dump["name"] for dump in dumps(store)}, len(held(store, "globals"))
    done = send(production)
    assert done.rc == 0, production.run("journalctl --no-pager -n 20 -t dump-send").stdout
    new = [dump for dump in dumps(store) if dump["name"] not in before]
    assert len(new) == 1
    # Another test may have made one more a moment ago.
    assert set(new[0]["tables"]) >= {
        "public.provider_marketshare",
        "public.pop_weighted_gini",
        "public.ip_hostname_mapping",
        "public.ooni_web_connectivity_test",
    }
    live = int(postgres.commit("SELECT count(*) FROM public.ooni_web_connectivity_test").stdout)
    assert 0 < new[0]["tables"]["public.ooni_web_connectivity_test"] <= live
    store.check_output("zstd --test --quiet %s", archived(store, until, new[0]["name"]))
    assert len(held(store, "globals")) == roles + 1
    assert nothing_is_left(production)


def test_the_globals_are_the_roles_without_their_passwords(store, until):
    newest = held(store, "globals")[-1]
    text = store.check_output("zstd --decompress --stdout %s", archived(store, until, newest["name"]))
    assert "CREATE ROLE dumper;" in text
    assert "-- PostgreSQL database cluster dump complete" in text
    assert "PASSWORD" not in text


def test_the_dump_is_sql_that_holds_its_rows(store, until):
    newest = dumps(store)[-1]
    text = store.check_output("zstd --decompress --stdout %s", archived(store, until, newest["name"]))
    assert "-- PostgreSQL database dump complete" in text
    for table, rows in newest["tables"].items():
        block = re.search(rf"^COPY {re.escape(table)} .*? FROM stdin;\n(.*?)^\\\.$", text, re.MULTILINE | re.DOTALL)
        assert block is not None
        assert block.group(1).count("\n") == rows


def test_cron_really_fires(production, store, until):
    """A copy of the file whose only difference is the time: cron itself must run the line."""
    before = len(dumps(store))
    text = production.file(CRON).content_string
    every_minute = re.sub(r"^(?:[0-9A-Za-z*,/-]+ +){5}(?=pgbackup )", "* * * * * ", text, flags=re.MULTILINE)
    assert every_minute != text
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    production.check_output("python3 -c %s /etc/cron.d/planted-minute %s", write, every_minute)
    try:
        until(lambda: len(dumps(store)) > before, seconds=100, what="cron made no dump", host=production, unit="cron")
    finally:
        production.check_output("rm /etc/cron.d/planted-minute")
    until(lambda: nothing_is_left(production), seconds=20, what="a dump hangs", host=production, unit="cron")


# The victim must live long enough to be found: it waits for a lock on a table, which goes when its psql is ended.
LOCKED = (
    "SET client_connection_check_interval = '100ms'; BEGIN; "
    "LOCK TABLE public.pop_weighted_gini IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(30)"
)
LOCK = ["runuser", "-u", "postgres", "--", "psql", "-Xq", "-o", "/dev/null", "-d", "taaraxtak", "-c", LOCKED]


# Looks through /proc itself: starting pgrep takes longer than a small pg_dump lives.
KILL_ON_SIGHT = """
import os, signal, subprocess, sys, time
begins, lock = sys.argv[1].encode(), sys.argv[2:]
lock = subprocess.Popen(lock) if lock else None
time.sleep(1 if lock else 0)
sender = subprocess.Popen(["runuser", "-u", "pgbackup", "--", "/usr/local/bin/dump-send", "--once"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
killed, end = [], time.monotonic() + 20
while not killed and time.monotonic() < end:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/" + pid + "/cmdline", "rb") as file:
                command = file.read().replace(bytes(1), b" ")
            if command.startswith(begins):
                os.kill(int(pid), signal.SIGKILL)
                killed.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
if lock:
    lock.terminate()
    lock.wait()
said, _ = sender.communicate(timeout=60)
if not killed:
    sys.exit("the victim was not seen: " + said)
print(sender.returncode, said)
"""


@pytest.mark.parametrize(
    ("victim", "command", "locked"),
    [
        # The source waits for its locks before it starts pg_dump.
        ("pg_dump", "/usr/lib/postgresql/", False),
        ("source", "/usr/bin/python3 -I /usr/local/sbin/dump-source", True),
        ("sudo", "/usr/bin/sudo -n -u pgdumper", True),
        ("sender", "/usr/bin/python3 -I /usr/local/bin/dump-send", True),
        ("ssh", "/usr/bin/ssh -F", True),
    ],
)
def test_a_killed_part_publishes_nothing(production, store, until, victim, command, locked):
    before, known = files(store), [dump["name"] for dump in dumps(store)]
    if victim == "pg_dump":
        version = production.check_output("ls /usr/lib/postgresql")
        command = f"{command}{version}/bin/pg_dump --format=plain"
    lock = " ".join(shlex.quote(word) for word in LOCK) if locked else ""
    done = production.run(f"python3 -c %s %s {lock.replace('%', '%%')}", KILL_ON_SIGHT, command)
    assert done.rc == 0, done.stderr
    status, said = done.stdout.split(" ", 1)
    if victim == "sender":
        assert status != "0"  # it was killed, and could not say anything more
    else:
        assert status == "1", done.stdout
        assert "no dump of taaraxtak was stored at store" in said
    # The store learns of a sender that is gone when its connection ends.
    until(lambda: files(store) == before, seconds=30, what="a partial is left", host=store, unit="ssh")
    assert [dump["name"] for dump in dumps(store)] == known
    until(lambda: nothing_is_left(production), seconds=30, what="a part is left", host=production, unit="cron")


def test_two_runs_at_once_are_refused_loudly(production):
    script = f"""
import subprocess, time
lock = subprocess.Popen({LOCK!r})
time.sleep(1)
command = ["runuser", "-u", "pgbackup", "--", "/usr/local/bin/dump-send"]
first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
time.sleep(1)
second = subprocess.run(command, capture_output=True, text=True)
lock.terminate()
print(second.returncode, second.stderr, first.wait(), lock.wait())
"""
    said = production.check_output("python3 -c %s", script)
    assert said.startswith("1 ")
    assert "another dump is under way" in said


def test_the_sender_has_exactly_one_sudo_rule(production):
    listed = production.check_output("sudo -l -U pgbackup")
    assert re.findall(r"^\s+\((.*)\) (.*)$", listed, re.MULTILINE) == [
        ("pgdumper", 'NOPASSWD: /usr/local/sbin/dump-source ""')
    ]


@pytest.mark.parametrize(
    "command",
    [
        "sudo -n id",
        "sudo -n -u pgdumper id",
        "sudo -n -u postgres /usr/local/sbin/dump-source",
        "sudo -n /usr/local/sbin/dump-source",
        "sudo -n -u pgdumper /usr/local/sbin/dump-source --config=/tmp/x",
        "sudo -n -u pgdumper PYTHONPATH=/tmp /usr/local/sbin/dump-source",
        "sudo -n -E -u pgdumper /usr/local/sbin/dump-source",
        "sudo -n -u pgdumper -D /tmp /usr/local/sbin/dump-source",
        "psql -X -U dumper -d taaraxtak -c 'SELECT 1'",
        "cat /etc/shadow",
    ],
)
def test_the_sender_can_do_nothing_else(production, command):
    done = production.run(AS_SENDER + command + " </dev/null")
    assert done.rc != 0, done.stdout
    assert done.stdout == ""


def test_what_the_source_is_told_belongs_to_root(production):
    for path in ("/usr/local/sbin/dump-source", "/usr/local/bin/dump-send", "/usr/local/lib/taaraxtak",
                 "/usr/local/lib/taaraxtak/dumps", "/usr/local/lib/taaraxtak/dumps/source.py",
                 "/etc/taaraxtak", "/etc/taaraxtak/dump-source.json", "/etc/taaraxtak/dump-send.json",
                 "/etc/taaraxtak/known_hosts", CRON, "/etc/sudoers.d/taaraxtak-backup"):  # fmt: skip
        file = production.file(path)
        assert file.user == "root", path
        assert file.mode & 0o022 == 0, path


def test_the_key_is_for_the_sender_alone(production):
    key = production.file("/etc/taaraxtak/store_keys/store")
    # Root's, so that whoever may read it can't put another in its place.
    assert (key.user, key.group, key.mode) == ("root", "pgbackup", 0o440)
    for account in ("collector", "grafana", "pgdumper", "alice"):
        assert production.run("runuser -u %s -- cat /etc/taaraxtak/store_keys/store", account).rc != 0


def test_the_signing_key_is_for_the_dumper_alone(production):
    key = production.file("/etc/taaraxtak/dump_signing_key")
    assert (key.user, key.group, key.mode) == ("root", "pgdumper", 0o440)
    for account in ("collector", "grafana", "pgbackup", "alice"):
        assert production.run("runuser -u %s -- cat /etc/taaraxtak/dump_signing_key", account).rc != 0


def ssh(production, command: str, *options: str):
    """ssh with the sender's own key and options, but another *command*."""
    config = json.loads(production.file("/etc/taaraxtak/dump-send.json").content_string)
    *given, target = config["stores"][0]["command"]
    words = [*given, *options, target, *command.split()]
    quoted = " ".join(map(shlex.quote, words))
    return production.run(AS_SENDER + quoted + " </dev/null")


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf .",
        "cat /etc/passwd",
        "sh",
        "scp -t /tmp/x",
        "receive; id",
        "stat ../../../etc/passwd",
        "list",
        "ssh",
        "",
    ],
)
def test_the_key_opens_two_verbs_and_nothing_else(production, store, command):
    before = files(store)
    done = ssh(production, command)
    assert done.rc == 1, done.stdout
    answer = json.loads(done.stdout)
    assert answer["ok"] is False
    assert files(store) == before


def test_the_key_asks_whether_a_dump_is_there(production, store):
    newest = dumps(store)[-1]
    answer = json.loads(ssh(production, f"stat {newest['name']}").stdout)
    assert (answer["ok"], answer["bytes"], answer["sha256"]) == (True, newest["bytes"], newest["sha256"])


def test_the_key_forwards_nothing(production):
    done = ssh(production, "stat x", "-oExitOnForwardFailure=yes", "-R", "127.0.0.1:39999:127.0.0.1:22")
    assert done.rc == 255
    assert "forwarding failed" in done.stderr


def test_a_changed_host_key_is_not_trusted(production, store):
    """Another host under the store's name: nothing is sent to it, and the reason is said."""
    known = production.file("/etc/taaraxtak/known_hosts").content_string
    production.check_output("ssh-keygen -q -t ed25519 -N '' -f /tmp/planted-host")
    other = known.split()[0] + " " + " ".join(production.file("/tmp/planted-host.pub").content_string.split()[:2])
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    before = files(store)
    production.check_output("python3 -c %s /etc/taaraxtak/known_hosts %s", write, other + "\n")
    try:
        done = production.run(AS_SENDER + "/usr/local/bin/dump-send --once")
    finally:
        production.check_output("python3 -c %s /etc/taaraxtak/known_hosts %s", write, known)
        production.check_output("rm /tmp/planted-host /tmp/planted-host.pub")
    assert done.rc == 1
    assert "Host key verification failed" in done.stderr
    assert files(store) == before


def test_a_dump_once_published_keeps_its_name(store, until):
    newest = dumps(store)[-1]
    file = store.file(archived(store, until, newest["name"]))
    assert file.mode == 0o440
    assert file.user == "dumps-archive"


def test_the_account_of_the_dumps_has_no_password(store):
    assert store.check_output("getent shadow dumps").split(":")[1][:1] in "!*"
    folder = store.file(INCOMING)
    assert (folder.user, folder.group, folder.mode) == ("dumps", "dumps-archive", 0o2770)
