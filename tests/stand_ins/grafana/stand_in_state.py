"""Part of the stand-in for Grafana's server (it is NOT Grafana): what it knows, kept in one file of its data folder."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
import unicodedata
from pathlib import Path
from typing import Any

NOW = "2026-01-01T00:00:00Z"  # the answers' times say nothing
Record = dict[str, Any]


class RefusedError(Exception):
    """An answer that is no success: its HTTP status and its body."""

    def __init__(self, status: int, message: str, /, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.body: Record = {"message": message, **more}


def slug(title: str) -> str:
    """[src] pkg/infra/slugify/slugify.go, in short."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_]+", "-", plain).strip("-")


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


class State:
    def __init__(self, folder: Path, version: str, admin: tuple[str, str]) -> None:
        self.folder = folder
        self.version = version
        self.numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
        self.lock = threading.RLock()
        self.file = folder / "stand-in.json"
        folder.mkdir(parents=True, exist_ok=True)
        if self.file.exists():
            self.data: Record = json.loads(self.file.read_text(encoding="utf-8"))
        else:
            # The settings' password is used at the very first start alone. [doc] configure-grafana, admin_password
            self.data = {
                "last_id": 0,
                "folders": {},
                "dashboards": {},
                "datasources": {},
                "rules": {},
                "tokens": {},
                "accounts": {},
                "admin": {"login": admin[0], "password": digest(admin[1])},
            }
            self.save()

    def save(self) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(self.data), encoding="utf-8")
        new.chmod(0o600)
        new.replace(self.file)

    def next_id(self) -> int:
        self.data["last_id"] += 1
        return int(self.data["last_id"])

    # --- Who asks ---------------------------------------------------------------------------------------------------
    def write_token(self, role: str, path: Path) -> None:
        path.touch(mode=0o600)
        path.write_text(self.new_token(role) + "\n", encoding="utf-8")

    def new_token(self, role: str, name: str = "") -> str:
        if role not in ("None", "Viewer", "Editor", "Admin"):
            raise ValueError(f"{role} is no role: None, Viewer, Editor or Admin.")
        token = f"glsa_{secrets.token_hex(16)}_{secrets.token_hex(4)}"
        self.data["tokens"][digest(token)] = {"role": role, "name": name}
        self.save()
        return token

    # --- Folders ----------------------------------------------------------------------------------------------------
    def make_folder(self, title: str, uid: str | None = None, parent: str | None = None) -> Record:
        folders = self.data["folders"]
        if not title:
            raise RefusedError(400, "folder title cannot be empty")
        uid = uid or secrets.token_urlsafe(8)
        self.check_uid(uid)
        if parent and parent not in folders:
            raise RefusedError(404, "folder not found", status="not-found")
        if uid in folders:
            # [spec] POST /folders: 412; the text as Grafana has it in pkg/services/dashboards/errors.go
            raise RefusedError(412, "The folder has been changed by someone else", status="version-mismatch")
        if self.unique_titles and any(f["title"] == title and f["parent"] == (parent or "") for f in folders.values()):
            raise RefusedError(409, "a folder with the same name already exists in the current location")
        folders[uid] = {
            "id": self.next_id(),
            "uid": uid,
            "title": title,
            "parent": parent or "",
            "viewers": True,
            "version": 1,
        }
        self.save()
        return dict(folders[uid])

    def remove_folder(self, uid: str) -> Record:
        folder = self.folder_of(uid)
        inside = [d["uid"] for d in self.data["dashboards"].values() if d["folder"] == uid]
        if any(self.data["dashboards"][d]["provisioned"] for d in inside):
            raise RefusedError(400, "provisioned dashboard cannot be deleted")
        for dashboard in inside:
            del self.data["dashboards"][dashboard]
        for child in [f["uid"] for f in self.data["folders"].values() if f["parent"] == uid]:
            self.remove_folder(child)
        del self.data["folders"][uid]
        self.save()
        return folder

    def folder_of(self, uid: str) -> Record:
        if uid not in self.data["folders"]:
            raise RefusedError(404, "folder not found", status="not-found")
        return dict(self.data["folders"][uid])

    def folder_by_id(self, number: int) -> str:
        for folder in self.data["folders"].values():
            if folder["id"] == number:
                return str(folder["uid"])
        raise RefusedError(404, "folder not found", status="not-found")

    # --- Dashboards -------------------------------------------------------------------------------------------------
    @property
    def unique_titles(self) -> bool:
        """Titles are unique in their folder before 11.3 only (#90687)."""
        return self.numbers < (11, 3)

    @staticmethod
    def check_uid(uid: str) -> None:
        # [src] pkg/util/shortid_generator.go, pkg/services/dashboards/errors.go
        if not re.fullmatch(r"[a-zA-Z0-9_-]*", uid):
            raise RefusedError(400, "uid contains illegal characters")
        if len(uid) > 40:
            raise RefusedError(400, "uid too long, max 40 characters")

    def save_dashboard(self, given: Record, folder: str, overwrite: bool, provisioned: Record | None = None) -> Record:
        dashboards = self.data["dashboards"]
        data = dict(given)
        title = str(data.get("title") or "").strip()
        if not title:
            raise RefusedError(400, "Dashboard title cannot be empty", status="empty-name")
        uid = str(data.get("uid") or "")
        self.check_uid(uid)
        old = self._known(data.get("id"), uid)
        same = [
            d
            for d in dashboards.values()
            if d["folder"] == folder and d["data"]["title"] == title and (not old or d["uid"] != old["uid"])
        ]
        if old and old["provisioned"] and not provisioned:
            # #20296 and [src] pkg/services/dashboards/errors.go: ErrDashboardCannotSaveProvisionedDashboard
            if not old["provisioned"].get("ui"):
                raise RefusedError(400, "Cannot save provisioned dashboard")
            provisioned = old["provisioned"]
        if same and self.unique_titles and not old and overwrite:
            old, same = same[0], []
        if same and self.unique_titles:
            raise RefusedError(412, "A dashboard with the same name in the folder already exists", status="name-exists")
        if old and not overwrite and int(data.get("version") or 0) != old["version"]:
            raise RefusedError(412, "The dashboard has been changed by someone else", status="version-mismatch")
        number = old["id"] if old else self.next_id()
        version = old["version"] + 1 if old else 1
        uid = old["uid"] if old else uid or secrets.token_urlsafe(8)
        data.update(id=number, uid=uid, version=version, title=title)
        dashboards[uid] = {
            "id": number,
            "uid": uid,
            "version": version,
            "folder": folder,
            "data": data,
            "provisioned": provisioned or None,
        }
        self.save()
        return dict(dashboards[uid])

    def _known(self, number: object, uid: str) -> Record | None:
        dashboards = self.data["dashboards"]
        if number:
            for dashboard in dashboards.values():
                if dashboard["id"] == number:
                    return dict(dashboard)
            raise RefusedError(404, "Dashboard not found", status="not-found")
        return dict(dashboards[uid]) if uid in dashboards else None

    def remove_dashboard(self, uid: str) -> Record:
        dashboard = self.dashboard_of(uid)
        if dashboard["provisioned"]:
            raise RefusedError(400, "provisioned dashboard cannot be deleted")
        del self.data["dashboards"][uid]
        self.save()
        return dashboard

    def dashboard_of(self, uid: str) -> Record:
        if uid not in self.data["dashboards"]:
            raise RefusedError(404, "Dashboard not found")
        return dict(self.data["dashboards"][uid])
