# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an instance is as it is wanted, as sentences."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime, timedelta

from .rules import normal

# Backups are daily; a week's backup that failed shows after eight days at the latest.
OLDEST_BACKUP = timedelta(days=8)

Data = t.Mapping[str, t.Any]


def differences(instance: Data, wanted: Data) -> list[str]:
    """What nobody changes here, since it would resize, move or rebuild the instance: its type, region and image."""
    return [
        f"{key} is {instance.get(key)}, and {wanted[key]} is asked for"
        for key in ("type", "region", "image")
        if instance.get(key) != wanted[key]
    ]


def problems(seen: Data, wanted: Data, now: datetime) -> list[str]:
    """All that is wrong.

    *seen* has ``instance`` as the API gives it, empty where there is none; the attached ``firewalls`` and ``volumes``;
    and ``data``, what the host said: ``{folder, source, root, elsewhere}``, or ``{folder, unknown}``. *wanted* has
    ``label``, ``type``, ``region``, ``image``, ``firewall`` (its label), ``rules``, and ``backups`` with day and
    window.
    """
    instance = seen["instance"]
    if not instance:
        return [f"There is no instance {wanted['label']}: run playbooks/linode.yml without linode_verify."]
    return [
        *(f"{wanted['label']}: {difference}." for difference in differences(instance, wanted)),
        *_backup_problems(instance.get("backups") or {}, wanted["backups"], now),
        *_firewall_problems(seen["firewalls"], wanted),
        *_data_problems(seen["volumes"], seen["data"]),
    ]


def report(seen: Data, wanted: Data, now: datetime) -> dict[str, t.Any]:
    """The same as data, for whoever audits."""
    instance = seen["instance"]
    backups = instance.get("backups") or {}
    schedule = backups.get("schedule") or {}
    attached = next(iter(seen["firewalls"]), None)
    firewall = None
    if attached:
        equal = normal(attached.get("rules") or {}) == normal(wanted["rules"])
        firewall = {key: attached.get(key) for key in ("label", "id", "status")} | {"equal": equal}
    return {
        "label": wanted["label"],
        **{key: instance.get(key) for key in ("id", "region", "type", "image", "status")},
        "backups": {
            "enabled": bool(backups.get("enabled")),
            "day": schedule.get("day"),
            "window": schedule.get("window"),
            "last_successful": backups.get("last_successful"),
        },
        "firewall": firewall,
        "volumes": [
            {key: volume.get(key) for key in ("label", "id", "size", "filesystem_path")} for volume in seen["volumes"]
        ],
        "data": dict(seen["data"]),
        "problems": problems(seen, wanted, now),
        "verified_at": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _backup_problems(backups: Data, wanted: Data, now: datetime) -> t.Iterator[str]:
    if not backups.get("enabled"):
        yield "The provider's backups are off: run playbooks/linode.yml, which turns them on."
        return
    schedule = backups.get("schedule") or {}
    for key in ("day", "window"):
        if schedule.get(key) != wanted[key]:
            yield f"The backups' {key} is {schedule.get(key)}, not {wanted[key]}: run playbooks/linode.yml."
    last = backups.get("last_successful")
    if last is None:
        yield "No backup has succeeded yet: the first is made within a day of when backups were turned on."
        return
    age = now - _time(last)
    if age > OLDEST_BACKUP:
        yield f"The last backup that succeeded is of {last}, {age.days} days ago: look at Backups in the Cloud Manager."


def _firewall_problems(firewalls: t.Sequence[Data], wanted: Data) -> t.Iterator[str]:
    names = [str(firewall.get("label")) for firewall in firewalls]
    if wanted["firewall"] not in names:
        instead = f"{', '.join(names)} is" if names else "none is"
        yield f"The firewall {wanted['firewall']} is not attached, {instead}: run playbooks/linode.yml."
        return
    firewall = firewalls[names.index(wanted["firewall"])]
    if firewall.get("status") != "enabled":
        yield f"The firewall {wanted['firewall']} is {firewall.get('status')}: run playbooks/linode.yml."
    if normal(firewall.get("rules") or {}) != normal(wanted["rules"]):
        yield f"The firewall {wanted['firewall']} has other rules than asked for: run playbooks/linode.yml."


def _data_problems(volumes: t.Sequence[Data], data: Data) -> t.Iterator[str]:
    folder = data.get("folder")
    if not folder:
        return
    names = ", ".join(str(volume.get("label")) for volume in volumes)
    if data.get("unknown"):
        if names:
            yield f"Whether {folder} lies on a volume ({names}), which no backup has, is not known: {data['unknown']}"
        return
    beside = f"; attached are the volumes {names}" if names else ""
    whole = {"path": folder, "source": data.get("source")}
    for place in [whole] if data.get("source") != data.get("root") else data.get("elsewhere") or []:
        yield (
            f"{place['path']} lies on {place['source']}, not on the root disk {data.get('root')}: the provider's "
            f"backups have no block volumes{beside}. Move it to the root disk."
        )


def _time(text: str) -> datetime:
    """A time as the API writes it, 2018-01-01T00:01:01, which is UTC."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)
