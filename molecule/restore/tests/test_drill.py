"""The drill on the store: a real dump is verified by a restore, and what a dump runs finds nothing and nobody."""

from __future__ import annotations

import json
import time

import pytest

FOLDER = "/var/lib/taaraxtak-dumps"
ARCHIVE = f"{FOLDER}/archive"
SOCKET = "/run/taaraxtak-drill/socket"
UNIT = "taaraxtak-dumps-drill.service"
END = "--\n-- PostgreSQL database dump complete\n--\n"

# Where the scenario's variables say that age's key is.
IDENTITY = "/etc/taaraxtak/drill-identity"
TABLE = "CREATE TABLE public.t (x integer);\n\nALTER TABLE public.t OWNER TO postgres;\n\n"
ROWS = "COPY public.t (x) FROM stdin;\n1\n2\n\\.\n\n"

# Makes a dump by hand, on production, of the text that it is given, encrypted where there are recipients, signed by the
# key that is there, and gives it to the store.
OFFER = """
import hashlib, json, os, subprocess, sys
sys.path.insert(0, "/usr/local/lib/taaraxtak")
sys.dont_write_bytecode = True
from dumps.frames import section
from dumps.manifest import Header, Trailer, encode
from dumps.names import DumpName, utc_text
from dumps.scan import scan
name, text = DumpName.parse(sys.argv[1]), sys.argv[2].encode()
data = subprocess.run(["zstd", "-q", "-c"], input=text, capture_output=True, check=True).stdout
for recipient in sys.argv[3:]:
    command = ["age", "--encrypt", "--recipient=" + recipient]
    data = subprocess.run(command, input=data, capture_output=True, check=True).stdout
scanned, now = scan([text]), utc_text(name.started)
with open("/etc/taaraxtak/dump-source.json") as file:
    major = json.load(file)["bindir"].split("/")[-2]
trailer = Trailer(name=name, started=now, finished=now, statuses={"zstd": 0}, bytes=len(data),
    sha256=hashlib.sha256(data).hexdigest(), raw_bytes=scanned.raw_bytes, tables=scanned.tables,
    sequences=scanned.sequences, via_root=(), versions={"server": major + ".0"},
    settings={"encoding": "UTF8", "collate": "C.UTF-8", "ctype": "C.UTF-8"}, extensions={}, ddl=scanned.ddl)
# root's own ssh-keygen takes no key of root's that others may read too.
key = "/run/planted-signer"
subprocess.run(["install", "-m", "0600", "/etc/taaraxtak/dump_signing_key", key], check=True)
signature = subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", "taaraxtak-dump", "-f", key], input=trailer.signed,
    capture_output=True, check=True).stdout
os.unlink(key)
with open("/etc/taaraxtak/dump-send.json") as file:
    command = json.load(file)["stores"][0]["command"]
stream = section(encode(Header(name=name, started=now).document())) + section(data) + section(trailer.signed)
done = subprocess.run(["runuser", "-u", "pgbackup", "--", *command, "receive"], capture_output=True,
    input=stream + section(signature))
print(done.stdout.decode().strip() or done.stderr.decode())
"""

# What a dump has the server run; each line it writes is an answer to a question.
LOOK = """
echo archive=$(ls /var/lib/taaraxtak-dumps /var/lib/taaraxtak-dumps/archive 2>/dev/null | wc -l)
echo keys=$(ls /etc/taaraxtak /etc/ssh 2>/dev/null | wc -l)
echo run=$(find /run ! -type d 2>/dev/null)
echo devices=$(tail -n +3 /proc/net/dev | grep -vc lo:)
echo written=$(for each in / /etc /usr /var /var/lib /home /opt /srv; do
  touch $each/seen 2>/dev/null && echo $each; done)
echo processes=$(for each in /proc/[0-9]*; do stat -c %U $each; done | sort -u | grep -vc dumps-drill)
echo groups=$(id -Gn)
echo network=$(python3 -c 'import socket; socket.create_connection(("127.0.0.1", 22), 2)' 2>&1 |
  tail -n 1 | cut -d : -f 1)
echo socket=$(python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect("/run/taaraxtak-drill/socket")' 2>&1 |
  tail -n 1 | cut -d : -f 1)
echo root=$(sudo -n id 2>/dev/null; su -c id 2>/dev/null </dev/null)
"""
FOUND_NOTHING = {
    "archive": "0",
    "keys": "0",
    "run": "",
    "devices": "0",
    "written": "",
    "processes": "0",
    "groups": "dumps-drill",
    "network": "OSError",
    "socket": "FileNotFoundError",
    "root": "",
}


@pytest.fixture(scope="module")
def dump(store) -> str:
    """The newest dump of the host's own database."""
    rows = json.loads(store.run("dump-store list --json").stdout)
    return [row["name"] for row in rows if row["kind"] == "dump" and row["archived"] and "planted" not in row["name"]][
        -1
    ]


@pytest.fixture
def plant(production, store):
    """A function that brings a dump of a given text, signed as a real one, into the archive; it gives the name."""

    def bring(text: str, recipient: str = "") -> str:
        name = f"planted_{time.strftime('%Y-%m-%d-%H.%M.%S', time.gmtime())}.sql.zst{'.age' if recipient else ''}"
        answer = json.loads(
            production.check_output(
                "python3 -I -c %s %s %s" + " %s" * bool(recipient), OFFER, name, text, *filter(None, [recipient])
            )
        )
        assert answer["ok"], answer
        end = time.monotonic() + 30
        while not store.file(f"{ARCHIVE}/{name}.manifest.json").exists:
            assert time.monotonic() < end, store.run("journalctl --no-pager -n 20 -u taaraxtak-dumps-archive").stdout
            time.sleep(0.5)
        return name

    yield bring
    store.check_output("find %s %s -name 'planted_*' -delete", ARCHIVE, f"{FOLDER}/developer")
    store.check_output("systemctl reset-failed 'taaraxtak-dumps-*'")


def drill(store, *names: str):
    return store.run("runuser -u dumps-archive -- dump-store drill %s", " ".join(names))


def result(store, name: str) -> dict:
    return json.loads(store.file(f"{ARCHIVE}/{name}.drill.json").content_string)


def nothing_left(store) -> None:
    """No cluster, and no process of the sandbox's account."""
    assert store.run("pgrep -u dumps-drill").stdout == ""
    assert store.run("find /tmp /var/tmp -name 'taaraxtak-drill-*'").stdout == ""


def test_the_drill_verifies_the_newest_dump(store, dump):
    done = store.run("systemctl start %s", UNIT)
    journal = store.run("journalctl --no-pager -n 30 -u %s", UNIT).stdout
    assert done.rc == 0, journal
    found = result(store, dump)
    assert found["ok"] is True
    assert found["ddl"] == "equal"
    assert found["policy"]["checked"] is True
    assert found["policy"]["probes"]["failed"] == found["policy"]["trials"]["failed"] == 0
    assert found["policy"]["trials"]["passed"] > 0
    nothing_left(store)


def test_the_check_knows_it(store, dump):
    verdict = json.loads(store.run("runuser -u dumps-archive -- dump-store check --json").stdout)
    (group,) = [each for each in verdict["groups"] if (each["database"], each["kind"]) == ("taaraxtak", "dump")]
    assert group["verified"]["name"] == dump
    settings = json.loads(store.file("/etc/taaraxtak/dump-keep.json").content_string)
    assert settings["expect"].get("verified_warning_days", 8) > 0


def test_an_encrypted_dump_is_drilled_where_its_key_is(production, store, plant):
    """In the drill's own unit. The sandbox looks for the key, and sees none."""
    production.check_output("apt-get install --yes --no-download age")
    store.check_output("sh -c 'umask 077; age-keygen -o %s; chgrp dumps-archive %s; chmod 0640 %s'", *[IDENTITY] * 3)
    recipient = store.check_output("age-keygen -y %s", IDENTITY)
    try:
        name = plant(f"--\n-- PostgreSQL database dump\n--\n\n{TABLE}{ROWS}{END}", recipient)
        store.run("systemctl start %s", UNIT)
        journal = store.run("journalctl --no-pager -n 30 -u %s", UNIT).stdout
        found = result(store, name)
    finally:
        store.check_output("rm %s", IDENTITY)
    assert name.endswith(".age")
    assert (found["ok"], found["rows"]) == (True, 2), journal
    assert found["sha256"] == store.check_output("sha256sum %s", f"{ARCHIVE}/{name}").split()[0]
    assert IDENTITY in store.check_output("systemctl show --property=InaccessiblePaths taaraxtak-drill@1.service")
    nothing_left(store)


def test_it_runs_every_week(store):
    assert store.check_output("systemctl is-active taaraxtak-dumps-drill.timer") == "active"
    assert store.check_output("systemctl show -P NextElapseUSecRealtime taaraxtak-dumps-drill.timer")


def test_no_cluster_runs_on_the_store(store):
    assert store.run("pg_lsclusters --no-header").stdout == ""
    assert store.run("pgrep postgres").stdout == ""


def test_the_result_is_the_archivers_alone(store, dump):
    found = store.file(f"{ARCHIVE}/{dump}.drill.json")
    assert (found.user, found.mode) == ("dumps-archive", 0o440)
    for account in ("dumps", "dumps-read", "dumps-developer", "dumps-drill"):
        forged = f"{ARCHIVE}/{dump}.drill.json.forged"
        for command in (f"touch {forged}", f"mv {ARCHIVE}/{dump}.drill.json {forged}", f"truncate -s 0 {found.path}"):
            assert store.run("runuser -u %s -- %s", account, command).rc != 0, (account, command)
            assert store.run(f"runuser -u {account} -- {command}").rc != 0, (account, command)
        assert not store.file(forged).exists


def test_developers_and_the_sandbox_can_not_look_into_the_archive(store):
    for account in ("dumps-developer", "dumps-drill"):
        assert store.run(f"runuser -u {account} -- ls {ARCHIVE}").rc != 0, account
        assert store.check_output(f"id -Gn {account}") == account
    command = store.check_output("/usr/sbin/sshd -T -C user=dumps-developer,host=any,addr=192.0.2.1")
    assert "forcecommand /usr/local/bin/dump-store read --developer" in command


def test_only_the_archiver_reaches_the_sandbox(store):
    connect = f"import socket; socket.socket(socket.AF_UNIX).connect('{SOCKET}')"
    for account in ("dumps", "dumps-read", "dumps-developer", "dumps-drill", "nobody"):
        done = store.run("runuser -u %s -- python3 -I -c %s", account, connect)
        assert "PermissionError" in done.stderr, account


def test_what_a_dump_runs_finds_nothing(store, plant):
    look = LOOK.strip().replace("'", "''")
    name = plant(
        "--\n-- PostgreSQL database dump\n--\n\nCREATE TABLE public.t (x integer);\n\n"
        "COPY public.t (x) FROM stdin;\n1\n\\.\n\n"
        "DO $do$\nDECLARE said text;\nBEGIN\n  CREATE TEMPORARY TABLE seen (line text);\n"
        f"  EXECUTE $x$COPY seen FROM PROGRAM '{look}'$x$;\n"
        "  SELECT string_agg(line, ';') INTO said FROM seen;\n  RAISE EXCEPTION 'seen<%>', said;\nEND\n$do$;\n\n" + END
    )
    done = drill(store, name)
    assert done.rc == 1
    said = " ".join(result(store, name)["problems"])
    assert "seen<" in said, said
    answers = dict(line.split("=", 1) for line in said.split("seen<")[1].split(">")[0].split(";"))
    assert {key: value.strip() for key, value in answers.items()} == FOUND_NOTHING
    nothing_left(store)


def test_what_a_dump_leaves_running_is_ended(store, plant):
    name = plant(
        "--\n-- PostgreSQL database dump\n--\n\nCREATE TABLE public.t (x integer);\n\n"
        "COPY public.t (x) FROM stdin;\n1\n\\.\n\n"
        "DO $do$BEGIN EXECUTE $x$COPY (SELECT 1) TO PROGRAM 'setsid -f sleep 600 >/dev/null 2>&1 </dev/null'$x$;"
        "END$do$;\n\n" + END
    )
    drill(store, name)
    end = time.monotonic() + 45
    while store.run("pgrep -u dumps-drill").stdout and time.monotonic() < end:
        time.sleep(1)
    nothing_left(store)


def test_a_drill_that_is_killed_leaves_nothing(store, plant):
    name = plant(
        "--\n-- PostgreSQL database dump\n--\n\nCREATE TABLE public.t (x integer);\n\n"
        "COPY public.t (x) FROM stdin;\n1\n\\.\n\nSELECT pg_catalog.pg_sleep(300);\n\n" + END
    )
    store.check_output("systemd-run --quiet --unit=planted-drill --uid=dumps-archive dump-store drill %s", name)
    end = time.monotonic() + 30
    while "psql" not in store.run("ps -o comm= -u dumps-drill").stdout:
        assert time.monotonic() < end, store.run("journalctl --no-pager -n 20 -u planted-drill").stdout
        time.sleep(0.5)
    store.check_output("systemctl kill --signal=KILL planted-drill")
    end = time.monotonic() + 45
    while store.run("pgrep -u dumps-drill").stdout and time.monotonic() < end:
        time.sleep(1)
    nothing_left(store)
    assert not store.file(f"{ARCHIVE}/{name}.drill.json").exists
    store.run("systemctl reset-failed planted-drill")
