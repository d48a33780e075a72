# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own firewall: nft, and what it loads at boot."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..files.whole import replace
from ..guard import systemd as guard
from ..hosts.running import attempt
from .compare import SERVICE, Seen, State
from .ruleset import FAMILY, MAIN, OURS, TABLE, at_boot, included, render
from .wanted import Firewall

# What the change is called while it waits to be confirmed.
CHANGE = "firewall"
NFT = "/usr/sbin/nft"
# nft answers in a moment: longer than this and something hangs.
PATIENCE_S = 30


def missing(*, check: bool) -> list[str]:
    """A note where nft is still to be installed and nothing is to be done yet; else a ValueError."""
    if Path(NFT).exists():
        return []
    sentence = "nft is not installed (Debian's package nftables)"
    if not check:
        raise ValueError(f"{sentence}: nothing was changed")
    return [f"{sentence}, so what is loaded can't be looked at"]


def look() -> Seen:
    """What the host lets in now, and after a boot."""
    status, said = _run(["/usr/bin/systemctl", "is-enabled", SERVICE])
    there = tables() if Path(NFT).exists() else ()
    ours = f"{FAMILY} {TABLE}"
    state = State(
        loaded=_listing([]) if ours in there else "",
        ours=_text(OURS),
        main=_text(MAIN),
        enabled=status == 0 and said.strip() == "enabled",
    )
    return Seen(state, guard.pending(CHANGE), tuple(table for table in there if table != ours))


def wanted(firewall: Firewall, seen: Seen) -> State:
    """What *seen* is to become."""
    rules = render(firewall)
    listed = as_listed(rules) if Path(NFT).exists() else rules
    return State(loaded=listed, ours=rules, main=included(seen.state.main), enabled=True)


def tables() -> tuple[str, ...]:
    """All tables of the host, as "family name"."""
    listed = _must([NFT, "list", "tables"]).splitlines()
    return tuple(sorted(line.removeprefix("table ") for line in listed))


def listing(name: str) -> str:
    """Any table, of the name that ``tables`` has it by, as nft lists it."""
    return _must([NFT, "--stateless", "list", "table", *name.split(" ", 1)])


def loaded() -> str:
    """Our table as nft lists it, or "" where there is none."""
    return _listing([]) if f"{FAMILY} {TABLE}" in tables() else ""


def load(rules: str) -> None:
    """Load *rules*: all or nothing."""
    _must([NFT, "-f", "-"], rules)


def as_listed(rules: str) -> str:
    """What nft would list of our table once *rules* are loaded: tried in a network of its own, which nothing reaches.

    The same rule can be written in many ways, so what is loaded is compared with what nft makes of what is wanted.
    """
    # cat answers once it is in its own network, and ends with us
    command = ["/usr/bin/unshare", "--net", "--", "/usr/bin/cat"]
    with subprocess.Popen(  # pylint: disable=ansible-bad-function
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as holder:
        if not _answers(holder):
            raise ValueError(
                "the rules could not be tried in a network of their own: that needs root with CAP_SYS_ADMIN"
            )
        enter = ["/usr/bin/nsenter", f"--net=/proc/{holder.pid}/ns/net", "--"]
        _must([*enter, NFT, "-f", "-"], rules)
        return _listing(enter)


def refuse_at_boot(ours: str, main: str) -> None:
    """ValueError where nft would refuse *main* with *ours*: one mistake in it, and nothing at all is loaded at boot."""
    status, said = _run([NFT, "--check", "-f", "-"], at_boot(main, ours))
    if status != 0:
        raise ValueError(f"nft refuses {MAIN}, so nothing would be loaded at boot: {_first(said)}")


def keep(ours: str, main: str) -> None:
    """Have the host load *ours* at boot; ValueError where nft would refuse the files."""
    refuse_at_boot(ours, main)
    write(ours, main)
    _must(["/usr/bin/systemctl", "enable", SERVICE])


def write(ours: str, main: str) -> None:
    """Write the two files that a boot loads; one that is to hold nothing is removed."""
    if ours:
        replace(Path(OURS), ours.encode("utf-8", "surrogateescape"), mode=0o644)
    if main:
        replace(Path(MAIN), main.encode("utf-8", "surrogateescape"))
    for path, text in ((MAIN, main), (OURS, ours)):
        if not text:
            Path(path).unlink(missing_ok=True)


def _answers(holder: subprocess.Popen[bytes]) -> bool:
    if holder.stdin is None or holder.stdout is None:
        return False
    try:
        holder.stdin.write(b"\n")
        holder.stdin.flush()
        return bool(holder.stdout.readline())
    except BrokenPipeError:
        return False


def _listing(enter: list[str]) -> str:
    return _must([*enter, NFT, "--stateless", "list", "table", FAMILY, TABLE])


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""


def _must(command: list[str], given: str = "") -> str:
    status, said = _run(command, given)
    if status != 0:
        raise ValueError(f"{' '.join(command)} failed with exit status {status}: {_first(said)}")
    return said


def _first(said: str) -> str:
    """The line that says what is wrong; the next ones point into the text."""
    return (said.strip().splitlines() or ["it said nothing"])[0]


def _run(command: list[str], given: str = "") -> tuple[int, str]:
    done = attempt(command, given=given.encode("utf-8", "surrogateescape"), patience=PATIENCE_S)
    said = done.stdout if done.returncode == 0 else done.stderr
    return done.returncode, said.decode("utf-8", "surrogateescape")
