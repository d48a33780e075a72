# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a step of an adoption from being taken: sentences that say what to do first."""

from __future__ import annotations

import typing as t

Facts = t.Mapping[str, t.Any]
HOME = "/opt/taaraxtak"
UNIT = "/etc/systemd/system/taaraxtak-collector.service"


def retire(facts: Facts) -> list[str]:
    """Databases without enough verified dumps, or whose newest one is old or not verified."""
    wanted, hours = int(facts.get("wanted_verified", 0)), int(facts.get("fresh_hours", 26))
    few = [
        f"{database} has {count} verified dumps and {wanted} are asked for (adopt_verified_dumps): each run of"
        " playbooks/restore_drill.yml proves the newest"
        for database, count in sorted(facts.get("verified", {}).items())
        if count < wanted
    ]
    old = [
        f"the newest dump of {database} that the store has archived {wrong}"
        for database in sorted(facts.get("verified", {}))
        if (wrong := _wrong(facts.get("newest", {}).get(database), hours))
    ]
    none = [] if facts.get("verified") else ["no database is dumped (backup_databases)"]
    return [*none, *few, *old]


def _wrong(newest: t.Mapping[str, t.Any] | None, hours: int) -> str:
    if newest is None:
        return "is none: run playbooks/backup_now.yml"
    if newest["age_s"] > hours * 3600:
        return (
            f"is {newest['age_s'] // 3600} hours old, and at most {hours} are asked for: run playbooks/backup_now.yml"
        )
    return "" if newest["verified"] else "is not verified: run playbooks/restore_drill.yml"


def clients(facts: Facts) -> list[str]:
    """What the collector's role would take the place of, and is nobody's that it knows; and Grafana's key."""
    there, ours = facts.get("there", ()), facts.get("collector_ours", False)
    user = facts.get("collector_user", "collector")
    found = [
        (
            HOME in there,
            f"{HOME} is there and is not this collection's: its app/ becomes the collector's code and nothing else."
            " Move what lies there, with what runs of it, to another folder",
        ),
        (
            UNIT in there,
            f"{UNIT} is there and is not this collection's, and would be overwritten: give it another name, and write"
            " that into adopt_old_units",
        ),
        (
            user in facts.get("accounts", ()),
            f"the account {user} is there and is not this collection's, and would lose its shell and its password:"
            " write another name into collector_user and into the policy's os_users, or rename the account",
        ),
    ]
    key = (
        "Grafana's database is there, and what is secret in it can be read by its present key alone: write [security]"
        " secret_key of /etc/grafana/grafana.ini (where it lacks one: of /usr/share/grafana/conf/defaults.ini) into"
        " dashboards_secret_key, in a vaulted file"
    )
    return [
        *(said for is_so, said in found if is_so and not ours),
        *([key] if facts.get("grafana_key_lost") else []),
    ]


def database(facts: Facts) -> list[str]:
    """What the way back of a step that changes the database would not bring, and nobody has accepted."""
    return [
        f"its way back would not bring this: {one}. Change it, or write this sentence into adopt_not_expressed"
        for one in facts.get("unsaid", [])
    ]


REFUSES: dict[str, t.Callable[[Facts], list[str]]] = {
    "dumps": database,
    "retire": retire,
    "grants": database,
    "clients": clients,
    "access": database,
}
