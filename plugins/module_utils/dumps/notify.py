# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell somebody how it went: a command or a URL when something failed, a dead man's ping when all was well.

Failures that nobody hears of are the usual end of backups; and a host that is dead says nothing, so somebody else must
miss its ping. A notifier that fails is said on stderr, and changes nothing else.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import threading
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from .config import MAY_BE_EMPTY, read_settings
from .processes import fresh_signals, say

CONFIG = "/etc/taaraxtak/notify.json"
# An address with its secret has no more.
URL_LIMIT = 4096
# As many lines of what happened are sent; the journal has them all.
LINES = 50


@dataclasses.dataclass(frozen=True)
class Settings:
    """The keys of the settings' file; what is left out isn't told.

    ``command``: started at a failure, with the event as JSON on its stdin. ``url_file``: a file with the URL that
    the event is POSTed to at a failure. ``ping_file``: a file with the URL that is asked for (GET) where all was well.
    The URLs are secrets, so they stand in files that nobody else may read. ``timeout``: seconds for each of them.
    """

    command: tuple[str, ...] = dataclasses.field(default=(), metadata=MAY_BE_EMPTY)
    url_file: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    ping_file: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    timeout: float = 20.0


@dataclasses.dataclass(frozen=True)
class Event:
    """What happened: ``program`` on ``host`` came to ``subject``; ``lines`` say more."""

    program: str
    host: str
    ok: bool
    subject: str
    lines: tuple[str, ...] = ()

    def content(self) -> bytes:
        """The event as JSON. ``text`` is all of it, under the name that chat services expect."""
        title = f"{self.program} on {self.host}: {self.subject}"
        document = {**dataclasses.asdict(self), "lines": self.lines[:LINES]}
        return json.dumps({**document, "text": "\n".join([title, *self.lines[:LINES]])}).encode()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The secret is for one host: it isn't carried to another."""

    def redirect_request(self, *arguments: t.Any, **more: t.Any) -> None:
        return None


def tell(program: str, subject: str, *, ok: bool, lines: t.Sequence[str] = (), path: str = CONFIG) -> bool:
    """Tell of an event as the settings in *path* say: whether each of them was reached. It never raises.

    Where there is no such file nobody is to be told, and so nobody was missed.
    """
    event = Event(program, socket.gethostname(), ok, subject, tuple(lines))
    try:
        failures = send(read_settings(Settings, path), event) if os.path.lexists(path) else ()
    except ValueError as error:
        failures = (f"nobody could be told: {error}",)
    for failure in failures:
        say(program, failure, error=True)
    return not failures


def send(settings: Settings, event: Event) -> tuple[str, ...]:
    """Tell of the *event*; sentences about the notifiers that failed. It never raises, and never shows a URL."""
    failures = []
    tries: list[tuple[str, t.Callable[[], None]]] = []
    if event.ok:
        if settings.ping_file:
            tries.append(("the ping", lambda: _ask(settings.ping_file, settings.timeout, None)))
    else:
        if settings.command:
            tries.append(("the command", lambda: _run(settings.command, settings.timeout, event.content())))
        if settings.url_file:
            tries.append(("the URL", lambda: _ask(settings.url_file, settings.timeout, event.content())))
    for name, attempt in tries:
        try:
            attempt()
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            failures.append(f"{name} that should tell of this failed: {_why(error)}")
    return tuple(failures)


def read_url(path: str) -> str:
    """The URL in the file *path*; ValueError unless it is http(s), in a file that only root and we can change or read.

    Of root's file its group may read: it is ours, then.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        forbidden = 0o037 if found.st_uid == 0 else 0o077
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in (0, os.geteuid()):
            raise ValueError(f"{path} must be a file of root or of this user")
        if found.st_mode & forbidden:
            raise ValueError(f"{path} can be read or changed by others: chmod it to 0640 (root's) or 0600 (one's own)")
        url = file.read(URL_LIMIT).decode("ascii", "replace").strip()
    parts = urllib.parse.urlsplit(url)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or not (url.isascii() and url.isprintable())
        or " " in url
    ):
        raise ValueError(f"{path} does not hold an address such as https://example.org/alarm")
    return url


def _ask(path: str, timeout: float, content: bytes | None) -> None:
    """POST the *content*, or GET where there is none; an error unless the answer is a 2xx."""
    headers = {"User-Agent": "taaraxtak", **({} if content is None else {"Content-Type": "application/json"})}
    request = urllib.request.Request(read_url(path), data=content, headers=headers)  # noqa: S310 (http or https only)
    opener = urllib.request.build_opener(_NoRedirects)
    outcome: list[Exception] = []

    def ask() -> None:
        try:
            opener.open(request, timeout=timeout).close()
        except Exception as error:  # pylint: disable=broad-exception-caught
            outcome.append(error)

    # urllib's timeout is for each step; a server that sends a byte now and then must not hold us for ever.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(timeout + 1)
    if asking.is_alive():
        raise TimeoutError(f"no answer within {timeout:g} s")
    if outcome:
        raise OSError(_why(outcome[0])) from None


def _run(command: t.Sequence[str], timeout: float, content: bytes) -> None:
    """Give the *content* to the command; it and what it started are killed at the time's end."""
    # These programs run without Ansible: there is no module whose run_command could be called.
    # The sender holds signals back while it tells, which would be inherited; no thread that exists holds a lock then.
    # pylint: disable-next=ansible-bad-function,consider-using-with
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
        preexec_fn=fresh_signals,
    )
    try:
        process.communicate(content, timeout)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"it did not end within {timeout:g} s") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        raise OSError(f"exit status {process.returncode}")


def _why(error: Exception) -> str:
    """What went wrong, without the URL: some of Python's messages hold it."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the answer was {error.code}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    if isinstance(error, http.client.HTTPException):
        return type(error).__name__
    return str(error) or type(error).__name__
