# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a restore may go to: the server's address, the database's names, and the sentences that refuse.

A restore into NAME uses the names ``NAME__restoring``, while it runs, and ``NAME__previous``, ``NAME__previous_2`` and
so on for what NAME was before, the newest first. They belong to the restore: the first is dropped when it is found,
and of the others those beyond the number that is to be kept.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import socket
import typing as t

from ..processes import DumpError

RESTORING = "__restoring"
PREVIOUS = "__previous"
# The time zone that dumps are made in.
UTC = "UTC"
# NAMEDATALEN - 1 of PostgreSQL, in bytes: what is longer would be cut without an error.
NAME_LIMIT = 63
# What is there on a host that dumps are made on.
PRODUCTION_MARK = "/etc/taaraxtak/dump-source.json"
# So many previous databases are a mistake, not a plan.
MOST_KEPT = 99
# PostgreSQL's own.
_SYSTEM = frozenset({"postgres", "template0", "template1"})
_OURS = re.compile(rf".*({RESTORING}|{PREVIOUS}(_[0-9]+)?)", re.DOTALL)
# A text of N bytes takes at most so much on the disk: rows have headers and there are indexes. The write-ahead log of
# the load comes on top, and is bounded by max_wal_size.
SPACE_FACTOR = 1.5


@dataclasses.dataclass(frozen=True)
class Permission:
    """Leave to restore where production may be.

    ``typed`` is the name of the production host as somebody has typed it out. ``production`` are the names of the hosts
    that are known to be production: a server that runs on one of them is one, by whatever address it is reached.
    """

    into_production: bool = False
    typed: str = ""
    production: tuple[str, ...] = ()

    def given_for(self, host: str) -> bool:
        """Whether it was given for *host*, by its name."""
        return self.into_production and bool(host) and self.typed == host


@dataclasses.dataclass(frozen=True)
class Target:
    """A server and who restores there.

    ``host`` is the folder of a socket or an address, ``user`` the superuser that makes, renames and drops databases,
    whom ``os_user`` may log in as by peer ("" for the user who runs this), or ``password``. ``bindir`` holds the
    programs of the server's version; "" looks for them.

    ``restore_user`` is the role that the dump is run as, and never a superuser. ``restore_os_user`` may log in as it by
    peer. Without one it is a role made for the time of the restore, with a password: pg_hba.conf must let it in by
    scram-sha-256. Where the server is a sandbox that is thrown away, ``sandbox`` runs the dump as ``user`` itself: then
    what only a superuser may make restores too, and the dump may do what it likes to that server.
    """

    host: str = "/var/run/postgresql"
    port: int = 5432
    user: str = "postgres"
    os_user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    bindir: str = ""
    restore_user: str = ""
    restore_os_user: str = ""
    sandbox: bool = False

    @property
    def by_socket(self) -> bool:
        """Whether it is reached by a unix socket."""
        return self.host.startswith("/")


def remote(target: Target) -> str:
    """The address of *target* where it is another machine, "" where it is this one."""
    return "" if target.by_socket or target.host == "localhost" or _loopback(target.host) else target.host


def resolved(target: Target, permission: Permission) -> str:
    """The address to connect to; DumpError where the target is another machine, and that was not asked for.

    A name is resolved once, and what it resolved to is connected to. A list of hosts, or none, is no address here.
    """
    host = target.host
    if target.by_socket:
        return host
    if _loopback(host):
        return host
    if host == "localhost":
        found = sorted({str(info[4][0]) for info in socket.getaddrinfo(host, target.port, type=socket.SOCK_STREAM)})
        if found and all(_loopback(address) for address in found):
            return found[0]
    if host and "," not in host and permission.given_for(host):
        return host
    raise DumpError(
        f"{host!r} is neither a socket's folder nor a loopback address: to restore into the production host itself, "
        "say restore_into_production and type its name out"
    )


def check_server_host(name: str, permission: Permission, *, marked: bool = False, address: str = "") -> None:
    """DumpError where the server says that it runs on a production host, *name*, and that was not asked for.

    A forwarded port looks like loopback from here. *marked* says that the server's host has `PRODUCTION_MARK`.
    *address* is what is connected to where that is no loopback: it may be what was typed.
    """
    known = [host for host in permission.production if name and _first_label(host) == _first_label(name)]
    if marked and not known:
        known = [name or "without a name"]
    if known and not any(permission.given_for(host) for host in (*known, name, address)):
        raise DumpError(
            f"this server runs on the production host {known[0]}: to restore into it, say restore_into_production and "
            "type its name out"
        )


def check_name(database: str, keep_previous: int = 1) -> None:
    """DumpError where nothing may be restored into a database of this name."""
    if not database:
        raise DumpError("the database to restore into has no name: name it")
    if database in _SYSTEM or database.startswith("pg_"):
        raise DumpError(f"{database!r} is PostgreSQL's own database: restore into another one")
    if not database.isprintable():
        raise DumpError(f"the name {database!r} holds what can't be printed: restore into a database with a plain name")
    if of_a_restore(database):
        raise DumpError(f"{database!r} is a name that a restore itself uses: restore into a database with another name")
    if not 0 <= keep_previous <= MOST_KEPT:
        raise DumpError(f"keep_previous must be 0 to {MOST_KEPT}, not {keep_previous}")
    longest = max(len(name.encode()) for name in (restoring(database), previous(database, keep_previous + 1)))
    if longest > NAME_LIMIT:
        raise DumpError(
            f"the name {database!r} is too long: while it is restored its name needs {longest} bytes, and PostgreSQL "
            f"has {NAME_LIMIT}"
        )


def of_a_restore(name: str) -> bool:
    """Whether *name* is one of those that restores use."""
    return _OURS.fullmatch(name) is not None


def restoring(database: str) -> str:
    """The name under which *database* is restored."""
    return f"{database}{RESTORING}"


def previous(database: str, number: int = 1) -> str:
    """The name of what *database* was before; 1 is the newest."""
    return f"{database}{PREVIOUS}" + (f"_{number}" if number > 1 else "")


def kept(database: str, existing: t.Collection[str]) -> dict[int, str]:
    """The previous databases among the *existing* ones, by number, the newest first."""
    pattern = re.compile(rf"{re.escape(database + PREVIOUS)}(?:_([2-9]|[1-9][0-9]+))?", re.DOTALL)
    found = {int(match[1] or 1): name for name in existing if (match := pattern.fullmatch(name))}
    return dict(sorted(found.items()))


def shifts(database: str, existing: t.Collection[str]) -> list[tuple[str, str]]:
    """The renames that make room for the newest previous database, in order: from the first gap backwards."""
    numbers = kept(database, existing)
    gap = next(number for number in range(1, len(numbers) + 2) if number not in numbers)
    return [(previous(database, number), previous(database, number + 1)) for number in range(gap - 1, 0, -1)]


def beyond(database: str, existing: t.Collection[str], keep_previous: int) -> dict[str, str]:
    """What a restore drops of the *existing* databases, each with what has replaced it, "" where nothing has yet."""
    moved = dict([*shifts(database, existing), (database, previous(database))]) if database in existing else {}
    back = {new: old for old, new in moved.items()}
    after = kept(database, {moved.get(name, name) for name in existing})
    gone = [back.get(name, name) for number, name in after.items() if number > keep_previous]
    chain = [name for name in (database, *kept(database, existing).values()) if name in existing]
    return {name: chain[chain.index(name) - 1] if name != chain[0] else "" for name in gone}


def check_version(server: int, dump: str) -> None:
    """DumpError where the *server* (its major version) is older than the one that the *dump* says it comes from."""
    major = re.match(r"[0-9]+", dump)
    if major and server < int(major[0]):
        raise DumpError(
            f"the dump comes from PostgreSQL {major[0]}, and this server is PostgreSQL {server}: restore it into "
            f"PostgreSQL {major[0]} or newer"
        )


@dataclasses.dataclass(frozen=True)
class Extension:
    """What a server can install: its ``default`` version, all ``versions``, whether one need be ``trusted`` with it."""

    default: str
    versions: frozenset[str]
    trusted: bool


def check_extensions(
    wanted: t.Mapping[str, str], available: t.Mapping[str, Extension], *, superuser: bool = False
) -> None:
    """DumpError that names the extensions that the server lacks, has older, or gives to a superuser alone."""
    absent = sorted(name for name in wanted if name not in available)
    if absent:
        raise DumpError(
            f"the dump needs {_extensions(absent)}, which the server does not have: install the packages that bring it"
        )
    older = [
        f"{name} {version} (here {available[name].default})"
        for name, version in sorted(wanted.items())
        if _older(available[name], version)
    ]
    if older:
        raise DumpError(f"the dump needs {_extensions(older)}: install a newer version of the package that brings it")
    untrusted = [] if superuser else sorted(name for name in wanted if not available[name].trusted)
    if untrusted:
        raise DumpError(
            f"the dump needs {_extensions(untrusted)}, which only a superuser may create: restore it in a sandbox"
        )


def check_space(free: int, needed: int, folder: str) -> None:
    """DumpError where *needed* bytes don't fit into the *free* ones of *folder*."""
    if free < needed:
        raise DumpError(
            f"the restore needs {_size(needed)} beside the database that is there, and {folder} has {_size(free)} "
            "free: make room"
        )


def check_settings(settings: t.Mapping[str, str], server: int) -> None:
    """DumpError where a server of the major version *server* has no databases with such *settings*."""
    provider = settings.get("provider", "c")
    oldest = {"c": 0, "i": 15, "b": 17}.get(provider)
    if oldest is None:
        raise DumpError(f"the dump's database has the locale provider {provider!r}, which is not known here")
    if server < oldest:
        raise DumpError(
            f"the dump's database takes its locale from {'ICU' if provider == 'i' else 'PostgreSQL itself'}, which "
            f"needs PostgreSQL {oldest} or newer: this server is PostgreSQL {server}"
        )


def _loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address == ipaddress.ip_address("::1") or (address.version == 4 and address.is_loopback)


def _first_label(host: str) -> str:
    """A host may call itself by the first part of its name alone; an address is no such name."""
    return host if re.fullmatch(r"[0-9.]+|.*:.*", host) else host.lower().partition(".")[0]


def _older(extension: Extension, wanted: str) -> bool:
    """Whether CREATE EXTENSION, which takes the default version, gives an older one than *wanted*."""
    if extension.default == wanted:
        return False
    numbers = [_numbers(version) for version in (extension.default, wanted)]
    if None in numbers:
        return wanted not in extension.versions
    return t.cast(bool, numbers[0] < numbers[1])  # type: ignore[operator]


def _numbers(version: str) -> tuple[int, ...] | None:
    return tuple(int(part) for part in version.split(".")) if re.fullmatch(r"[0-9]+(\.[0-9]+)*", version) else None


def _extensions(names: t.Sequence[str]) -> str:
    return f"the extension{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _size(count: int) -> str:
    """In the largest unit that fits, as people read it."""
    size, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.3g} {units[0]}"
