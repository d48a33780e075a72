"""The units of the dumps, started for real: what they can't do, how they end, and who is told when they fail."""

from __future__ import annotations

import contextlib
import json
import shlex
import time

import pytest
from acting import UNITS, WRITE, unit_file, written

FOLDER = "/var/lib/taaraxtak-dumps"
ARCHIVER, CHECK = "taaraxtak-dumps-archive", "taaraxtak-dumps-check"
NOTIFY, KEEP = "/etc/taaraxtak/notify.json", "/etc/taaraxtak/dump-keep.json"
# In these the archiver's account may write, were it not for its sandbox.
PLANTED = ("/var/planted", "/home/planted", "/srv/planted", "/var/lib/planted", "/var/planted-for-all")
# Its own, and of the kind that a person has at home.
KEY = "/home/planted/id_ed25519"

# FOLDERS-AND-KEYS: as JSON the folders where a file could be made, the keys that could be read, what else is allowed.
TRY = """
import json, os, socket, sys
folders, keys = json.loads(sys.argv[1])
found = {"written": [], "read": [], "else": []}
for folder in folders:
    try:
        with open(folder + "/planted", "w"):
            found["written"].append(folder)
        os.unlink(folder + "/planted")
    except OSError:
        pass
for key in keys:
    try:
        with open(key) as file:
            found["read"] += [key] if file.read() else []
    except OSError:
        pass
with open("/proc/self/status") as file:
    status = dict(line.split(":", 1) for line in file.read().splitlines())
found["capabilities"] = {name: int(value, 16) for name, value in status.items() if name.startswith("Cap")}
found["no new privileges"], found["seccomp"] = int(status["NoNewPrivs"]), int(status["Seccomp"])
try:
    socket.create_connection(("127.0.0.1", 22), 2).close()
    found["else"].append("a connection")
except OSError:
    pass
for word in ("os.nice(1)", "os.setuid(0)", "os.chroot('/')", "os.unshare(os.CLONE_NEWUSER)"):
    # In a process of its own: some of these end it.
    child = os.fork()
    if child == 0:
        try:
            eval(word)
        except (OSError, AttributeError):
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        found["else"].append(word)
print(json.dumps(found))
"""


@contextlib.contextmanager
def listening(host):
    """A function that gives what the command for failures has heard: it goes to the journal, as from any sandbox."""
    tag = f"planted-{time.time_ns()}"
    settings = {"command": ["/usr/bin/systemd-cat", f"--identifier={tag}"]}

    def heard() -> list[dict]:
        host.check_output("journalctl --sync")
        lines = host.check_output("journalctl --no-pager -o cat -t %s", tag).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    with written(host, NOTIFY, json.dumps(settings)):
        yield heard


def property_of(host, unit: str, name: str) -> str:
    return host.check_output("systemctl show -P %s %s", name, unit)


@pytest.fixture
def planted(store):
    """Folders in which the archiver's account may write, and a key of its own."""
    store.check_output(f"mkdir -p {' '.join(PLANTED)}")
    store.check_output(f"chown dumps-archive {' '.join(PLANTED[:-1])}")
    store.check_output("chmod 1777 %s", PLANTED[-1])
    store.check_output("python3 -c %s %s secret", WRITE, KEY)
    store.check_output("chown dumps-archive %s", KEY)
    yield
    store.check_output(f"rm -r {' '.join(PLANTED)}")


def test_the_archiver_can_do_nothing_but_archive(store, planted):
    """Tried as its account, which could do it, and from within its sandbox, by a unit that differs in what it runs."""
    own = [f"{FOLDER}/incoming", f"{FOLDER}/archive"]
    others = [*PLANTED, FOLDER, "/etc", "/etc/taaraxtak", "/usr", "/usr/local/bin", "/root", "/run", "/var/spool/cron"]
    keys = [KEY, "/etc/shadow", "/etc/ssh/ssh_host_ed25519_key", "/root/.bashrc"]
    given = json.dumps([own + others, keys])
    outside = json.loads(store.check_output("runuser -u dumps-archive -- python3 -I -c %s %s", TRY, given))
    assert {*own, *PLANTED} <= {*outside["written"]}
    assert KEY in outside["read"]
    assert {"a connection", "os.nice(1)"} <= {*outside["else"]}
    assert outside["capabilities"]["CapBnd"] != 0

    text = store.file(f"/etc/systemd/system/{ARCHIVER}.service").content_string
    with written(store, "/run/planted-try.py", TRY):
        run = f"ExecStart=/usr/bin/python3 -I /run/planted-try.py {shlex.quote(given)}"
        changed = text.replace("ExecStart=/usr/local/bin/dump-store archive", run)
        assert changed != text
        changed = "\n".join(line for line in changed.splitlines() if not line.startswith("OnFailure="))
        # The journal has what earlier ones said.
        unit = f"planted-{time.time_ns()}"
        with unit_file(store, f"{UNITS}/{unit}.service", changed):
            done = store.run("systemctl start %s", unit)
            store.check_output("journalctl --sync")
            said = store.run("journalctl --no-pager -o cat -u %s", unit).stdout
    assert done.rc == 0, said
    inside = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    assert inside["written"] == own
    assert inside["read"] == inside["else"] == []
    assert {*inside["capabilities"]} == {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}
    assert {*inside["capabilities"].values()} == {0}
    assert (inside["no new privileges"], inside["seccomp"]) == (1, 2)


def test_a_check_that_finds_something_ends_with_its_status_and_tells_it_once(store):
    """As its timer starts it; the unit itself has not failed, so nothing is told twice."""
    assert property_of(store, f"{CHECK}.timer", "Unit") == f"{CHECK}.service"
    settings = json.loads(store.file(KEEP).content_string)
    settings["expect"]["databases"] = [*settings["expect"].get("databases", []), "planted_gone"]
    with written(store, KEEP, json.dumps(settings)), listening(store) as heard:
        for _ in range(2):
            done = store.run("systemctl start %s", f"{CHECK}.service")
            assert done.rc == 0, store.run("journalctl --no-pager -n 20 -u %s", CHECK).stdout
            assert property_of(store, CHECK, "ExecMainStatus") == "2"
            assert property_of(store, CHECK, "Result") == "success"
        told = heard()
    # What was told last is not what is wrong now: the next check may tell of that.
    store.check_output("rm -f %s", settings["told"])
    assert [(event["program"], event["host"], event["ok"]) for event in told] == [("dump-store", "store", False)]
    assert told[0]["subject"] == "the dumps are critical"
    assert any("planted_gone: there is no archived dump" in line for line in told[0]["lines"])


def test_every_unit_that_fails_is_told_by_its_name(store, until):
    """Each with a program that ends as one that has crashed; nothing else of the unit is changed."""
    listed = store.check_output("grep -l ^OnFailure= -r /etc/systemd/system --include=taaraxtak-*.service").split()
    units = sorted(path.rsplit("/", 1)[1] for path in listed)
    assert {f"{ARCHIVER}.service", f"{CHECK}.service", "taaraxtak-dumps-prune.service"} <= {*units}
    with contextlib.ExitStack() as changed:
        heard = changed.enter_context(listening(store))
        # The archiver is started by what comes in, and by a timer: each would tell once more.
        triggers = shlex.join([f"{ARCHIVER}.path", f"{ARCHIVER}.timer"])
        store.check_output(f"systemctl stop {triggers}")
        changed.callback(store.check_output, f"systemctl start {triggers}")
        for unit in units:
            crash = "[Service]\nExecStart=\nExecStart=/bin/sh -c 'exit 3'\n"
            changed.enter_context(unit_file(store, f"{UNITS}/{unit}.d/planted.conf", crash))
        changed.callback(store.check_output, "systemctl reset-failed 'taaraxtak-*'")
        for unit in units:
            assert store.run("systemctl start %s", unit).rc != 0, unit
            assert property_of(store, unit, "ExecMainStatus") == "3"
            until(
                lambda unit=unit: f"{unit} failed" in [event["subject"] for event in heard()],
                seconds=30,
                what=f"nobody is told of {unit}",
                host=store,
                unit=f"taaraxtak-dumps-failed@{unit}.service",
            )
        told = heard()
    assert sorted(event["subject"] for event in told) == [f"{unit} failed" for unit in units]
    assert {(event["ok"], event["host"]) for event in told} == {(False, "store")}
    assert all(f"journalctl -u {unit}" in " ".join(event["lines"]) for unit, event in zip(units, told, strict=True))


def test_a_run_of_the_sender_that_fails_is_told(production):
    held = ["runuser", "-u", "pgbackup", "--", "flock", "/run/taaraxtak-backup/lock", "/usr/local/bin/dump-send"]
    with listening(production) as heard:
        done = production.run(shlex.join(held))
        told = heard()
    assert done.rc == 1
    assert [(event["program"], event["host"], event["ok"]) for event in told] == [("dump-send", "production", False)]
    assert "another dump is under way" in told[0]["lines"][0]
