# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change what a host lets in so that it comes back by itself where nobody confirms it."""

from __future__ import annotations

from ..guard import systemd as guard
from ..guard.undo import Undo
from . import host
from .compare import Seen, State, to_keep
from .ruleset import restore


def load_guarded(wanted: State, seconds: int) -> None:
    """Load the rules of *wanted*, after the host was told to put back what is there now in *seconds*."""
    # of an interrupted run: nobody has confirmed its rules, so they are nothing to come back to
    guard.put_back(host.CHANGE)
    before = guard.begin(host.CHANGE) / "before.nft"
    try:
        before.write_text(restore(host.loaded()), encoding="utf-8", errors="surrogateescape")
        guard.arm(Undo(host.CHANGE, seconds, ((host.NFT, "-f", str(before)),)))
        host.load(wanted.ours)
    except BaseException:
        guard.put_back(host.CHANGE)
        raise


def confirm(seen: Seen, wanted: State, *, check: bool) -> None:
    """The rules of *wanted* stay, after a boot too. ValueError where they are not what is loaded."""
    _refuse_others(seen.state.loaded, wanted)
    if check:
        return
    try:
        # while there is a way back: what can't be kept goes away by itself
        if to_keep(seen, wanted):
            host.keep(wanted.ours, wanted.main)
        guard.confirm(host.CHANGE)
        # the host may have put back the former rules just before
        _refuse_others(host.loaded(), wanted)
    except (ValueError, OSError):
        host.write(seen.state.ours, seen.state.main)
        raise


def _refuse_others(loaded: str, wanted: State) -> None:
    if loaded != wanted.loaded:
        raise ValueError(
            "the rules that are loaded are not those that are to stay: nobody came back in time and the host has put "
            "its former rules back by itself, or another run has changed them; apply the rules again"
        )
