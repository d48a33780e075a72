# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the accounts of the dumps can't do: the receiving one to the archive, the sending one on production."""

from __future__ import annotations

import contextlib
import typing as t

from .hosts import ARCHIVE, FOLDER, INCOMING, Estate
from .keys import Answer, by_hand, summary
from .room import paused, service
from .running import WHOLE, Fault, Seen

# As the receiving user on the store; {} is an archived dump. What is opened must be refused, whatever its mode.
AGAINST_ARCHIVE = {
    "delete": ["rm", "-f", "{}"],
    "delete the manifest": ["rm", "-f", "{}.manifest.json"],
    "rename": ["mv", "-f", "{}", "{}.old"],
    "rename over it": ["mv", "-f", "/tmp/faultbed", "{}"],
    "rename the folder": ["mv", ARCHIVE, f"{ARCHIVE}.old"],
    "move the folder above": ["mv", FOLDER, f"{FOLDER}.old"],
    "append": ["dd", "if=/dev/zero", "of={}", "bs=1", "count=1", "oflag=append", "conv=notrunc"],
    "overwrite": ["dd", "if=/dev/zero", "of={}", "bs=1", "count=1", "conv=notrunc"],
    "truncate": ["truncate", "-s", "0", "{}"],
    "change its mode": ["chmod", "0666", "{}"],
    "change its owner": ["chown", "dumps", "{}"],
    "change its times": ["touch", "-d", "2020-01-01", "{}"],
    "link it": ["ln", "{}", f"{INCOMING}/faultbed"],
    "add to the archive": ["touch", f"{ARCHIVE}/faultbed"],
    "add a folder": ["mkdir", f"{ARCHIVE}/faultbed"],
    "add a link": ["ln", "-s", "/etc/passwd", f"{ARCHIVE}/faultbed"],
    "the store's settings": ["touch", "/etc/taaraxtak/dump-store.json"],
    "the signers": ["sh", "-c", "echo >> /etc/taaraxtak/dump_signers"],
    "its own keys": ["sh", "-c", "echo >> /etc/ssh/dump_store_keys/dumps"],
    "keys in its home": ["mkdir", "-p", f"{FOLDER}/.ssh"],
    "sudo": ["sudo", "-n", "id"],
    "run the archiver's unit": ["systemctl", "--no-ask-password", "start", "taaraxtak-dumps-archive.service"],
    "stop what starts it": ["systemctl", "--no-ask-password", "stop", "taaraxtak-dumps-archive.path"],
}
SOURCE = "/usr/local/sbin/dump-source"
SUDO = ["sudo", "-n"]
# As the sending user on production.
AGAINST_PRODUCTION = {
    "sudo id": [*SUDO, "id"],
    "sudo -s": [*SUDO, "-s"],
    "sudo -i": [*SUDO, "-u", "pgdumper", "-i"],
    "as postgres": [*SUDO, "-u", "postgres", SOURCE],
    "as root": [*SUDO, SOURCE],
    "another program": [*SUDO, "-u", "pgdumper", "id"],
    "psql": [*SUDO, "-u", "pgdumper", "psql", "-l"],
    "python": [*SUDO, "-u", "pgdumper", "/usr/bin/python3", "-c", "print(1)"],
    "an argument": [*SUDO, "-u", "pgdumper", SOURCE, "--config=/tmp/x"],
    "an empty argument": [*SUDO, "-u", "pgdumper", SOURCE, ""],
    "a path around": [*SUDO, "-u", "pgdumper", "/usr/local/sbin/../sbin/dump-source"],
    "the other group": [*SUDO, "-u", "pgdumper", "-g", "root", SOURCE],
    "another folder": [*SUDO, "-u", "pgdumper", "-D", "/tmp", SOURCE],
    "chroot": [*SUDO, "-u", "pgdumper", "-R", "/", SOURCE],
    "an environment": [*SUDO, "-u", "pgdumper", "PYTHONPATH=/tmp", SOURCE],
    "its whole environment": [*SUDO, "-E", "-u", "pgdumper", SOURCE],
    "another host": [*SUDO, "-h", "other", "-u", "pgdumper", SOURCE],
    "edit": ["sudoedit", "-n", "-u", "pgdumper", "/etc/taaraxtak/dump-source.json"],
    "su": ["su", "-c", "id", "pgdumper"],
    "the database": ["psql", "-X", "-U", "dumper", "-d", "taaraxtak", "-c", "SELECT 1"],
    "the signing key": ["cat", "/etc/taaraxtak/dump_signing_key"],
    "passwords": ["cat", "/etc/shadow"],
    "the data": ["ls", "-R", "/var/lib/postgresql/"],
    "its settings": ["touch", "/etc/taaraxtak/dump-send.json"],
    "the source's settings": ["touch", "/etc/taaraxtak/dump-source.json"],
    "the program": ["touch", SOURCE],
    "the code": ["touch", "/usr/local/lib/taaraxtak/dumps/source.py"],
    "the host key": ["touch", "/etc/taaraxtak/known_hosts"],
    "the cron file": ["touch", "/etc/cron.d/taaraxtak-backup"],
}
# What a hostile caller may set; each would show in the answer if it reached the source.
HOSTILE = {
    "PYTHONPATH": "/tmp/faultbed",
    "PYTHONSTARTUP": "/tmp/faultbed/start.py",
    "PYTHONINSPECT": "1",
    "PYTHONHOME": "/tmp/faultbed",
    "PGHOST": "127.0.0.1",
    "PGPORT": "1",
    "PGUSER": "postgres",
    "PGDATABASE": "postgres",
    "PGSERVICE": "faultbed",
    "PGSERVICEFILE": "/tmp/faultbed/service",
    "PGOPTIONS": "-c row_security=on",
    "ZSTD_CLEVEL": "19",
    "ZSTD_NBTHREADS": "64",
    "HOME": "/tmp/faultbed",
    "TMPDIR": "/tmp/faultbed",
    "SSH_ASKPASS": "/tmp/faultbed/ask",
    "BASH_ENV": "/tmp/faultbed/env",
    "ENV": "/tmp/faultbed/env",
    "IFS": "/",
    "PATH": "/tmp/faultbed",
    "LC_ALL": "/tmp/faultbed",
    "SUDO_ASKPASS": "/tmp/faultbed/ask",
}
_MODULE = ("open('/tmp/faultbed/came-in', 'w').close()\n", "0644")
_PROGRAM = ("#!/bin/sh\ntouch /tmp/faultbed/came-in\n", "0755")
_MODULES = ("sitecustomize.py", "usercustomize.py", "start.py", "json.py", "psycopg2.py", "dumps/__init__.py")
_PROGRAMS = ("pg_dump", "pg_dumpall", "zstd", "age", "ssh", "ssh-keygen", "sudo", "python3", "ask", "env")
# What it leads to below /tmp/faultbed: text and mode.
PLANTED = {
    **dict.fromkeys(_MODULES, _MODULE),
    **dict.fromkeys(_PROGRAMS, _PROGRAM),
    # Where it counts no server is reached.
    "service": ("[faultbed]\nhost=127.0.0.1\nport=1\n", "0644"),
}
REQUESTS = {
    "another database": b'{"artefacts": ["postgres"], "protocol": 3}\n',
    "a path": b'{"artefacts": ["../../etc/passwd"], "protocol": 3}\n',
    "connection options": b'{"artefacts": ["dbname=postgres host=127.0.0.1"], "protocol": 3}\n',
    "an option": b'{"artefacts": ["--help"], "protocol": 3}\n',
    "no list": b'{"artefacts": "taaraxtak", "protocol": 3}\n',
    "another key": b'{"artefacts": ["taaraxtak"], "protocol": 3, "bindir": "/tmp"}\n',
    "another protocol": b'{"artefacts": ["taaraxtak"], "protocol": 1}\n',
    "no JSON": b"taaraxtak\n",
    "two lines": b'{"artefacts": ["taaraxtak"], "protocol": 3}\n{"artefacts": ["taaraxtak"], "protocol": 3}\n',
    "5 kB": b'{"artefacts": ["' + b"x" * 5000 + b'"], "protocol": 3}\n',
    "no end of line": b'{"artefacts": ["taaraxtak"], "protocol": 3}',
    "nothing": b"",
    "zeros": bytes(100),
}


# PATH: keep it open for writing until it is no longer there, and then write to it.
KEEP_OPEN = """
import os, sys, time
os.chmod(sys.argv[1], 0o640)
file = open(sys.argv[1], "r+b", buffering=0)
print("open", flush=True)
end = time.monotonic() + 60
while os.path.exists(sys.argv[1]) and time.monotonic() < end:
    time.sleep(0.05)
file.write(bytes(1000))
"""


def receiving_user(estate: Estate) -> Seen:
    """Every way in which the receiving user could change or delete what is archived."""
    archived = [path for path in estate.files().proofs if path.startswith(ARCHIVE)]
    if not archived:
        raise RuntimeError("there is no archived dump")
    estate.store.check("sh", "-c", "echo mine > /tmp/faultbed; chown dumps /tmp/faultbed")
    refused, allowed = {}, []
    for what, words in AGAINST_ARCHIVE.items():
        answer = by_hand(estate.store, "dumps", [word.replace("{}", archived[-1]) for word in words])
        _sort(what, answer, refused, allowed)
    estate.store.check("rm", "-f", "/tmp/faultbed", f"{INCOMING}/faultbed")
    return summary(refused, allowed)


def open_descriptor(estate: Estate) -> Seen:
    """The receiving user keeps a received file open for writing, and writes to it when it is archived."""
    with paused(estate):
        run = estate.send()
        if run.status:
            raise RuntimeError(run.said)
        (path,) = (name for name in estate.store_proofs() if name.startswith(INCOMING) and ".globals." not in name)
        keeper = estate.store.start("runuser", "-u", "dumps", "--", "python3", "-I", "-c", KEEP_OPEN, path)
        if keeper.stdout is None or keeper.stdout.readline() != "open\n":
            raise RuntimeError("the file could not be kept open")
        status = estate.store.run("systemctl", "start", service(estate)).returncode
        # It is gone from where it came in: now the descriptor is all that the user has.
        estate.store.check("test", "!", "-e", path)
        keeper.communicate(timeout=60)
    copy = path.replace(INCOMING, ARCHIVE)
    proved = estate.store_proofs().get(copy, False)
    return Seen(
        status, "archived, and not changed by what was written later", [] if proved else ["THE ARCHIVE CHANGED"]
    )


def sending_user(estate: Estate) -> Seen:
    """Everything on production that is not the one command without arguments."""
    refused, allowed = {}, []
    for what, words in AGAINST_PRODUCTION.items():
        for env in ({}, HOSTILE):
            answer = by_hand(estate.production, "pgbackup", words, env={**env, "PATH": "/usr/bin:/bin"})
            _sort(what, answer, refused, allowed)
    return summary(refused, allowed)


@contextlib.contextmanager
def planted(estate: Estate) -> t.Iterator[list[str]]:
    """What `HOSTILE` leads to; the list is not empty where any of it ran."""
    production = estate.production
    production.check("mkdir", "-p", "/tmp/faultbed/dumps")
    for name, (text, mode) in PLANTED.items():
        production.write(f"/tmp/faultbed/{name}", text, mode)
    production.check("chmod", "-R", "a+rwX", "/tmp/faultbed")
    ran: list[str] = []
    try:
        yield ran
        if production.run("test", "-e", "/tmp/faultbed/came-in").returncode == 0:
            ran.append("PLANTED CODE RAN")
    finally:
        production.check("rm", "-rf", "/tmp/faultbed")


def hostile_environment(estate: Estate) -> Seen:
    """The one command, with an environment that would make another program of it, and requests that are none."""
    command = ["/usr/bin/sudo", "-n", "-u", "pgdumper", SOURCE]
    refused, allowed = {}, []
    with planted(estate) as ran:
        for what, request in REQUESTS.items():
            answer = by_hand(estate.production, "pgbackup", command, request, HOSTILE)
            _sort(what, answer, refused, allowed)
    return summary(refused, [*allowed, *ran])


def hostile_dump(estate: Estate) -> Seen:
    """A whole dump in that environment: what pg_dump, zstd and ssh-keygen are started with comes from nobody else."""
    with planted(estate) as ran:
        answer = by_hand(estate.production, "pgbackup", ["/usr/local/bin/dump-send"], env=HOSTILE)
    return Seen(answer.status, f"{answer.err}\n{answer.out}".strip(), ran)


def _sort(what: str, answer: Answer, refused: dict[str, str], allowed: list[str]) -> None:
    if answer.status == 0:
        allowed.append(f"{what}: {answer.out[:60]}")
    else:
        lines: t.Sequence[str] = (answer.err.strip() or answer.out).splitlines()
        refused[what] = lines[-1][:70] if lines else f"exit status {answer.status}"


FAULTS = (
    Fault("the receiving user against the archive", receiving_user, "refused"),
    Fault("a received file kept open, written to later", open_descriptor, "archived", WHOLE, fails=False),
    Fault("pgbackup trying anything but its one command", sending_user, "refused"),
    Fault("pgbackup's one command with a hostile environment and requests", hostile_environment, "refused"),
    Fault("a dump made in a hostile environment", hostile_dump, "sql.zst is stored", WHOLE, fails=False),
)
