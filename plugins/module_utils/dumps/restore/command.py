# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dump-restore``: restore a dump into an own server, with the same proof. It needs no Ansible.

The server is PGURL in the environment: a URL may hold a password, which belongs into no argument list, and into no
child's environment either.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import sys
import typing as t
import urllib.parse

from ..processes import DumpError
from ..progress import Progress
from ..signatures import SIGNERS, Signers
from ..transfer import Interruption
from . import restoring
from .material import Material, from_command, from_file
from .server import Server
from .target import PRODUCTION_MARK, UTC, Permission, Target, check_name
from .untouched import Untouched

PROGRAM = "dump-restore"
URL = "PGURL"
SSH_PORT = 22
# The account that reading keys lead to.
READER = "dumps-read"
_SCHEMES = ("postgresql", "postgres")


def target_of(url: str, *, bindir: str = "") -> tuple[Target, str]:
    """The server that *url* names, and the database in it, "" for none; DumpError that repeats no password."""
    try:
        parts = urllib.parse.urlsplit(url)
        asked = urllib.parse.parse_qs(parts.query, strict_parsing=bool(parts.query))
        port = parts.port
    except ValueError:
        raise DumpError(f"{URL} is no URL: write postgresql://USER@HOST:PORT/DATABASE") from None
    if parts.scheme not in _SCHEMES:
        raise DumpError(f"{URL} must begin with postgresql://")
    unknown = sorted(asked.keys() - {"host", "port", "user"})
    if unknown or parts.fragment:
        raise DumpError(f"{URL} may have host, port and user behind the ?, not {', '.join(unknown) or 'a #'}")
    given = {key: values[-1] for key, values in asked.items()}
    host = urllib.parse.unquote(parts.hostname or "") or given.get("host", "") or Target.host
    number = str(port or given.get("port", Target.port))
    if not number.isdecimal():
        raise DumpError(f"{URL} has a port that is no number")
    target = Target(
        host=host,
        port=int(number),
        user=urllib.parse.unquote(parts.username or "") or given.get("user", Target.user),
        password=urllib.parse.unquote(parts.password or ""),
        bindir=bindir,
    )
    return target, urllib.parse.unquote(parts.path.removeprefix("/"))


def reader_command(store: str, key: str, known_hosts: str) -> list[str]:
    """The words of ssh that ask *store* (``[USER@]HOST[:PORT]``) with a reading key, and trust *known_hosts* alone."""
    user, at, address = store.rpartition("@")
    host, colon, port = address.rpartition(":") if address.count(":") == 1 else (address, "", "")
    if (
        not host
        or host.startswith("-")
        or user.startswith("-")
        or (at and not user)
        or (colon and not port.isdecimal())
    ):
        raise DumpError(f"{store!r} is no address of a store: write USER@HOST, or USER@HOST:PORT")
    for what, path in (("the key", key), ("the store's host key (known_hosts)", known_hosts)):
        if not path or not os.access(path, os.R_OK):
            raise DumpError(f"{what} can't be read from {path or 'nowhere'}: name the file")
    return [
        "/usr/bin/ssh",
        "-F/dev/null",
        "-T",
        f"-p{port or SSH_PORT}",
        "-oBatchMode=yes",
        "-oStrictHostKeyChecking=yes",
        f"-oUserKnownHostsFile={_quoted(known_hosts)}",
        "-oGlobalKnownHostsFile=/dev/null",
        "-oUpdateHostKeys=no",
        "-oIdentitiesOnly=yes",
        "-oIdentityAgent=none",
        f"-oIdentityFile={_quoted(key)}",
        "-oConnectTimeout=20",
        "-oServerAliveInterval=15",
        "-oServerAliveCountMax=4",
        f"{user or READER}@{host}",
    ]


def own_name() -> tuple[str, ...]:
    """This host's name where it is a production host, that is where dumps are made."""
    return (socket.gethostname(),) if os.path.exists(PRODUCTION_MARK) else ()  # noqa: PTH110 (a fixed name)


def permission_of(*, into: bool, typed: str, known: t.Iterable[str] = ()) -> Permission:
    """Whether production may be restored into; ValueError where it may and nobody has typed out which host that is."""
    if into and not typed:
        raise ValueError("restore_into_production needs the host's name typed out in production_host")
    return Permission(into_production=into, typed=typed, production=(*known, *own_name()))


def found_signers(path: str) -> Signers | None:
    """Whose signatures count: those in the file *path*, "" for the usual one, None where that is not there."""
    if path:
        return Signers(path)
    return Signers() if os.path.exists(SIGNERS) else None  # noqa: PTH110 (a fixed name)


def main() -> int:
    """Restore what is named: 0 where the copy was proved equal and has its place."""
    given = _parser().parse_args()
    progress, interruption = Progress(PROGRAM), Interruption()
    interruption.listen()
    begun = ""

    def show(what: str, state: t.Mapping[str, t.Any]) -> None:
        nonlocal begun
        if what != begun:
            begun = what
            progress.begin(what)
        progress.take(state)

    try:
        with contextlib.ExitStack() as stack:
            with Untouched() as untouched:
                # Out of the environment, which children inherit.
                target, database = target_of(os.environ.pop(URL, ""), bindir=given.bindir)
                options = _options(given, database)
                untouched.database = options.database
                material = _material(given)
                untouched.database = options.database or material.database
                plan = restoring.plan(material, options)
                server = stack.enter_context(Server(target, Permission(production=own_name())))
                if given.check:
                    server.check(plan.needs)
                    progress.say(_announced(plan))
                    for one in server.would_drop(plan.database, options.keep_previous):
                        progress.say(f"{one['name']}, in use until {one['until']}, would be dropped")
                    return 0
            report = restoring.restore(server, plan, options, show=show, commit=interruption.hold)
    except (DumpError, ValueError, OSError) as error:
        progress.say(str(error) or type(error).__name__, error=True)
        return 1
    progress.end()
    if given.json:
        sys.stdout.write(json.dumps(report.document()) + "\n")
    else:
        for line in _told(report):
            progress.say(line)
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> t.NoReturn:
        """Of the words themselves; nothing was looked at yet."""
        super().error(f"{message}; {Untouched().sentence()}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description=f"Restore a dump into the server of {URL}.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--file", metavar="PATH", help="the dump: .sql.zst[.age], .sql.gz, .sql.tar.gz or .sql")
    source.add_argument("--store", metavar="USER@HOST", help="fetch it from this store")
    parser.add_argument("--key", default="", metavar="PATH", help="the reading key for the store")
    parser.add_argument("--known-hosts", default="", metavar="PATH", help="a file with the store's host key")
    parser.add_argument("--name", default="", help="the dump's name; without it the newest archived one")
    parser.add_argument("--database", default="", help="the database whose newest dump it is")
    parser.add_argument("--into", help="the database to restore into; else that of the URL or of the dump")
    parser.add_argument("--owner", default="", help="the role that gets it; else the owner until now")
    parser.add_argument("--signers", default="", metavar="PATH", help="whose signatures count")
    parser.add_argument("--unproved", action="store_true", help="restore though nothing proves who made the dump")
    parser.add_argument("--timezone", default=UTC, help="that of the server that an old dump was made on; else UTC")
    parser.add_argument("--identity", default="", metavar="PATH", help="age's key, of an encrypted dump")
    parser.add_argument("--keep-previous", type=int, default=1, metavar="N", help="keep so many of what was there")
    parser.add_argument("--keep-roles", action="store_true", help="make no role that the dump names and is not there")
    parser.add_argument("--bindir", default="", metavar="PATH", help="the folder of psql and pg_dump")
    parser.add_argument("--check", action="store_true", help="only say what would be restored")
    parser.add_argument("--json", action="store_true", help="say how it ended as JSON")
    return parser


def _options(given: argparse.Namespace, database: str) -> restoring.Options:
    if given.into is not None:
        # A name that is given and empty means no database, and not the one that is there.
        check_name(given.into)
    return restoring.Options(
        database=given.into or database,
        owner=given.owner,
        keep_previous=given.keep_previous,
        signers=found_signers(_whole(given.signers)),
        unproved=given.unproved,
        create_roles=not given.keep_roles,
        timezone=given.timezone,
        identity=_whole(given.identity),
        **{name: shutil.which(name) or f"/usr/bin/{name}" for name in ("zstd", "gzip", "age")},
    )


def _whole(path: str) -> str:
    """Programs are started elsewhere, so that a path from here must be whole; "" stays that."""
    return os.path.abspath(path) if path else ""  # noqa: PTH100 (a word of a command line)


def _material(given: argparse.Namespace) -> Material:
    if given.file:
        return from_file(_whole(given.file))
    command = reader_command(given.store, _whole(given.key), _whole(given.known_hosts))
    return from_command(command, name=given.name, database=given.database)


def _announced(plan: restoring.Plan) -> str:
    dump = plan.dump()
    size = f"{dump['bytes']} bytes" + (f", {dump['raw_bytes']} of text, {dump['rows']} rows" if "rows" in dump else "")
    return f"{dump['file']} ({size}) would be restored into {plan.database}; {_proved_by(plan)}"


def _told(report: restoring.Report) -> t.Iterator[str]:
    plan, proof = report.plan, report.proof
    yield (
        f"{plan.material.file} is {plan.database} now: {proof.tables} tables, {proof.rows} rows, {report.bytes} bytes, "
        f"as they were dumped; statements {proof.ddl}; {sum(report.seconds.values()):.1f} s"
    )
    yield _proved_by(plan)
    if report.roles:
        yield f"made for it, without login: {', '.join(report.roles)}"
    if report.swapped.previous:
        yield f"what was there before is {report.swapped.previous}"
    yield from report.swapped.problems


def _proved_by(plan: restoring.Plan) -> str:
    return f"signed by {plan.signed_by}" if plan.signed_by else plan.unproved


def _quoted(path: str) -> str:
    """A path as ssh's options want it: spaces part words, and a percent sign has a meaning."""
    if '"' in path or "%" in path or "\n" in path:
        raise DumpError(f"ssh can't be told the path {path!r}: put the file where no name has a quote or %")
    return f'"{path}"'
