# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grafana's HTTP API, asked with a token: every status is looked at, and nothing is believed that isn't whole.

An answer counts when it came with 200, says that it is JSON, is as long as it says, and is the JSON that was asked for.
Anything else is a GrafanaError, whose sentence says what to do. Requests: [spec] is Grafana's own OpenAPI description.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import re
import stat
import time
import typing as t
import urllib.error
import urllib.parse

from ansible.module_utils import urls  # type: ignore[import-untyped]

from . import addresses
from .document import parse
from .tree import COUNT_LIMIT, shortened

# Four times the largest dashboard that a tree may hold.
ANSWER_LIMIT = 16 * 1024 * 1024
# [spec] GET /search: 1000 unless said, at most 5000.
PAGE = 500
# Of what the server says of a failure, so much is repeated.
_SAID = 200
_CHUNK = 64 * 1024
_TOKEN = re.compile(r"[!-~]{8,4096}")

Json = dict[str, t.Any]


class GrafanaError(ValueError):
    """What went wrong with Grafana, as a sentence; ``status`` of its answer, None where there was none."""

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status


@dataclasses.dataclass(frozen=True)
class Settings:
    """``timeout`` in seconds for each step of a request and again for the whole of its answer."""

    url: str
    token: str = dataclasses.field(repr=False)
    timeout: float = 30.0
    validate_certs: bool = True
    ca_path: str | None = None


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder; ``nested`` where it lies in another one."""

    uid: str
    title: str
    nested: bool = False


@dataclasses.dataclass(frozen=True)
class Found:
    """A dashboard as GET /api/dashboards/uid answers it. ``folder_uid`` is "" for the root."""

    uid: str
    data: Json
    folder_uid: str
    provisioned: bool
    version: int


def read_token(path: str) -> str:
    """The token in the file *path*; ValueError unless only its owner, who is root or we, may read and change it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            content = file.read(4097) if stat.S_ISREG(found.st_mode) else b""
    except OSError as error:
        raise ValueError(f"the token's file {path} can't be read: {error.strerror}") from None
    # Of root's file its group may read: it is ours, then.
    forbidden = 0o037 if found.st_uid == 0 else 0o077
    if not stat.S_ISREG(found.st_mode) or found.st_uid not in (0, os.geteuid()) or found.st_mode & forbidden:
        raise ValueError(f"others may read or change the token's file {path}: chmod it to 0600")
    return content.decode("ascii", "replace").strip()


class Grafana:
    """One server, asked as the owner of one token."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        address = addresses.read(settings.url)
        self._base = address.base
        # A proxy is for what lies elsewhere: this machine's token is for this machine.
        self._use_proxy = not address.is_local
        if not _TOKEN.fullmatch(settings.token):
            raise ValueError("the token is missing or no token: one is made in Grafana under Service accounts")

    def check(self) -> str:
        """The server's version; GrafanaError unless it is well. [spec] GET /health"""
        answer = self._object("GET", "/api/health", "say whether it is well")
        if answer.get("database") != "ok":
            raise GrafanaError(f"Grafana at {self._base} is not well: its database is {_word(answer.get('database'))}")
        return str(answer.get("version") or "")

    def search(self) -> dict[str, str]:
        """The uids and titles of all dashboards that the token may see. [spec] GET /search"""
        found: dict[str, str] = {}
        for hit in self._listed("dashboards", "/api/search", {"type": "dash-db"}):
            uid, title = (hit.get("uid"), hit.get("title")) if isinstance(hit, dict) else (None, None)
            if not isinstance(uid, str) or not uid or not isinstance(title, str):
                raise self._nonsense("the list of dashboards", "a dashboard without a uid or a title")
            if uid in found:
                raise self._twice("dashboard", uid)
            found[uid] = title
        return found

    def dashboard(self, uid: str) -> Found | None:
        """The dashboard, or None where the server says that there is none. [spec] GET /dashboards/uid/{uid}"""
        what = f"show the dashboard {_word(uid)}"
        answer = self._object("GET", f"/api/dashboards/uid/{_quoted(uid)}", what, absent="dashboard")
        if answer is None:
            return None
        data, meta = answer.get("dashboard"), answer.get("meta")
        if not isinstance(data, dict) or not isinstance(meta, dict):
            raise self._nonsense(f"the dashboard {_word(uid)}", "no dashboard")
        # A resource of the newer API has no uid here; what it is, normalise says.
        if data.get("uid", uid) != uid:
            raise self._nonsense(f"the dashboard {_word(uid)}", f"the dashboard {_word(data.get('uid'))}")
        folder, version = meta.get("folderUid") or "", data.get("version")
        if not isinstance(folder, str) or not isinstance(meta.get("provisioned", False), bool):
            raise self._nonsense(f"the dashboard {_word(uid)}", "no folder, or no word on whether it is provisioned")
        return Found(
            uid=uid,
            data=data,
            folder_uid="" if folder == "general" else folder,
            provisioned=meta.get("provisioned", False),
            version=version if isinstance(version, int) else 0,
        )

    def folder(self, uid: str) -> Folder:
        """The folder. [spec] GET /folders/{folder_uid}"""
        answer = self._object("GET", f"/api/folders/{_quoted(uid)}", f"show the folder {_word(uid)}")
        return self._folder(answer, nested=bool(answer.get("parentUid") or answer.get("parents")))

    def folders(self) -> list[Folder]:
        """The folders that lie in no other. [spec] GET /folders"""
        found: dict[str, Folder] = {}
        for one in self._listed("folders", "/api/folders", {}):
            folder = self._folder(one)
            if folder.uid in found:
                raise self._twice("folder", folder.uid)
            found[folder.uid] = folder
        return list(found.values())

    def _listed(self, what: str, path: str, query: Json) -> t.Iterator[t.Any]:
        """What a list holds, page by page; one that goes on for too long ends it."""
        for number in range(1, COUNT_LIMIT // PAGE + 2):
            asked = urllib.parse.urlencode({**query, "limit": PAGE, "page": number})
            page = self._ask("GET", f"{path}?{asked}", f"list its {what}")
            if not isinstance(page, list):
                raise self._nonsense(f"the list of {what}", "no list")
            yield from page
            if len(page) < PAGE:
                return
        raise GrafanaError(f"Grafana at {self._base} lists more than {COUNT_LIMIT} {what}, which no repository holds")

    def _twice(self, what: str, uid: str) -> GrafanaError:
        return GrafanaError(
            f"Grafana at {self._base} lists the {what} {_word(uid)} twice: if somebody changed {what}s just now, run "
            f"this again"
        )

    def make_folder(self, title: str) -> Folder:
        """A new folder at the root. [spec] POST /folders"""
        what = f"make the folder {shortened(title)}"
        return self._folder(self._object("POST", "/api/folders", what, {"title": title}))

    def save(self, data: Json, folder_uid: str, message: str) -> None:
        """Save a dashboard: a new one where its version is 0, else in that one's place. [spec] POST /dashboards/db"""
        body = {"dashboard": {**data, "id": None}, "folderUid": folder_uid, "message": message, "overwrite": False}
        answer = self._object("POST", "/api/dashboards/db", f"save the dashboard {shortened(data['title'])}", body)
        if answer.get("status") != "success" or answer.get("uid") != data["uid"]:
            raise self._nonsense(f"the dashboard {shortened(data['title'])}, which was to be saved", "no success")

    def _folder(self, answer: t.Any, *, nested: bool = False) -> Folder:
        uid, title = (answer.get("uid"), answer.get("title")) if isinstance(answer, dict) else (None, None)
        if not isinstance(uid, str) or not uid or not isinstance(title, str) or not title:
            raise self._nonsense("a folder", "one without a uid or a title")
        return Folder(uid=uid, title=title, nested=nested)

    @t.overload
    def _object(self, method: str, path: str, what: str, body: Json | None = None) -> Json: ...

    @t.overload
    def _object(self, method: str, path: str, what: str, body: Json | None = None, *, absent: str) -> Json | None: ...

    def _object(self, method: str, path: str, what: str, body: Json | None = None, *, absent: str = "") -> Json | None:
        answer = self._ask(method, path, what, body, absent=absent)
        if answer is not None and not isinstance(answer, dict):
            raise self._nonsense(f"{method} {path}", "no object")
        return answer

    def _ask(self, method: str, path: str, what: str, body: Json | None = None, *, absent: str = "") -> t.Any:
        """The JSON of the answer; None where *absent* is given and the server says that there is no such thing."""
        status, kind, content = self._exchange(method, path, body)
        if status != 200:
            said = _said(kind, content)
            if status == 404 and absent and re.search(rf"{absent}.*not found", said, re.IGNORECASE):
                return None
            raise GrafanaError(self._refused(status, what, said), status)
        if kind != "application/json":
            raise self._nonsense(f"{method} {path}", f"{kind or 'something that does not say what it is'}, not JSON")
        try:
            return parse(content)
        except ValueError as error:
            raise GrafanaError(f"what Grafana at {self._base} answered to {method} {path} is broken: {error}") from None

    def _exchange(self, method: str, path: str, body: Json | None) -> tuple[int, str, bytes]:
        """Status, content type and whole content of an answer."""
        settings = self._settings
        headers = {
            "Authorization": f"Bearer {settings.token}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **({} if body is None else {"Content-Type": "application/json"}),
        }
        try:
            answer = urls.open_url(
                f"{self._base}{path}",
                method=method,
                data=None if body is None else json.dumps(body),
                headers=headers,
                timeout=settings.timeout,
                validate_certs=settings.validate_certs,
                ca_path=settings.ca_path,
                http_agent="taaraxtak.production",
                # The token is for one host: it is carried to no other, and no other login takes its place.
                follow_redirects="none",
                use_netrc=False,
                use_proxy=self._use_proxy,
                decompress=False,
            )
        except urllib.error.HTTPError as error:
            answer = error
        except (OSError, urls.ConnectionError, http.client.HTTPException, ValueError) as error:
            raise self._silent(error) from None
        with answer:
            return int(answer.code), _kind(answer.headers), self._whole(answer, f"{method} {path}")

    def _whole(self, answer: t.Any, what: str) -> bytes:
        """All of the answer's content; GrafanaError where it ends early, or goes on for too long."""
        length = answer.headers.get("Content-Length")
        end = time.monotonic() + self._settings.timeout
        content = bytearray()
        try:
            while chunk := answer.read1(_CHUNK) if hasattr(answer, "read1") else answer.read(_CHUNK):
                content += chunk
                if len(content) > ANSWER_LIMIT:
                    raise self._nonsense(what, f"more than {ANSWER_LIMIT} bytes")
                if time.monotonic() > end:
                    raise GrafanaError(
                        f"Grafana at {self._base} did not end its answer within {self._settings.timeout:g} s"
                    )
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(error) from None
        if length is not None and len(content) != int(length):
            raise GrafanaError(
                f"the answer of Grafana at {self._base} to {what} was cut short: {len(content)} of {length} bytes came"
            )
        return bytes(content)

    def _silent(self, error: Exception) -> GrafanaError:
        cause = getattr(error, "reason", None) or error
        reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        if isinstance(error, http.client.IncompleteRead):
            reason = "the answer was cut short"
        elif isinstance(error, http.client.HTTPException):
            reason = f"no answer that is HTTP ({type(error).__name__})"
        return GrafanaError(f"Grafana at {self._base} can't be reached or broke off: {_word(reason)}")

    def _nonsense(self, asked: str, came: str) -> GrafanaError:
        return GrafanaError(f"Grafana at {self._base} was asked for {asked} and answered {came}: is it Grafana?")

    def _refused(self, status: int, what: str, said: str) -> str:
        """The sentence for an answer that is no success."""
        server = f"Grafana at {self._base}"
        if status == 401:
            return f"{server} doesn't know the token (401{said}): make a new one under Service accounts"
        if status == 403:
            return (
                f"the token may not {what} at {self._base} (403{said}): its service account needs Viewer on every "
                f"folder to export, and Editor to import"
            )
        if status == 404:
            return f"{server} can't {what} (404{said}): is the url Grafana's own, with its path if it has one?"
        if status in (409, 412):
            return (
                f"{server} did not {what} ({status}{said}): somebody changed it meanwhile, or its title is taken there"
            )
        if status == 400 and "provisioned" in said:
            return f"{server} did not {what} (400{said}): its dashboards come from files, as production's do"
        if 300 <= status < 400:
            return f"{server} sends elsewhere ({status}): give the url that it sends to, as a token follows nowhere"
        return f"{server} failed to {what} ({status}{said})"


def _kind(headers: t.Any) -> str:
    return str(headers.get("Content-Type") or "").partition(";")[0].strip().lower()


def _said(kind: str, content: bytes) -> str:
    """What the server says of a failure, to be put behind its status; "" where that isn't Grafana's way to say it."""
    try:
        answer = parse(content) if kind == "application/json" else None
    except ValueError:
        return ""
    message = answer.get("message") if isinstance(answer, dict) else None
    return f", {_word(message)}" if isinstance(message, str) and message else ""


def _word(value: t.Any) -> str:
    """Something that came from outside, as a message may show it."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(value))[:_SAID]


def _quoted(uid: str) -> str:
    return urllib.parse.quote(uid, safe="")
