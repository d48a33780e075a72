"""Part of the stand-in for Grafana's server (it is NOT Grafana): what is answered at which address."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stand_in_provisioning import Provisioning
from stand_in_settings import Settings
from stand_in_state import Record, RefusedError, State, slug


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: list[tuple[str, str]]
    body: Any
    role: str | None  # None: nobody known
    state: State
    settings: Settings
    provisioning: Provisioning

    def all(self, key: str) -> list[str]:
        return [value for name, value in self.query if name == key]

    def one(self, key: str, default: str = "") -> str:
        return (self.all(key) or [default])[0]


Route = tuple[str, re.Pattern[str], str, Callable[..., object]]
ROUTES: list[Route] = []


def route(method: str, pattern: str, rank: str) -> Callable[[Callable[..., object]], Callable[..., object]]:
    def add(function: Callable[..., object]) -> Callable[..., object]:
        ROUTES.append((method, re.compile(pattern), rank, function))
        return function

    return add


# --- The server itself ----------------------------------------------------------------------------------------------
@route("GET", "/api/health", "anybody")
def health(asked: Asked) -> Record:
    return {"commit": "stand-in", "database": "ok", "version": asked.state.version}


@route("GET", "/api/frontend/settings", "anybody")
def frontend(asked: Asked) -> Record:
    explore = asked.settings.value("explore", "enabled") == "true"
    return {"buildInfo": {"version": asked.state.version, "edition": "Open Source"}, "exploreEnabled": explore}


@route("GET", "/api/admin/settings", "Server admin")
def settings(asked: Asked) -> Record:
    return dict(asked.settings.shown())


@route("GET", "/api/org", "Viewer")
def org(_: Asked) -> Record:
    return {"id": 1, "name": "Main Org."}


@route("GET", "/api/user/orgs", "Viewer")
def orgs(_: Asked) -> list[Record]:
    return [{"orgId": 1, "name": "Main Org.", "role": "Admin"}]


@route("POST", r"/api/user/using/(\d+)", "Viewer")
def using(_: Asked, number: str) -> Record:
    if number != "1":
        raise RefusedError(401, "Not a valid organization")
    return {"message": "Active organization changed"}


@route("POST", "/api/serviceaccounts", "Admin")
def make_account(asked: Asked) -> Record:
    number = asked.state.next_id()
    account = {
        "id": number,
        "name": asked.body["name"],
        "login": f"sa-1-{slug(asked.body['name'])}",
        "role": asked.body.get("role", "Viewer"),
    }
    asked.state.data["accounts"][str(number)] = account
    asked.state.save()
    return account


@route("POST", r"/api/serviceaccounts/(\d+)/tokens", "Admin")
def make_token(asked: Asked, number: str) -> Record:
    account = asked.state.data["accounts"].get(number)
    if not account:
        raise RefusedError(404, "service account not found")
    return {
        "id": asked.state.next_id(),
        "name": asked.body["name"],
        "key": asked.state.new_token(account["role"], asked.body["name"]),
    }


@route("POST", "/api/admin/provisioning/(dashboards|datasources|alerting)/reload", "Server admin")
def reload(asked: Asked, what: str) -> Record:
    {
        "dashboards": asked.provisioning.dashboards,
        "datasources": asked.provisioning.datasources,
        "alerting": asked.provisioning.rules,
    }[what]()
    return {"message": f"{what.capitalize()} config reloaded"}


@route("GET", "/api/auth/keys", "Admin")
def keys(asked: Asked) -> list[Record]:
    """Gone in 12; grafana-backup asks for it."""
    if asked.state.numbers >= (12, 0):
        raise RefusedError(404, "Not found")
    return []


@route("GET", "/api/alert-notifications", "Admin")
def channels(asked: Asked) -> list[Record]:
    """Legacy alerting is gone in 11. [doc] whatsnew/whats-new-in-v11-0"""
    if asked.state.numbers >= (11, 0):
        raise RefusedError(404, "Not found")
    return []


@route("GET", "/api/v1/provisioning/alert-rules", "Editor")
def rules(asked: Asked) -> list[Record]:
    return list(asked.state.data["rules"].values())


# --- Datasources ----------------------------------------------------------------------------------------------------
def shown(datasource: Record) -> Record:
    return {key: value for key, value in datasource.items() if key != "file"}


@route("GET", "/api/datasources", "Admin")
def datasources(asked: Asked) -> list[Record]:
    return [shown(d) for d in asked.state.data["datasources"].values()]


def _datasource(asked: Asked, key: str, value: str) -> Record:
    for datasource in asked.state.data["datasources"].values():
        if str(datasource[key]) == value:
            return dict(datasource)
    raise RefusedError(404, "Data source not found")


@route("GET", "/api/datasources/name/(.+)", "Admin")
def datasource_by_name(asked: Asked, name: str) -> Record:
    return shown(_datasource(asked, "name", name))


@route("GET", "/api/datasources/uid/([^/]+)", "Admin")
def datasource_by_uid(asked: Asked, uid: str) -> Record:
    return shown(_datasource(asked, "uid", uid))


@route("POST", "/api/datasources", "Admin")
def make_datasource(asked: Asked) -> Record:
    name = asked.body["name"]
    if name in asked.state.data["datasources"]:
        raise RefusedError(409, "data source with the same name already exists")
    asked.state.data["datasources"][name] = _given(asked, None)
    asked.state.save()
    made = asked.state.data["datasources"][name]
    return {"id": made["id"], "name": name, "message": "Datasource added", "datasource": shown(made)}


@route("PUT", r"/api/datasources/(\d+)", "Admin")
def change_datasource(asked: Asked, number: str) -> Record:
    old = _datasource(asked, "id", number)
    if old["readOnly"]:
        # [spec] PUT /datasources/{id}: 403; the text as in [src] pkg/api/datasources.go
        raise RefusedError(403, "Cannot update read-only data source")
    del asked.state.data["datasources"][old["name"]]
    asked.state.data["datasources"][asked.body["name"]] = _given(asked, old)
    asked.state.save()
    return {"id": old["id"], "name": asked.body["name"], "message": "Datasource updated"}


@route("DELETE", "/api/datasources/name/(.+)", "Admin")
def remove_datasource(asked: Asked, name: str) -> Record:
    old = _datasource(asked, "name", name)
    if old["readOnly"]:
        raise RefusedError(403, "Cannot delete read-only data source")
    del asked.state.data["datasources"][name]
    asked.state.save()
    return {"message": "Data source deleted", "id": old["id"]}


def _given(asked: Asked, old: Record | None) -> Record:
    made: Record = asked.provisioning._datasource(
        {**asked.body, "editable": True, "access": asked.body.get("access", "proxy")}, old, ""
    )
    return {**made, "uid": asked.body.get("uid") or (old or made)["uid"]}
