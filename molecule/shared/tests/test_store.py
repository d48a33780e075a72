"""The store: it takes in what is signed, archives it out of the receiving account's reach, and shows it to readers."""

from __future__ import annotations

import json
import shlex
import time

import pytest
from acting import unit_file

FOLDER = "/var/lib/taaraxtak-dumps"
INCOMING, ARCHIVE = f"{FOLDER}/incoming", f"{FOLDER}/archive"
READER_KEYS = "/etc/ssh/dump_store_keys/dumps-read"
ARCHIVER = "taaraxtak-dumps-archive"

# Makes a stream by hand, on production, with the keys that are there, and gives it to the store; its answer. The
# arguments: the name of the dump, the number of its bytes, what is wrong with it.
OFFER = """
import dataclasses, datetime, hashlib, json, os, subprocess, sys
sys.path.insert(0, "/usr/local/lib/taaraxtak")
sys.dont_write_bytecode = True
from dumps.frames import prefix, section
from dumps.manifest import Header, Trailer, encode
from dumps.names import DumpName
from dumps.scan import TableData
name, size, fault = DumpName.parse(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
data = os.urandom(size)
trailer = Trailer(name=name, started="2026-01-01T00:00:00Z", finished="2026-01-01T00:00:01Z", statuses={"zstd": 0},
    bytes=size, sha256=hashlib.sha256(data).hexdigest(), raw_bytes=size,
    tables={"public.made": TableData(1, 2, "0" * 64)}, sequences={}, via_root=(), versions={},
    settings={}, extensions={})
# root's own ssh-keygen takes no key of root's that others may read too.
key = "/run/planted-signer"
if fault == "key":
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    # It would be taken for that of the next key under this name.
    os.unlink(key + ".pub")
else:
    subprocess.run(["install", "-m", "0600", "/etc/taaraxtak/dump_signing_key", key], check=True)
signature = subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", "taaraxtak-dump", "-f", key], input=trailer.signed,
    capture_output=True, check=True).stdout
os.unlink(key)
signed = trailer.signed
if fault == "signature":
    signature = b""
elif fault == "trailer":
    signed = dataclasses.replace(trailer, raw_bytes=1).signed
elif fault == "byte":
    data = bytes([data[0] ^ 1]) + data[1:]
header = Header(name=name, started="2026-01-01T00:00:00Z").document()
if fault in ("../x", "/x", "a\\nb", "x" * 10000):
    header["name"] = fault
with open("/etc/taaraxtak/dump-send.json") as file:
    command = json.load(file)["stores"][0]["command"]
done = subprocess.run(["runuser", "-u", "pgbackup", "--", *command, "receive"], capture_output=True,
    input=section(encode(header)) + section(data) + section(signed) + section(signature))
print(done.stdout.decode().strip() or json.dumps({"ok": None, "status": done.returncode, "said": done.stderr.decode()}))
"""


def offer(production, name: str, *, size: int = 50_000, fault: str = "") -> dict:
    """Give the store a stream made by hand; its answer. Where ssh itself fails, it is tried again."""
    for _attempt in range(3):
        answer = json.loads(production.check_output("python3 -I -c %s %s %s %s", OFFER, name, str(size), fault))
        if answer.get("status") != 255:
            break
        time.sleep(2)
    return answer


@pytest.fixture
def name(store):
    """The name of a dump that nobody has made: none is ever used twice. What is planted would be an alarm here."""
    stamp = time.strftime("%Y-%m-%d-%H.%M.%S", time.gmtime(time.time_ns() // 1000 % (50 * 365 * 86400)))
    yield f"planted_{stamp}.sql.zst"
    store.check_output("find %s %s -name 'planted_*' -delete", INCOMING, ARCHIVE)
    store.check_output("systemctl reset-failed 'taaraxtak-dumps-*'")


def listed(store) -> dict[str, dict]:
    return {row["name"]: row for row in json.loads(store.run("dump-store list --json").stdout)}


def planted(store, folder: str) -> set[str]:
    return {name for name in store.file(folder).listdir() if name.startswith("planted_")}


def archived(store, until, name: str) -> None:
    """Wait until systemd has had *name* archived."""
    until(
        lambda: planted(store, ARCHIVE) >= {name, f"{name}.manifest.json"} and not planted(store, INCOMING),
        seconds=20,
        what="the dump was not archived",
        host=store,
        unit=ARCHIVER,
    )


def test_what_comes_in_is_archived_at_once(production, store, until, name):
    assert offer(production, name)["ok"]
    archived(store, until, name)
    data, manifest = store.file(f"{ARCHIVE}/{name}"), store.file(f"{ARCHIVE}/{name}.manifest.json")
    assert (data.user, data.group, data.mode) == ("dumps-archive", "dumps-read", 0o440)
    assert (manifest.user, manifest.group, manifest.mode) == ("dumps-archive", "dumps-list", 0o440)
    assert listed(store)[name]["archived"]


def test_one_dump_after_the_other_is_archived(production, store, until, name):
    """More of them than systemd lets start in ten seconds by default."""
    names = [name.replace("planted", f"planted_{number}") for number in range(6)]
    for each in names:
        answer = offer(production, each)
        assert answer["ok"], answer
    for each in names:
        archived(store, until, each)


def test_what_arrives_while_the_archiver_ends_starts_it_again(production, store, until, name):
    """systemd watches nothing while the service runs: here that lasts long after its last look."""
    late = name.replace("planted", "planted_late")
    with unit_file(
        store, f"/etc/systemd/system/{ARCHIVER}.service.d/planted.conf", "[Service]\nExecStartPost=sleep 15\n"
    ):
        assert offer(production, name)["ok"]
        until(
            lambda: name in planted(store, ARCHIVE),
            seconds=20,
            what="the first was not archived",
            host=store,
            unit=ARCHIVER,
        )
        assert offer(production, late)["ok"]
        assert store.check_output("systemctl show -P SubState %s", ARCHIVER) == "start-post"
        assert late in planted(store, INCOMING)
        until(
            lambda: not planted(store, INCOMING),
            seconds=60,
            what="the second was not archived",
            host=store,
            unit=ARCHIVER,
        )
        # While it runs its timer has no next time.
        until(
            lambda: store.check_output("systemctl show -P ActiveState %s", ARCHIVER) == "inactive",
            seconds=60,
            what="the archiver did not end",
            host=store,
            unit=ARCHIVER,
        )
    assert planted(store, ARCHIVE) >= {name, late}


def test_the_net_is_there_if_the_path_is_not(production, store, until, name):
    """The timer starts the archiver, whatever was seen of the folder."""
    store.check_output("systemctl stop %s.path", ARCHIVER)
    try:
        assert offer(production, name)["ok"]
        assert name in planted(store, INCOMING)
        trigger = store.check_output("systemctl show -P Unit %s.timer", ARCHIVER)
        assert store.check_output("systemctl show -P NextElapseUSecMonotonic %s.timer", ARCHIVER) not in (
            "",
            "infinity",
        )
        store.check_output("systemctl start %s", trigger)
        archived(store, until, name)
    finally:
        store.check_output("systemctl start %s.path", ARCHIVER)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("signature", "is not signed"),
        ("key", "signed by a key that is not known"),
        ("trailer", "signature is wrong"),
        ("byte", "is not what was sent"),
        ("../x", "is not the name of a dump"),
        ("/x", "is not the name of a dump"),
        ("a\nb", "is not the name of a dump"),
        ("x" * 10000, "is not the name of a dump"),
    ],
)
def test_what_is_not_signed_as_it_is_leaves_nothing(production, store, name, fault, reason):
    answer = offer(production, name, fault=fault)
    assert answer["ok"] is False
    assert reason in answer["reason"]
    assert planted(store, INCOMING) | planted(store, ARCHIVE) == set()
    assert reason in store.check_output("journalctl --no-pager -t dump-store -n 5")


def test_an_archived_name_is_not_used_again(production, store, until, name):
    assert offer(production, name)["ok"]
    archived(store, until, name)
    before = store.check_output("sha256sum %s", f"{ARCHIVE}/{name}")
    answer = offer(production, name)
    assert not answer["ok"]
    assert "is here already" in answer["reason"]
    assert store.check_output("sha256sum %s", f"{ARCHIVE}/{name}") == before


@pytest.mark.parametrize("account", ["dumps", "dumps-read", "nobody"])
def test_no_other_account_can_change_or_delete_what_is_archived(production, store, until, name, account):
    assert offer(production, name)["ok"]
    archived(store, until, name)
    path = f"{ARCHIVE}/{name}"
    before = store.check_output("sha256sum %s", path)
    changes = [
        ["rm", "-f", path],
        ["mv", path, f"{path}.gone"],
        ["tee", path],
        ["truncate", "-s", "0", path],
        ["chmod", "0666", path],
        ["ln", path, f"{INCOMING}/planted_link"],
        ["touch", f"{ARCHIVE}/planted_new"],
        ["mv", ARCHIVE, f"{ARCHIVE}.gone"],
        ["chmod", "0777", ARCHIVE],
    ]
    # One process for all of them: what counts is which were refused.
    script = (
        "import json, subprocess, sys\n"
        "run = lambda c: subprocess.run(c, stdin=subprocess.DEVNULL, capture_output=True).returncode\n"
        "print(json.dumps([c for c in json.loads(sys.argv[1]) if run(c) == 0]))"
    )
    allowed = store.check_output("runuser -u %s -- python3 -c %s %s", account, script, json.dumps(changes))
    assert json.loads(allowed) == []
    assert store.check_output("sha256sum %s", path) == before
    assert planted(store, ARCHIVE) == {name, f"{name}.manifest.json"}


@pytest.mark.parametrize("suffix", ["", ".manifest.json"])
def test_a_hard_link_made_before_gives_no_hold(production, store, until, name, suffix):
    """The receiving account keeps a second name of what came in: that is not archived before the name is gone."""
    store.check_output("systemctl stop %s.path %s.timer", ARCHIVER, ARCHIVER)
    try:
        assert offer(production, name)["ok"]
        link, victim = f"{INCOMING}/planted_link", f"{INCOMING}/{name}{suffix}"
        store.check_output("runuser -u dumps -- ln %s %s", victim, link)
        assert store.run("systemctl start %s", ARCHIVER).rc != 0
        assert planted(store, ARCHIVE) == set()
        assert "is not a regular file with one name" in store.check_output(
            "journalctl --no-pager -n 20 -u %s", ARCHIVER
        )
        store.check_output("runuser -u dumps -- rm -f %s", link)
        store.check_output("systemctl start %s", ARCHIVER)
        archived(store, until, name)
        assert store.file(f"{ARCHIVE}/{name}").user == "dumps-archive"
    finally:
        store.check_output("systemctl start %s.path %s.timer", ARCHIVER, ARCHIVER)


def test_what_was_changed_after_it_had_come_in_is_not_archived(production, store, name):
    store.check_output("systemctl stop %s.path %s.timer", ARCHIVER, ARCHIVER)
    try:
        assert offer(production, name)["ok"]
        script = "import os, sys; os.chmod(sys.argv[1], 0o640); open(sys.argv[1], 'r+b').write(b'changed')"
        store.check_output("runuser -u dumps -- python3 -c %s %s", script, f"{INCOMING}/{name}")
        assert store.run("systemctl start %s", ARCHIVER).rc != 0
        assert planted(store, ARCHIVE) == set()
        assert "was changed after it had come in" in store.check_output("journalctl --no-pager -n 20 -u %s", ARCHIVER)
    finally:
        store.check_output("find %s -name 'planted_*' -delete", INCOMING)
        store.check_output("systemctl start %s.path %s.timer", ARCHIVER, ARCHIVER)


# --- A reading key ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reader(production, store):
    """A function that asks the store something with a reading key of production's root."""
    production.check_output("rm -f /root/planted-reader /root/planted-reader.pub")
    production.check_output("ssh-keygen -q -t ed25519 -N '' -f /root/planted-reader")
    public = production.file("/root/planted-reader.pub").content_string
    before = store.file(READER_KEYS).content_string
    line = f'restrict,command="/usr/local/bin/dump-store read" {public}'
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    store.check_output("python3 -c %s %s %s", write, READER_KEYS, before + line)

    def ask(command: str, user: str = "dumps-read", *options: str):
        words = json.loads(production.file("/etc/taaraxtak/dump-send.json").content_string)["stores"][0]["command"]
        words = [word for word in words if not word.startswith("-oIdentityFile=")][:-1]
        words += ["-oIdentityFile=/root/planted-reader", *options, f"{user}@store"]
        # One word, as a client sends it.
        return production.run(shlex.join([*words, command] if command else words).replace("%", "%%") + " </dev/null")

    yield ask
    store.check_output("python3 -c %s %s %s", write, READER_KEYS, before)
    production.check_output("rm /root/planted-reader /root/planted-reader.pub")


def test_a_reading_key_lists_and_fetches_what_is_archived(production, store, until, reader, name):
    assert offer(production, name)["ok"]
    archived(store, until, name)
    rows = {row["name"]: row for row in json.loads(reader("list").stdout)}
    assert all(row["archived"] for row in rows.values())
    fetched = reader(f"fetch {name}")
    assert fetched.rc == 0
    assert len(fetched.stdout_bytes) == rows[name]["bytes"]
    manifest = json.loads(reader(f"manifest {name}").stdout)
    assert manifest["trailer"]["sha256"] == rows[name]["sha256"]


def test_a_reading_key_does_nothing_else(store, reader):
    before = store.file(ARCHIVE).listdir()
    for command in (
        "",
        "sh",
        "receive",
        "cat /etc/passwd",
        "scp -f x",
        "list; id",
        "fetch ../../../etc/passwd",
    ):
        done = reader(command)
        assert (done.rc, done.stdout) == (1, ""), command
    assert store.file(ARCHIVE).listdir() == before


def test_a_reading_key_does_not_open_the_receiving_account(reader):
    assert reader("stat x", "dumps").rc == 255


@pytest.mark.parametrize("command", ["list", "fetch x", "archive", "prune", "check"])
def test_the_sending_key_does_not_read(production, command):
    words = json.loads(production.file("/etc/taaraxtak/dump-send.json").content_string)["stores"][0]["command"]
    done = production.run(shlex.join(["runuser", "-u", "pgbackup", "--", *words, command]) + " </dev/null")
    assert done.rc == 1
    assert json.loads(done.stdout)["ok"] is False


def test_what_the_store_is_told_belongs_to_root(store):
    paths = (
        "/usr/local/bin/dump-store",
        "/usr/local/lib/taaraxtak/dumps",
        "/etc/taaraxtak/dump-store.json",
        "/etc/taaraxtak/dump-keep.json",
        "/etc/taaraxtak/dump_signers",
        "/etc/ssh/dump_store_keys",
        "/etc/ssh/dump_store_keys/dumps",
        READER_KEYS,
        FOLDER,
    )
    found = store.check_output("stat -c '%U %a %n' " + " ".join(paths)).splitlines()
    assert len(found) == len(paths)
    for line in found:
        owner, mode, path = line.split(" ")
        assert (owner, int(mode, 8) & 0o022) == ("root", 0), path


@pytest.mark.parametrize("account", ["dumps", "dumps-archive", "dumps-read"])
def test_the_accounts_of_the_store_have_no_password(store, account):
    assert store.check_output("getent shadow %s", account).split(":")[1][:1] in "!*"


def test_every_unit_of_the_store_is_on_and_well(store):
    for unit in (f"{ARCHIVER}.path", f"{ARCHIVER}.timer", "taaraxtak-dumps-prune.timer", "taaraxtak-dumps-check.timer"):
        assert store.service(unit).is_enabled
        assert store.service(unit).is_running
    done = store.run("systemctl start taaraxtak-dumps-prune.service")
    assert done.rc == 0, store.run("journalctl --no-pager -n 20 -u taaraxtak-dumps-prune").stdout
    warnings = store.check_output("systemd-analyze verify /etc/systemd/system/taaraxtak-dumps-*.service 2>&1")
    assert "taaraxtak-dumps" not in warnings
