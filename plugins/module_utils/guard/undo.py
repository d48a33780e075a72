# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A way back from a change that could shut everybody out: the units with which the host itself undoes it in time.

They lie in /etc, and the service is enabled: a host that restarts goes back before anybody reads the change.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

UNITS = "/etc/systemd/system"
# Where what is to be put back is kept, as long as the change is on trial.
KEPT = "/etc/taaraxtak-undo"

# Below this a slow login would be undone; above an hour nobody waits at the console.
SECONDS = range(5, 3601)

# As soon as files can be written, and before anything reads them.
AT_BOOT = (
    "DefaultDependencies=no\nAfter=local-fs.target\n"
    "Before=sysinit.target nftables.service ssh.service shutdown.target\nConflicts=shutdown.target\n"
)

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True)
class Undo:
    """What takes the change *name* back after *seconds*: *commands*, in this order, each with its arguments.

    Where one fails or is cut off, all are run anew: run twice, they have to give the same. *then* comes after them and
    may fail, since what was there is back by then.
    """

    name: str
    seconds: int
    commands: tuple[tuple[str, ...], ...]
    then: tuple[tuple[str, ...], ...] = ()


def folder_of(name: str) -> str:
    """The folder with what the undo of *name* needs; it exists as long as the change is not confirmed."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} can't name a change: small letters, digits and -, beginning with a letter")
    return f"{KEPT}/{name}"


def service_of(name: str) -> str:
    """The unit that undoes the change *name*."""
    return f"taaraxtak-undo-{name}.service"


def timer_of(name: str) -> str:
    """The unit that starts it."""
    return f"taaraxtak-undo-{name}.timer"


def paths_of(name: str) -> tuple[str, ...]:
    """What makes the undo of *name* start: the link that starts it at boot, and the units."""
    return (
        f"{UNITS}/sysinit.target.wants/{service_of(name)}",
        f"{UNITS}/{timer_of(name)}",
        f"{UNITS}/{service_of(name)}",
    )


def units_of(undo: Undo) -> dict[str, str]:
    """The content of each unit's file. Raises ValueError where a command can't be written in one."""
    if undo.seconds not in SECONDS:
        raise ValueError(f"a change is undone after {SECONDS[0]} to {SECONDS[-1]} seconds, not {undo.seconds}")
    last = ("/usr/bin/rm", "-rf", "--", *paths_of(undo.name), folder_of(undo.name))
    lines = "".join(
        (
            *(f"ExecStart={_quoted(command)}\n" for command in undo.commands),
            *(f"ExecStart=-{_quoted(command)}\n" for command in undo.then),
            f"ExecStart={_quoted(last)}\n",
        )
    )
    return {
        f"{UNITS}/{service_of(undo.name)}": (
            f"[Unit]\nDescription=Undo the change {undo.name}, which nobody has confirmed\n"
            f"{AT_BOOT}"
            # whoever tries once more is not to be told that it was too often
            "StartLimitIntervalSec=0\n\n"
            f"[Service]\nType=oneshot\n{lines}"
        ),
        f"{UNITS}/{timer_of(undo.name)}": (
            f"[Unit]\nDescription=Undo the change {undo.name} unless it is confirmed in time\n"
            # else the timer would come after sysinit.target, and what it starts has to come before
            "DefaultDependencies=no\nBefore=shutdown.target\nConflicts=shutdown.target\n\n"
            # one minute is the accuracy that timers have by themselves
            f"[Timer]\nOnActiveSec={undo.seconds}\nAccuracySec=100ms\nRemainAfterElapse=no\n"
        ),
    }


def with_command(service: str, command: t.Sequence[str]) -> str:
    """The content of a unit's file *service* with one more command, which may fail, after all others but the last."""
    before, last = service.rstrip("\n").rsplit("\n", 1)
    return f"{before}\nExecStart=-{_quoted(command)}\n{last}\n"


def _quoted(command: t.Sequence[str]) -> str:
    if not command or not command[0].startswith("/"):
        raise ValueError(f"the command {' '.join(command)!r} has to begin with an absolute path")
    return " ".join(_quoted_word(word) for word in command)


def _quoted_word(word: str) -> str:
    """*word* as systemd.syntax(7) and the command lines of systemd.service(5) want it."""
    if any(character < " " or character == "\x7f" for character in word):
        raise ValueError(f"a command of a unit can't hold {word!r}")
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(character, escaped)
    return f'"{word}"'
