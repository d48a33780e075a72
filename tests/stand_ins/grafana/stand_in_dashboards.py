"""Part of the stand-in for Grafana's server (it is NOT Grafana): folders, search and dashboards."""

from __future__ import annotations

from stand_in_api import Asked, route
from stand_in_state import NOW, Record, RefusedError, slug


# --- Folders --------------------------------------------------------------------------------------------------------
def seen(asked: Asked, folder: str) -> bool:
    """Whether the asker may see what is in this folder; a folder's rights hold for those inside.
    [doc] administration/roles-and-permissions"""
    if asked.role == "None":
        return False
    while folder and asked.role == "Viewer":
        if not asked.state.data["folders"][folder]["viewers"]:
            return False
        folder = asked.state.data["folders"][folder]["parent"]
    return True


def page(asked: Asked, items: list[Record]) -> list[Record]:
    """[spec] GET /search: limit, at most 5000 and 1000 unless said, and page, from 1"""
    limit = min(int(asked.one("limit", "1000") or 1000), 5000)
    first = (max(int(asked.one("page", "1") or 1), 1) - 1) * limit
    return items[first : first + limit]


def folder_answer(asked: Asked, folder: Record) -> Record:
    parents = []
    parent = folder["parent"]
    while parent:
        above = asked.state.data["folders"][parent]
        parents.insert(0, {"uid": above["uid"], "title": above["title"], "url": folder_url(above)})
        parent = above["parent"]
    writes = asked.role not in ("Viewer", "None", None)
    answer = {
        **{key: folder[key] for key in ("id", "uid", "title", "version")},
        **dict.fromkeys(("canAdmin", "canDelete", "canEdit", "canSave"), writes),
        **{
            "url": folder_url(folder),
            "hasAcl": not folder["viewers"],
            "created": NOW,
            "updated": NOW,
            "createdBy": "admin",
            "updatedBy": "admin",
        },
    }
    return {**answer, "parentUid": folder["parent"], "parents": parents} if parents else answer


def folder_url(folder: Record) -> str:
    return f"/dashboards/f/{folder['uid']}/{slug(folder['title'])}"


@route("GET", "/api/folders", "Viewer")
def folders(asked: Asked) -> list[Record]:
    parent = asked.one("parentUid")
    if parent:
        asked.state.folder_of(parent)
    found = [f for f in asked.state.data["folders"].values() if f["parent"] == parent and seen(asked, f["uid"])]
    found.sort(key=lambda f: f["title"])
    answer = [
        {key: f[key] for key in ("id", "uid", "title")} | ({"parentUid": parent} if parent else {}) for f in found
    ]
    return page(asked, answer)


@route("POST", "/api/folders", "Editor")
def make_folder(asked: Asked) -> Record:
    body = asked.body
    return folder_answer(
        asked, asked.state.make_folder(body.get("title") or "", body.get("uid"), body.get("parentUid"))
    )


@route("GET", "/api/folders/id/(.+)", "Viewer")
def folder_by_id(asked: Asked, number: str) -> Record:
    if number == "0":
        return {"id": 0, "uid": "general", "title": "General", "url": "", "version": 0}
    return get_folder(asked, asked.state.folder_by_id(int(number)))  # type: ignore[return-value]


@route("GET", "/api/folders/([^/]+)", "Viewer")
def get_folder(asked: Asked, uid: str) -> Record:
    folder = asked.state.folder_of(uid)
    if not seen(asked, uid):
        raise RefusedError(403, "Access denied to folder")
    return folder_answer(asked, folder)


@route("PUT", "/api/folders/([^/]+)", "Editor")
def change_folder(asked: Asked, uid: str) -> Record:
    old = asked.state.folder_of(uid)
    if not asked.body.get("overwrite") and asked.body.get("version") != old["version"]:
        raise RefusedError(412, "The folder has been changed by someone else", status="version-mismatch")
    asked.state.data["folders"][uid].update(title=asked.body["title"], version=old["version"] + 1)
    asked.state.save()
    return folder_answer(asked, asked.state.folder_of(uid))


@route("DELETE", "/api/folders/([^/]+)", "Editor")
def remove_folder(asked: Asked, uid: str) -> Record:
    folder = asked.state.remove_folder(uid)
    return {"id": folder["id"], "title": folder["title"], "message": f"Folder {folder['title']} deleted"}


@route("POST", "/api/folders/([^/]+)/permissions", "Admin")
def permissions(asked: Asked, uid: str) -> Record:
    """Who is not named sees it no more. [spec] POST /folders/{folder_uid}/permissions"""
    asked.state.folder_of(uid)
    asked.state.data["folders"][uid]["viewers"] = any(
        item.get("role") == "Viewer" for item in asked.body.get("items") or []
    )
    asked.state.save()
    return {"message": "Folder permissions updated"}


# --- Dashboards -----------------------------------------------------------------------------------------------------
@route("GET", "/api/search", "None")
def search(asked: Asked) -> list[Record]:
    """What the asker may not see is left out, and nothing says so. [spec] GET /search, GET /dashboards/uid/{uid}"""
    kinds = asked.all("type")
    data = asked.state.data
    words = asked.one("query").lower()
    found: list[Record] = []
    if not kinds or "dash-folder" in kinds:
        for folder in data["folders"].values():
            if seen(asked, folder["uid"]):
                found.append(hit(asked, folder["title"], folder, folder["parent"], "dash-folder", folder_url(folder)))
    if not kinds or "dash-db" in kinds:
        for d in data["dashboards"].values():
            if seen(asked, d["folder"]):
                title = d["data"]["title"]
                found.append(hit(asked, title, d, d["folder"], "dash-db", f"/d/{d['uid']}/{slug(title)}"))
    uids, ids, tags = asked.all("dashboardUIDs"), asked.all("folderIds"), asked.all("tag")
    folder_uids = asked.all("folderUIDs")
    found = [
        h
        for h in found
        if words in h["title"].lower()
        and (not uids or h["uid"] in uids)
        and (not ids or str(h.get("folderId", 0)) in ids)
        and (not folder_uids or (h.get("folderUid") or "general") in folder_uids)
        and set(tags) <= set(h["tags"])
    ]
    found.sort(key=lambda h: (h["type"] == "dash-db", h["title"], h["uid"]))
    return page(asked, found)


def hit(asked: Asked, title: str, item: Record, folder: str, kind: str, url: str) -> Record:
    answer = {
        **{
            "id": item["id"],
            "uid": item["uid"],
            "title": title,
            "uri": f"db/{slug(title)}",
            "url": url,
            "slug": "",
            "type": kind,
        },
        **{"tags": item.get("data", {}).get("tags") or [], "isStarred": False, "sortMeta": 0, "isDeleted": False},
    }
    if folder:
        above = asked.state.data["folders"][folder]
        answer |= {
            "folderId": above["id"],
            "folderUid": folder,
            "folderTitle": above["title"],
            "folderUrl": folder_url(above),
        }
    return answer


@route("GET", "/api/dashboards/uid/([^/]+)", "Viewer")
def get_dashboard(asked: Asked, uid: str) -> Record:
    dashboard = asked.state.dashboard_of(uid)
    if not seen(asked, dashboard["folder"]):
        raise RefusedError(403, "Access denied to this dashboard")
    title, folder = dashboard["data"]["title"], asked.state.data["folders"].get(dashboard["folder"])
    writes = asked.role != "Viewer"
    noted = dashboard["provisioned"]
    meta = {
        **{"type": "db", "slug": slug(title), "url": f"/d/{uid}/{slug(title)}", "version": dashboard["version"]},
        **dict.fromkeys(("canSave", "canEdit", "canAdmin", "canDelete"), writes),
        **{
            "canStar": True,
            "expires": "0001-01-01T00:00:00Z",
            "created": NOW,
            "updated": NOW,
            "createdBy": "admin",
            "updatedBy": "admin",
        },
        **{"hasAcl": False, "isFolder": False, "annotationsPermissions": None, "apiVersion": "v1beta1"},
        "folderId": folder["id"] if folder else 0,
        "folderUid": folder["uid"] if folder else "",
        "folderTitle": folder["title"] if folder else "General",
        "folderUrl": folder_url(folder) if folder else "",
        # [src] pkg/api/dashboard.go: provisioned is what can't be saved; with allowUiUpdates it can
        "provisioned": bool(noted) and not noted["ui"],
        "provisionedExternalId": noted["external"] if noted else "",
    }
    return {"meta": meta, "dashboard": dashboard["data"]}


@route("POST", "/api/dashboards/db", "Editor")
def save_dashboard(asked: Asked) -> Record:
    body = asked.body
    folder = body.get("folderUid") or ""
    if not folder and body.get("folderId"):
        folder = asked.state.folder_by_id(int(body["folderId"]))
    if folder == "general":
        folder = ""
    if folder:
        asked.state.folder_of(folder)
    given = body.get("dashboard")
    if not isinstance(given, dict):
        raise RefusedError(400, "bad request data")
    if str(given.get("apiVersion", "")).startswith("dashboard.grafana.app/v2"):
        raise RefusedError(400, "Dashboard title cannot be empty", status="empty-name")
    saved = asked.state.save_dashboard(given, folder, bool(body.get("overwrite")))
    name = slug(saved["data"]["title"])
    return {
        **{"id": saved["id"], "uid": saved["uid"], "url": f"/d/{saved['uid']}/{name}", "status": "success"},
        **{"version": saved["version"], "slug": name, "folderUid": folder},
    }


@route("DELETE", "/api/dashboards/uid/([^/]+)", "Editor")
def remove_dashboard(asked: Asked, uid: str) -> Record:
    gone = asked.state.remove_dashboard(uid)
    title = gone["data"]["title"]
    return {"title": title, "message": f"Dashboard {title} deleted", "id": gone["id"]}
