"""Part of the stand-in for Grafana's server (it is NOT Grafana): what it reads from the provisioning folder."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import yaml
from stand_in_settings import interpolate
from stand_in_state import Record, RefusedError, State, digest


def log(text: str) -> None:
    print(f"grafana stand-in: {text}", file=sys.stderr, flush=True)


def documents(folder: Path) -> list[tuple[Path, Record]]:
    """Files that end with .yaml, .yml or .json, by name; one that can't be read stops the server.
    [src] pkg/services/provisioning"""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix in (".yaml", ".yml", ".json"):
            try:
                data = yaml.safe_load(path.read_text(encoding="utf-8"))
            except yaml.YAMLError as error:
                raise ValueError(f"{path}: {error}") from error
            found.append((path, data or {}))
    return found


class Provisioning:
    def __init__(self, folder: Path, state: State, poll: float | None = None) -> None:
        self.folder = folder
        self.state = state
        self.poll = poll
        self.providers: list[Record] = []
        self.trouble: list[str] = []

    def start(self) -> None:
        """Datasources and alerts are read at the start alone, dashboards are looked at again and again.
        [doc] administration/provisioning"""
        self.datasources()
        self.rules()
        self.dashboards()
        for provider in self.providers:
            threading.Thread(target=self._watch, args=(provider,), daemon=True).start()

    # --- Datasources and alert rules --------------------------------------------------------------------------------
    def datasources(self) -> None:
        known = self.state.data["datasources"]
        wanted: list[Record] = []
        for path, data in documents(self.folder / "datasources"):
            given: Any = interpolate(data)
            for gone in given.get("deleteDatasources") or []:
                known.pop(gone["name"], None)
            for item in given.get("datasources") or []:
                for key in ("name", "type", "access"):
                    if not item.get(key):
                        raise ValueError(f"{path}: a datasource has no {key}.")
                wanted.append(item)
            if given.get("prune") and self.state.numbers >= (11, 1):
                # [doc] administration/provisioning: prune removes a provisioned datasource that its file has no more
                for name in [n for n, d in known.items() if d["readOnly"] or d.get("file") == str(path)]:
                    if name not in [d["name"] for d in given.get("datasources") or []]:
                        del known[name]
            for item in given.get("datasources") or []:
                known[item["name"]] = self._datasource(item, known.get(item["name"]), str(path))
        if len([d for d in wanted if d.get("isDefault")]) > 1:
            # [src] pkg/services/provisioning/datasources/config_reader.go, ErrInvalidConfigToManyDefault
            raise ValueError(
                "datasource.yaml config is invalid. Only one datasource per organization can be marked as default"
            )
        self.state.save()

    def _datasource(self, item: Record, old: Record | None, path: str) -> Record:
        return {
            "id": old["id"] if old else self.state.next_id(),
            "uid": item.get("uid") or digest(item["name"])[:14],
            "orgId": item.get("orgId") or 1,
            "name": item["name"],
            "type": item["type"],
            "access": item["access"],
            "url": item.get("url") or "",
            "user": item.get("user") or "",
            "database": item.get("database") or "",
            "isDefault": bool(item.get("isDefault")),
            "jsonData": item.get("jsonData") or {},
            "secureJsonFields": {key: True for key, value in (item.get("secureJsonData") or {}).items() if value},
            "version": old["version"] + 1 if old else 1,
            # [src] pkg/services/provisioning/datasources/types.go: ReadOnly is !Editable
            "readOnly": not item.get("editable", False),
            "file": path,
        }

    def rules(self) -> None:
        """[doc] alerting/set-up/provision-alerting-resources/file-provisioning, from 9.1"""
        rules = self.state.data["rules"]
        for path, data in documents(self.folder / "alerting"):
            given: Any = interpolate(data)
            for group, raw in zip(given.get("groups") or [], data.get("groups") or [], strict=True):
                for rule, as_written in zip(group["rules"], raw["rules"], strict=True):
                    # The model is taken as it is written. [src] provisioning/alerting/rules_types.go, QueryV1
                    rule["data"] = as_written["data"]
            for gone in given.get("deleteRules") or []:
                rules.pop(gone["uid"], None)
            for group in given.get("groups") or []:
                for rule in group["rules"]:
                    for key in ("uid", "title", "condition", "data", "for"):
                        if not rule.get(key):
                            raise ValueError(f"{path}: an alert rule has no {key}.")
                    if rule["condition"] not in [query["refId"] for query in rule["data"]]:
                        raise ValueError(f"{path}: the condition of {rule['title']} is none of its queries.")
                    folder = self._folder(group["folder"], "")
                    rules[rule["uid"]] = {**rule, "folderUID": folder, "ruleGroup": group["name"], "provenance": "file"}
        self.state.save()

    # --- Dashboards -------------------------------------------------------------------------------------------------
    def dashboards(self) -> None:
        self.providers = []
        for path, data in documents(self.folder / "dashboards"):
            given: Any = interpolate(data)
            for provider in given.get("providers") or []:
                options = provider.get("options") or {}
                if provider.get("type", "file") != "file" or not options.get("path"):
                    raise ValueError(
                        f"{path}: the provider {provider.get('name')} has no type file or no options.path."
                    )
                if options.get("foldersFromFilesStructure") and (provider.get("folder") or provider.get("folderUid")):
                    # [src] pkg/services/provisioning/dashboards/file_reader.go: folder and folderUid must be empty then
                    raise ValueError(
                        f"{path}: 'folder' and 'folderUID' should be empty using 'foldersFromFilesStructure' option."
                    )
                self.providers.append(provider)
        names = [provider["name"] for provider in self.providers]
        for dashboard in list(self.state.data["dashboards"].values()):
            # [src] pkg/services/provisioning/dashboards/dashboard.go, CleanUpOrphanedDashboards
            if dashboard["provisioned"] and dashboard["provisioned"]["name"] not in names:
                del self.state.data["dashboards"][dashboard["uid"]]
        for provider in self.providers:
            self.walk(provider)

    def _watch(self, provider: Record) -> None:
        pause = self.poll or float(provider.get("updateIntervalSeconds") or 10)
        while True:
            threading.Event().wait(pause)
            try:
                self.walk(provider)
            except OSError as error:
                log(f"failed to search for dashboards: {error}")

    def walk(self, provider: Record) -> None:
        with self.state.lock:
            self._walk(provider)

    def _walk(self, provider: Record) -> None:
        """[src] pkg/services/provisioning/dashboards/file_reader.go"""
        top = Path(provider["options"]["path"])
        self.trouble = []
        if not top.is_dir():
            log(f"Cannot read directory {top}")
            return
        files = [
            path
            for path in sorted(top.rglob("*.json"))
            if not any(p.startswith(".") for p in path.relative_to(top).parent.parts)
        ]
        self._forget(provider, {str(path) for path in files})
        read = []
        for path in files:
            try:
                text = path.read_text(encoding="utf-8")
                data = json.loads(text)
                if not isinstance(data, dict):
                    raise ValueError("not an object")
            except (OSError, ValueError) as error:
                self.trouble.append(f"failed to load dashboard from {path}: {error}")
                continue
            read.append((path, digest(text), data))
        uids = [data.get("uid") for _, _, data in read if data.get("uid")]
        for path, checksum, data in read:
            if uids.count(data.get("uid")) > 1:
                # [doc] provisioning: nothing of a provider with two dashboards of one uid is written
                self.trouble.append(f"the same UID is used more than once: {data['uid']} in {path}")
                continue
            try:
                self._provision(provider, top, path, checksum, data)
            except RefusedError as error:
                self.trouble.append(f"failed to save dashboard {path}: {error}")
        for sentence in self.trouble:
            log(sentence)
        self.state.save()

    def _forget(self, provider: Record, files: set[str]) -> None:
        for dashboard in list(self.state.data["dashboards"].values()):
            kept = dashboard["provisioned"]
            if kept and kept["name"] == provider["name"] and kept["file"] not in files:
                if provider.get("disableDeletion"):
                    dashboard["provisioned"] = None  # [src] file_reader.go, unprovision
                else:
                    del self.state.data["dashboards"][dashboard["uid"]]

    def _provision(self, provider: Record, top: Path, path: Path, checksum: str, data: Record) -> None:
        old = [d for d in self.state.data["dashboards"].values() if (d["provisioned"] or {}).get("file") == str(path)]
        if old and old[0]["provisioned"]["checksum"] == checksum:
            return
        data = {key: value for key, value in data.items() if key != "id"}
        if old:
            data["id"] = old[0]["id"]
            if data.get("uid") and data["uid"] != old[0]["uid"]:
                del self.state.data["dashboards"][old[0]["uid"]]
                data.pop("id")
        folder = ""
        if provider["options"].get("foldersFromFilesStructure"):
            folder = self._folder_of_file(path.relative_to(top).parent)
        elif provider.get("folder"):
            folder = self._folder(provider["folder"], "")
        note = {
            "name": provider["name"],
            "file": str(path),
            "checksum": checksum,
            "ui": bool(provider.get("allowUiUpdates")),
        }
        note["external"] = str(path.relative_to(top))
        self.state.save_dashboard(data, folder, overwrite=True, provisioned=note)

    def _folder_of_file(self, parts: Path) -> str:
        """The last folder's name alone before 13, nested folders from there (#119852)."""
        names = list(parts.parts)
        if self.state.numbers < (13, 0):
            names = names[-1:]
        folder = ""
        for name in names:
            folder = self._folder(name, folder)
        return folder

    def _folder(self, title: str, parent: str) -> str:
        for folder in self.state.data["folders"].values():
            if folder["title"] == title and folder["parent"] == parent:
                return str(folder["uid"])
        return str(self.state.make_folder(title, parent=parent)["uid"])
