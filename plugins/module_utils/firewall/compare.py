# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between what a host lets in, now and after a boot, and what it is to let in."""

from __future__ import annotations

from dataclasses import dataclass

from .ruleset import FAMILY, MAIN, OURS, TABLE

SERVICE = "nftables.service"


@dataclass(frozen=True)
class State:
    """What is loaded (as nft lists it, "" for no table), and what will be at boot."""

    loaded: str
    ours: str
    main: str
    enabled: bool


@dataclass(frozen=True)
class Seen:
    """What a host is, and what else is said of it."""

    state: State
    # a change that nobody has confirmed
    pending: bool = False
    others: tuple[str, ...] = ()


def differs(seen: Seen, wanted: State) -> bool:
    """Whether there is anything to do."""
    return seen.pending or seen.state != wanted


def to_keep(seen: Seen, wanted: State) -> bool:
    """Whether the next boot would bring something else than *wanted*."""
    return (seen.state.ours, seen.state.main, seen.state.enabled) != (wanted.ours, wanted.main, wanted.enabled)


def diff_of(before: State, after: State) -> list[dict[str, str]]:
    """Ansible's diff: only what changes."""
    parts = [
        (f"table {FAMILY} {TABLE}, loaded", before.loaded, after.loaded),
        (OURS, before.ours, after.ours),
        (MAIN, before.main, after.main),
        (SERVICE, _at_boot(before), _at_boot(after)),
    ]
    return [
        {"before_header": name, "after_header": name, "before": old, "after": new}
        for name, old, new in parts
        if old != new
    ]


def _at_boot(state: State) -> str:
    return "enabled\n" if state.enabled else "disabled\n"
