# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every part of a host that the audit looks at: one that can't be read keeps no other from being read."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import typing as t

from . import (
    accounts,
    certificates,
    clock,
    disk,
    jobs,
    keys,
    packages,
    privileged_files,
    rules_loaded,
    secrets,
    sockets,
    sshd,
    sudo,
    units,
    upgrades,
)

# Programs of four parts at once: dpkg, apt, sudo and sshd all wait for the disk.
_AT_ONCE = 4


@dataclasses.dataclass(frozen=True)
class Options:
    """What some parts are told."""

    certificates: tuple[str, ...] = ()
    firewall: t.Mapping[str, t.Any] | None = None
    packages: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    places: tuple[str, ...] = ("/",)
    units: tuple[str, ...] = ()


def _firewall(options: Options) -> dict[str, t.Any]:
    if options.firewall is None:
        raise ValueError("nobody said what the firewall is to let in: the option firewall is missing")
    return rules_loaded.look(options.firewall)


PARTS: dict[str, t.Callable[[Options], dict[str, t.Any]]] = {
    # The slow ones first.
    "packages": lambda options: packages.look(options.packages),
    "upgrades": lambda _options: upgrades.look(),
    "sshd": lambda _options: sshd.look(),
    "sudo_rules": lambda _options: sudo.look(),
    "keys": lambda _options: keys.look(),
    "privileged_files": lambda _options: privileged_files.look(),
    "accounts": lambda _options: accounts.look(),
    "jobs": lambda _options: jobs.look(),
    "sockets": lambda _options: sockets.look(),
    "firewall": _firewall,
    "certificates": lambda options: certificates.look(options.certificates),
    "disk": lambda options: disk.look(options.places),
    "clock": lambda _options: clock.look(),
    "secrets": lambda options: secrets.look(options.paths),
    "units": lambda options: units.look(options.units),
}


def gather(names: t.Iterable[str], options: Options) -> dict[str, dict[str, t.Any]]:
    """What each part says, by its name: ``state`` read, unreadable or absent, ``why``, ``data``."""
    wanted = [name for name in PARTS if name in set(names)]
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(functools.partial(_read, options=options), wanted)
        return dict(sorted(zip(wanted, found, strict=True)))


def _read(name: str, options: Options) -> dict[str, t.Any]:
    try:
        return {"state": "read", "why": "", "data": _text(PARTS[name](options))}
    except clock.ElsewhereError as why:
        return {"state": "absent", "why": str(why), "data": {}}
    # whatever it is, the other parts are still read
    except Exception as error:
        return {"state": "unreadable", "why": _text(f"{type(error).__name__}: {error}"), "data": {}}


def _text(value: t.Any) -> t.Any:
    """The same, in which a byte that is no text, as a file's name may have, is shown by its number."""
    if isinstance(value, dict):
        return {_text(key): _text(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_text(one) for one in value]
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value
