# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the writer's key opens, and what it doesn't: streams and commands made by hand."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime as dt
import json
import re
import struct
import typing as t

from .hosts import TOOLS, Estate, Host, protocol, until
from .running import Fault, Seen

# COMMAND as JSON and standard input in base64: what a command answers, however strange its words.
BY_HAND = """
import base64, json, subprocess, sys
given = json.loads(sys.stdin.buffer.read())
done = subprocess.run(given["command"], input=base64.b64decode(given["input"]), capture_output=True, timeout=60,
                      env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **given["env"]}, cwd="/")
print(json.dumps([done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")]))
"""
AGO = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
NAMES = {
    "../": "../archive/{}",
    "below": "sub/{}",
    "absolute": "/etc/cron.d/{}",
    "newline": "taaraxtak\n_2026-01-02-03.04.05.sql.zst",
    "newline at its end": "{}\n",
    "NUL": "{}\0",
    "10 kB": "x" * 10_000 + "_2026-01-02-03.04.05.sql.zst",
    "64 letters": "x" * 64 + "_2026-01-02-03.04.05.sql.zst",
    "empty": "",
    "dots": "..",
    "a leading dash": "-rf_2026-01-02-03.04.05.sql.zst",
    "a hidden file": ".taaraxtak_2026-01-02-03.04.05.sql.zst",
    "a manifest's": "{}.manifest.json",
    "a partial's": "{}.partial",
    "no such day": "taaraxtak_2026-02-30-03.04.05.sql.zst",
    "Arabic figures": "taaraxtak_٢٠٢٦-01-02-03.04.05.sql.zst",
    "shell": "$(id)_2026-01-02-03.04.05.sql.zst",
}


NO_NAME = re.compile("is not the name of a dump|this key may")
# Who never came as far as the store's refusal was refused nothing.
NOT_TRIED = re.compile(
    "usage:|[Pp]ermission denied|Host key verification|Connection (refused|timed out)|Could not resolve|"
    "[Uu]nknown option|[Bb]ad configuration|[Cc]ommand-line|No such file"
)


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    out: str
    err: str


def by_hand(
    host: Host, user: str, command: t.Sequence[str], stdin: bytes = b"", env: t.Mapping[str, str] | None = None
) -> Answer:
    """*command* as *user*, with no environment but *env*."""
    given = {"command": list(command), "input": base64.b64encode(stdin).decode(), "env": dict(env or {})}
    said = host.check("python3", "-I", "-c", BY_HAND, stdin=json.dumps(given).encode(), user=user)
    return Answer(*json.loads(said))


def section(content: bytes) -> bytes:
    frame = struct.pack(">I", len(content)) + content if content else b""
    return frame + struct.pack(">I", 0)


def document(**content: t.Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def header(name: str) -> bytes:
    return document(
        protocol=protocol(),
        name=name,
        database="taaraxtak",
        kind="dump",
        encrypted=False,
        started="2026-01-02T03:04:05Z",
    )


def summary(refused: dict[str, str], allowed: list[str], few: int = 2) -> Seen:
    """What many attempts came to: all must have been refused."""
    shown = "; ".join(f"{name}: {said}" for name, said in list(refused.items())[:few])
    said = f"{len(refused)} refused, such as {shown}"
    return Seen(0 if allowed else 1, said, [f"ALLOWED: {name}" for name in allowed])


def strange_names(estate: Estate) -> Seen:
    """Each name is sent in a header with the writer's key, and asked for."""
    command = estate.store_command()
    refused, allowed = {}, []
    for what, pattern in NAMES.items():
        name = pattern.format("taaraxtak_2026-01-02-03.04.05.sql.zst")
        stream = section(header(name)) + section(b"bytes") + section(document(ok=True)) + section(b"")
        for verb, stdin in (("receive", stream), (f"stat {name}", b"")):
            if "\0" in verb:
                continue
            answer = by_hand(estate.production, "pgbackup", [*command, verb], stdin)
            reason = refusal(answer)
            # For its name, and not for what else is wrong with it.
            if NO_NAME.search(reason):
                refused[f"{what} ({verb[:7]})"] = reason[:60]
            else:
                allowed.append(f"{what} ({verb[:7]}): {reason or answer.out[:60]}")
    return summary(refused, allowed)


def refusal(answer: Answer) -> str:
    """The store's reason where it refuses in one line of JSON and by its exit status, else ""."""
    try:
        said = json.loads(answer.out)
    except ValueError:
        return ""
    return str(said.get("reason", "")) if answer.status == 1 and said.get("ok") is False else ""


def reused_name(estate: Estate) -> Seen:
    """The name of each dump that is there, sent again."""
    refused, allowed = {}, []
    names = [path.rsplit("/", 1)[1] for path in estate.files().proofs if ".globals." not in path]
    if not names:
        raise RuntimeError("there is no earlier dump")
    for name in names[-2:]:
        answer = by_hand(estate.production, "pgbackup", [*estate.store_command(), "receive"], section(again(name)))
        if "here already" in refusal(answer):
            refused[name] = refusal(answer)
        else:
            allowed.append(f"{name}: {answer.out[:80]}")
    return summary(refused, allowed)


def again(name: str) -> bytes:
    """The header of a dump that is there already."""
    stamp = name.split("_", 1)[1].split(".sql")[0]
    started = dt.datetime.strptime(stamp, "%Y-%m-%d-%H.%M.%S").replace(tzinfo=dt.UTC)
    content = json.loads(header(name))
    return document(**{**content, "started": f"{started:%Y-%m-%dT%H:%M:%SZ}"})


def strange_streams(estate: Estate) -> Seen:
    """Bytes that are no stream at all, and streams that stop anywhere."""
    start = section(header("taaraxtak_2026-01-02-03.04.05.sql.zst"))
    streams = {
        "nothing": b"",
        "zeros": bytes(64),
        "text": b"GET / HTTP/1.0\r\n\r\n",
        "a frame of 4 GB": b"\xff\xff\xff\xff",
        "no header": section(b"") * 4,
        "a header alone": start,
        "no trailer": start + section(b"x"),
        "an empty trailer": start + section(b"x") + section(b"") * 2,
        "a trailer of 20 MB": start + section(b"x") + section(b"[" * 1_000_000)[:-4] * 20,
        "a deep trailer": start + section(b"x") + section(b"[" * 100_000) + section(b""),
        "ok alone": start + section(b"x") + section(document(ok=True)) + section(b""),
        "another protocol": section(document(protocol=99, name="x")),
        "an abort": start
        + section(b"x")
        + section(document(ok=False, reason="by hand", statuses={}, final=False))
        + section(b""),
    }
    refused, allowed = {}, []
    for what, stream in streams.items():
        answer = by_hand(estate.production, "pgbackup", [*estate.store_command(), "receive"], stream)
        reason = refusal(answer)
        if reason:
            refused[what] = reason[:60]
        else:
            allowed.append(f"{what}: {answer.status} {answer.out[:60]} {answer.err[-200:]}")
    return summary(refused, allowed)


VERBS = (
    "", "rm -rf .", "rm -rf /var/lib/taaraxtak-dumps", "cat /etc/passwd", "cat", "sh", "sh -i", "bash -c id", "id",
    "scp -t /tmp/x", "scp -f /etc/passwd", "internal-sftp", "/usr/lib/openssh/sftp-server", "rsync --server . /",
    "receive; id", "receive\nid", "receive && id", "receive $(id)", " receive", "receive ", "RECEIVE", "receive x",
    "stat", "stat x; id", "stat ../../../etc/passwd", "stat a b", "list", "list --json", "ssh", "read", "fetch x",
    "archive", "prune", "check", "adopt /etc",   "x" * 10_000, "dump-store archive", "manifest x",
)  # fmt: skip


def other_verbs(estate: Estate) -> Seen:
    """Commands with the writer's key, a shell and a terminal among them."""
    command = estate.store_command()
    refused, allowed = {}, []
    for verb in VERBS:
        answer = by_hand(estate.production, "pgbackup", [*command, *([verb] if verb else [])])
        if NO_NAME.search(refusal(answer)):
            refused[verb[:20] or "a shell"] = refusal(answer)[:60]
        else:
            allowed.append(f"{verb[:20]!r}: {answer.status} {answer.out[:60]} {answer.err[-100:]}")
    return summary(refused, allowed)


def other_programs(estate: Estate) -> Seen:
    """scp, sftp and every kind of forwarding, by the real programs."""
    *options, target = estate.store_command()[1:]
    plain = [option for option in options if not option.startswith("-p")]
    port = next(option[2:] for option in options if option.startswith("-p"))
    forward = "-oExitOnForwardFailure=yes"
    commands = {
        "scp to": ["scp", *plain, f"-P{port}", "/etc/hostname", f"{target}:x"],
        "scp from": ["scp", *plain, f"-P{port}", f"{target}:/etc/passwd", "/dev/null"],
        "old scp to": ["scp", "-O", *plain, f"-P{port}", "/etc/hostname", f"{target}:x"],
        "sftp": ["sftp", *plain, f"-P{port}", "-b", "/dev/null", target],
        "sftp-server": ["ssh", *options, "-s", target, "sftp"],
        "remote forwarding": ["ssh", *options, forward, "-R", "127.0.0.1:39999:127.0.0.1:22", target, "stat x"],
        "remote socket": ["ssh", *options, forward, "-R", "/tmp/x:127.0.0.1:22", target, "stat x"],
        "stdio forwarding": ["ssh", *options, "-W", "127.0.0.1:22", target],
        "a tunnel": ["ssh", *options, forward, "-w", "any:any", target, "stat x"],
    }
    refused, allowed = {}, []
    for what, command in commands.items():
        answer = by_hand(estate.production, "pgbackup", command)
        if NOT_TRIED.search(answer.err):
            allowed.append(f"{what}, which was not tried: {answer.err.strip()[-100:]}")
        elif answer.status != 0 and "SSH-2.0" not in answer.out and "root:" not in answer.out:
            refused[what] = (answer.err.strip() or answer.out).splitlines()[-1][:60]
        else:
            allowed.append(f"{what}: {answer.out[:60]}")
    # A terminal and an agent are no error to ssh: it says so, and the command runs without.
    answer = by_hand(estate.production, "pgbackup", ["ssh", "-tt", *options, target, "stat x"])
    if "PTY allocation request failed" in answer.err:
        refused["a terminal"] = "PTY allocation request failed"
    else:
        allowed.append(f"a terminal: {answer.err[:80]}")
    return summary(refused, allowed)


@contextlib.contextmanager
def forgiven(estate: Estate) -> t.Iterator[None]:
    """Whoever fails to log in is turned away by newer servers for a while: afterwards the right key is heard again."""
    yield
    command = [*estate.store_command(), "stat x"]
    until(lambda: refusal(by_hand(estate.production, "pgbackup", command)), "sshd to listen again", 180)


def wrong_host_key(estate: Estate) -> Seen:
    """Another host under the store's name."""
    estate.production.check("rm", "-f", f"{TOOLS}/host", f"{TOOLS}/host.pub")
    estate.production.check("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{TOOLS}/host")
    other = " ".join(estate.production.read(f"{TOOLS}/host.pub").split()[:2])
    known = "/etc/taaraxtak/known_hosts"
    changed = estate.text(estate.production, known, lambda text: f"{text.split()[0]} {other}\n")
    with forgiven(estate), changed:
        return Seen.of(estate.send())


def wrong_key(estate: Estate) -> Seen:
    """A key that the store doesn't know."""
    path = f"{TOOLS}/other-writer"
    estate.production.check("rm", "-f", path, f"{path}.pub")
    estate.production.check("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
    estate.production.check("chown", "pgbackup", path)

    def other(words: list[str]) -> list[str]:
        return [f"-oIdentityFile={path}" if word.startswith("-oIdentityFile") else word for word in words]

    with forgiven(estate), estate.send_settings(command=other):
        return Seen.of(estate.send())


def key_from_elsewhere(estate: Estate) -> Seen:
    """The right key from an address that it is not for: the store's own loopback."""
    option = "-oIdentityFile="
    file = next(word for word in estate.store_command() if word.startswith(option)).removeprefix(option)
    key = estate.production.read(file)
    path = "/run/faultbed-key"
    try:
        estate.store.write(path, key, "0600")
        options = ["-F/dev/null", "-oBatchMode=yes", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null"]
        command = ["ssh", *options, "-oIdentitiesOnly=yes", f"-oIdentityFile={path}", "dumps@127.0.0.1", "stat x"]
        answer = by_hand(estate.store, "root", command)
    finally:
        estate.store.check("rm", "-f", path)
    return Seen(answer.status, answer.err)


FAULTS = (
    Fault("wrong host key", wrong_host_key, "Host key verification failed"),
    Fault("wrong key", wrong_key, "Permission denied"),
    Fault("the right key from another address", key_from_elsewhere, "Permission denied"),
    Fault("names: ../, absolute, newline, 10 kB and others", strange_names, "refused"),
    Fault("a name reused", reused_name, "here already", quick=True),
    Fault("streams that are none", strange_streams, "refused"),
    Fault("rm, cat, shell and other commands with the writer's key", other_verbs, "refused"),
    Fault("scp, sftp, forwarding, a terminal with the writer's key", other_programs, "refused"),
)
