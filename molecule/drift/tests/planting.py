"""How something is broken by hand, and what the audit has to say of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

P, S, C = "production", "store", "controller"
# What prepare.yml has made.
FOLDER = Path(__file__).resolve().parents[3] / "build" / "molecule" / "drift"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8mGCv5bXhQ3ejt0Ya5e0cVwVVBoEtrSUWKvE1wVxYn mallory"
KEYS, READER = "/etc/ssh/devops_keys", "/etc/ssh/dump_store_keys/dumps-read"
SYSTEM = "/etc/systemd/system"
SETTINGS = "/etc/postgresql/17/main/conf.d/taaraxtak.conf"
BACKUP_CRON, BACKUP_SUDO = "/etc/cron.d/taaraxtak-backup", "/etc/sudoers.d/taaraxtak-backup"


@dataclasses.dataclass(frozen=True)
class Planted:
    """One thing. ``done``: commands, or files; ``found``: each finding's rule and object. PAIR is a file's name."""

    id: str
    host: str
    done: tuple[tuple[str, ...] | File, ...]
    found: tuple[tuple[str, str], ...]
    mended: bool = False
    # The host that has the finding, where it isn't the one on which it was done.
    shown: str = ""


@dataclasses.dataclass(frozen=True)
class File:
    """A file that is written, or a line that is added to one."""

    path: str
    content: str | Path
    mode: str = "0644"
    add: bool = False


# The certificate that is served is called after what is in it.
PAIR = "PAIR"
# The dump that a plant has made.
NEWEST = "NEWEST"


def run(command: str) -> tuple[str, ...]:
    return tuple(command.split())


def one(rule: str, about: str) -> tuple[tuple[str, str], ...]:
    return ((rule, about),)


def line(path: str, content: str) -> File:
    return File(path, f"{content}\n", add=True)


def sed(expression: str, path: str) -> tuple[str, ...]:
    return ("sed", "-i", expression, path)


def script(text: str) -> tuple[str, ...]:
    return ("sh", "-ec", text)


def sql(statement: str) -> tuple[str, ...]:
    return (
        "runuser",
        "-u",
        "postgres",
        "--",
        "psql",
        "-X",
        "-v",
        "ON_ERROR_STOP=1",
        "-d",
        "taaraxtak",
        "-c",
        statement,
    )
