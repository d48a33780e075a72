"""Archives in the form that grafana-backup wrote in 2021, of dashboards made up here."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import typing as t

STAMP = "202108091949"
BASE = "visualizations/grafana"

Members = list[tuple[tarfile.TarInfo, bytes]]


def old_panel(number: int, kind: str, title: str, sql: str = "") -> dict[str, t.Any]:
    """A panel as Grafana 7 saved it: the default data source is written as null."""
    targets = [{"refId": "A", "format": "time_series", "rawQuery": True, "rawSql": sql}] if sql else []
    position = {"h": 8, "w": 12, "x": 0, "y": number}
    return {"id": number, "type": kind, "title": title, "datasource": None, "gridPos": position, "targets": targets}


def old_dashboard(uid: str, title: str, *, schema: int = 27) -> dict[str, t.Any]:
    """A dashboard as Grafana 7 answered it, with a closed row, a query variable and the numbers of its server."""
    query = "SELECT $__timeGroupAlias(measurement_start_time,'1d'), count(*) FROM ooni_web_connectivity_test GROUP BY 1"
    row = {**old_panel(4, "row", "More"), "collapsed": True, "panels": [old_panel(5, "table", "Latest", query)]}
    variable = {
        **{"name": "markets", "type": "query", "query": "SELECT DISTINCT market FROM provider_marketshare"},
        **{"datasource": None, "refresh": 0, "multi": True, "includeAll": True},
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [{"selected": True, "text": "All", "value": "$__all"}, {"text": "ssl-certificate", "value": "x"}],
    }
    return {
        **{"id": 7, "uid": uid, "title": title, "version": 31, "iteration": 1628538460000, "gnetId": None},
        **{"schemaVersion": schema, "editable": True, "style": "dark", "refresh": "5m", "tags": []},
        "annotations": {
            "list": [{"builtIn": 1, "datasource": "-- Grafana --", "name": "Annotations", "type": "dashboard"}]
        },
        "panels": [old_panel(1, "graph", "Measurements", query), old_panel(2, "text", "About"), row],
        "templating": {"list": [variable]},
        "time": {"from": "now-30d", "to": "now"},
    }


def answer(data: dict[str, t.Any], folder: str = "") -> dict[str, t.Any]:
    """What GET /api/dashboards/uid answered then; the key folderUid came later."""
    place = {"folderId": 12, "folderTitle": folder, "folderUrl": f"/dashboards/f/f-{folder.lower()}/{folder.lower()}"}
    root = {"folderId": 0, "folderTitle": "General", "folderUrl": ""}
    return {
        "meta": {"type": "db", "version": 31, "provisioned": False, **(place if folder else root)},
        "dashboard": data,
    }


def member(name: str, content: bytes | t.Any, **more: t.Any) -> tuple[tarfile.TarInfo, bytes]:
    """One member, JSON unless it is bytes."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def members(dashboards: t.Sequence[tuple[dict[str, t.Any], str]]) -> Members:
    """What the tool wrote for dashboards and the titles of their folders."""
    listed = "".join(f"uid/{data['uid']}\t{data['title']}\n" for data, _folder in dashboards)
    found = [
        member(f"{BASE}/folders/{STAMP}/folders_{STAMP}.txt", b""),
        member(f"{BASE}/dashboards/{STAMP}/dashboards_{STAMP}.txt", listed.encode()),
        member(f"{BASE}/alert_channels/{STAMP}/alert_channels_{STAMP}.txt", b""),
        member(f"{BASE}/datasources/{STAMP}/1.datasource", {"name": "PostgreSQL", "password": "never read"}),
    ]
    for folder in sorted({folder for _data, folder in dashboards if folder}):
        uid = f"f-{folder.lower()}"
        found.append(member(f"{BASE}/folders/{STAMP}/{uid}.folder", {"id": 12, "uid": uid, "title": folder}))
        found.append(member(f"{BASE}/folders/{STAMP}/{uid}.folder_permission", []))
    for data, folder in dashboards:
        found.append(member(f"{BASE}/dashboards/{STAMP}/{data['uid']}.dashboard", answer(data, folder)))
    return found


def packed(contents: Members) -> bytes:
    """The tar.gz of these members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for info, data in contents:
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return gzip.compress(stream.getvalue(), mtime=0)


SAMPLE = [
    (old_dashboard("3nPN6xrGk", "Debug"), ""),
    (old_dashboard("6WNoEaXGk", "Internet centralization"), "Internet"),
    (old_dashboard("SEA4e4GMz", "OONI", schema=25), "Internet"),
]
