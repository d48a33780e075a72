# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask sshd what it would do for each account."""

from __future__ import annotations

import concurrent.futures
import functools
import typing as t

from ..sshd.effective import read
from . import accounts
from .running import run

ANYBODY = "*"
# Of a documentation's network, so that no rule for an address is meant.
_FROM = "host=any,addr=192.0.2.1"


@functools.cache
def effective(name: str) -> dict[str, list[str]]:
    """What sshd would do for *name*, keyword by keyword."""
    return read(run(["/usr/sbin/sshd", "-T", "-C", f"user={name},{_FROM}"]))


def ask_all() -> None:
    """Ask for every account, several at a time."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(effective, _names()))


def look() -> dict[str, t.Any]:
    """What it does for anybody, and what else it does for each account."""
    ask_all()
    common = effective(_names()[0])
    differing = {name: _others(effective(name), common) for name in _names()}
    return {"settings": {ANYBODY: common, **{name: found for name, found in differing.items() if found}}}


def _names() -> list[str]:
    # the first is nobody's: what no Match block is about
    return ["-", *(name for name, _home in accounts.names())]


def _others(own: dict[str, list[str]], common: dict[str, list[str]]) -> dict[str, list[str]]:
    return {word: own.get(word, []) for word in sorted({*own, *common}) if own.get(word) != common.get(word)}
