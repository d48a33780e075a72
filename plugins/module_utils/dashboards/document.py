# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One dashboard as the repository keeps it: read strictly, without what changes by itself, written one way only."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import typing as t

DATASOURCE_UID = "taaraxtak"
DATASOURCE_TYPE = "grafana-postgresql-datasource"

# Grafana's own rule for uids (util.IsValidShortUID).
_UID = re.compile(r"[A-Za-z0-9_-]{1,40}")
# A panel lies three or four levels deep; whatever is nested deeper than this was not made by Grafana.
DEPTH_LIMIT = 100
_TOO_DEEP = f"it is nested more than {DEPTH_LIMIT} levels deep"
# The server numbers these at each save, or an export for sharing adds them; gnetId and iteration say nothing either.
_VOLATILE = ("id", "version", "iteration", "gnetId", "meta", "slug", "snapshot", "__inputs", "__requires", "__elements")
# What Grafana itself answers, whichever data sources there are.
_BUILT_IN = frozenset({"-- Grafana --", "-- Mixed --", "-- Dashboard --", "grafana", "__expr__"})
# How an old dashboard, or one exported for sharing, says "the default data source".
_PLACEHOLDER = re.compile(r"\$\{DS_[A-Z0-9_.-]+\}")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))|\[\[(\w+)\]\]")
# Go writes a number below this without an exponent, so Grafana answers 3 where a file said 3.0.
_WRITTEN_WHOLE = 1e21


@dataclasses.dataclass(frozen=True)
class Dashboard:
    """``folder`` is the folder's title, "" for Grafana's root (which it calls General); ``data`` the JSON."""

    uid: str
    title: str
    folder: str
    data: dict[str, t.Any]


def parse(content: bytes | str) -> t.Any:
    """Read JSON as strictly as Grafana's own server does; ValueError says what is wrong with it."""
    try:
        written = content.decode("utf-8") if isinstance(content, bytes) else content
        found = json.loads(written, object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_number)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON, or not all of it: {error.msg} in line {error.lineno}") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    level = [found]
    for _depth in range(DEPTH_LIMIT):
        level = [below for value in level for below in _below(value)]
        if not level:
            return found
    raise ValueError(_TOO_DEEP)


def _below(value: t.Any) -> t.Iterable[t.Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _pairs(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        raise ValueError(f"it has the key {next(name for name in names if names.count(name) > 1)} twice in one object")
    return found


def _constant(name: str) -> t.Any:
    raise ValueError(f"it holds {name}, which is not JSON")


def _number(written: str) -> float:
    number = float(written)
    if math.isinf(number):
        raise ValueError(f"it holds the number {written}, which is too large")
    return number


def text(data: t.Any) -> str:
    """The one way to write it: keys sorted, lists in their order, two spaces, a line feed at the end."""
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def dashboard(
    data: t.Any,
    folder: str,
    *,
    datasource_uid: str = DATASOURCE_UID,
    datasource_type: str = DATASOURCE_TYPE,
    aliases: t.Collection[str] = (),
) -> Dashboard:
    """The normalised dashboard of *folder*; ValueError says why it is none, or none that a file could hold."""
    tidy = normalise(data, datasource_uid=datasource_uid, datasource_type=datasource_type, aliases=aliases)
    return Dashboard(uid=tidy["uid"], title=tidy["title"], folder=folder, data=tidy)


def check_classic(data: t.Any) -> None:
    """ValueError unless *data* is a dashboard in the classic form, with a uid and a title."""
    if not isinstance(data, dict):
        raise ValueError("it is not a dashboard: the JSON is no object")
    version = data.get("apiVersion")
    if isinstance(version, str) and version.startswith("dashboard.grafana.app/"):
        raise ValueError(f"it is written as a resource ({version}), and files hold classic dashboards: {_CLASSIC}")
    if "elements" in data and "layout" in data:
        raise ValueError(f"it has the schema v2, and files hold classic dashboards: {_CLASSIC}")
    if "dashboard" in data and "uid" not in data:
        raise ValueError('it is an answer of the API: the dashboard is what stands under "dashboard" in it')
    uid, title = data.get("uid"), data.get("title")
    if not isinstance(title, str) or not title.strip():
        raise ValueError("it is not a dashboard: it has no title")
    if not isinstance(uid, str) or not _UID.fullmatch(uid):
        raise ValueError("it has no uid of 1 to 40 letters, digits, - and _: links and files know a dashboard by that")
    for key in ("panels", "rows"):
        if not isinstance(data.get(key, []), list):
            raise ValueError(f'it is not a dashboard: "{key}" is no list')


_CLASSIC = "export it by this module, or in Grafana as JSON in the form Classic"


def normalise(
    data: dict[str, t.Any],
    *,
    datasource_uid: str = DATASOURCE_UID,
    datasource_type: str = DATASOURCE_TYPE,
    aliases: t.Collection[str] = (),
) -> dict[str, t.Any]:
    """What the repository keeps of a dashboard's JSON; *data* is left as it is. The same twice changes nothing.

    Gone are the server's own numbers, the answers that query variables got, and the data in snapshots of panels. Every
    data source is the one of *datasource_uid*: null, "default", the placeholders of an export, that uid itself and
    the names or uids of *aliases*. ValueError for any other, for library panels, and for what is no classic dashboard.
    """
    check_classic(data)
    tidy = _copied({key: value for key, value in data.items() if key not in _VOLATILE}, 0)
    tidy["editable"] = False
    # Grafana saves it so.
    tidy["title"] = tidy["title"].strip()
    source = {"type": datasource_type, "uid": datasource_uid}
    for variable in _variables(tidy):
        _forget_answers(variable)
        if variable.get("type") == "query":
            variable.setdefault("datasource", None)
    local = {str(one.get("name")) for one in _variables(tidy) if one.get("type") == "datasource"}
    for panel in panels(tidy):
        if "libraryPanel" in panel:
            raise ValueError(f"{_named(panel)} is a library panel, which no file can hold: unlink it in Grafana")
        panel.pop("snapshotData", None)
        if panel.get("targets"):
            panel.setdefault("datasource", None)
    _settle(tidy, _Sources(source, frozenset({datasource_uid, *aliases}), local), "the dashboard")
    return t.cast("dict[str, t.Any]", tidy)


def panels(data: t.Mapping[str, t.Any]) -> t.Iterator[dict[str, t.Any]]:
    """Every panel of a classic dashboard, also those in rows, closed or old ones."""
    for panel in _objects(data, "panels"):
        yield panel
        yield from panels(panel)
    for row in _objects(data, "rows"):
        yield from panels(row)


def _variables(data: t.Mapping[str, t.Any]) -> t.Iterator[dict[str, t.Any]]:
    templating = data.get("templating")
    if isinstance(templating, dict):
        yield from _objects(templating, "list")


def _objects(data: t.Mapping[str, t.Any], key: str) -> t.Iterator[dict[str, t.Any]]:
    found = data.get(key)
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict):
            yield one


def _forget_answers(variable: dict[str, t.Any]) -> None:
    """What a server answered, or which of its data sources was chosen, is not the dashboard's."""
    if variable.get("type") in ("query", "datasource"):
        variable["options"], variable["current"] = [], {}
    # 0 is "never": nobody would fill in what was just emptied. 1 is "on dashboard load".
    if variable.get("type") == "query" and variable.get("refresh") in (None, 0, False):
        variable["refresh"] = 1


@dataclasses.dataclass(frozen=True)
class _Sources:
    """``ours`` is what becomes of the ``names`` of our data source; ``variables`` are those that choose one."""

    ours: dict[str, str]
    names: frozenset[str]
    variables: t.Collection[str]

    def settled(self, given: t.Any, where: str) -> t.Any:
        name = given.get("uid") if isinstance(given, dict) else given
        if name in (None, "", "default") or (isinstance(name, str) and _PLACEHOLDER.fullmatch(name)):
            kind = given.get("type") if isinstance(given, dict) else None
            return given if kind in ("grafana", "datasource", "__expr__") else dict(self.ours)
        if not isinstance(name, str):
            raise ValueError(f"{where} names its data source by something that is no name")
        if name in self.names:
            return dict(self.ours)
        variable = _VARIABLE.fullmatch(name)
        if name in _BUILT_IN or (variable and (variable[1] or variable[2] or variable[3]) in self.variables):
            return given
        raise ValueError(
            f"{where} uses the data source {name!r}, and production has {self.ours['uid']!r} alone: choose that one, "
            f"or name the other as an alias of it"
        )


def _settle(found: t.Any, sources: _Sources, where: str) -> None:
    """Replace every value of a key "datasource" below *found*; *where* names the panel or variable it belongs to."""
    if isinstance(found, list):
        for one in found:
            _settle(one, sources, where)
    elif isinstance(found, dict):
        where = _named(found) if isinstance(found.get("type"), str) and ("title" in found or "name" in found) else where
        for key, value in found.items():
            if key == "datasource" and _is_reference(value):
                found[key] = sources.settled(value, where)
            else:
                _settle(value, sources, where)


def _is_reference(value: t.Any) -> bool:
    """Whether it can be the name of a data source: other objects may have a key of that name too."""
    return value is None or isinstance(value, str) or (isinstance(value, dict) and bool({"uid", "type"} & set(value)))


def _named(found: t.Mapping[str, t.Any]) -> str:
    title = found.get("title") or found.get("name")
    return (
        f"the {found.get('type', 'panel')} {title!r}" if title else f"the {found.get('type', 'panel')} without a title"
    )


def _copied(value: t.Any, depth: int) -> t.Any:
    """A deep copy with whole numbers as Grafana writes them; ValueError for what no JSON file can hold."""
    if depth > DEPTH_LIMIT:
        raise ValueError(_TOO_DEEP)
    if isinstance(value, dict):
        return {_encodable(str(key)): _copied(below, depth + 1) for key, below in value.items()}
    if isinstance(value, list):
        return [_copied(below, depth + 1) for below in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"it holds {value}, which is not JSON")
        return int(value) if value.is_integer() and abs(value) < _WRITTEN_WHOLE else value
    return _encodable(value) if isinstance(value, str) else value


def _encodable(value: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("it holds half of a character (a lone surrogate), which no file can hold") from None
    return value
