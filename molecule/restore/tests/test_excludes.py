"""Where developers may see less: the copies from before are given to nobody, and the role has new ones made."""

from __future__ import annotations

import json
import typing as t

UNIT = "taaraxtak-dumps-drill.service"
TABLE = "public.provider_marketshare"


def listed(store: t.Any) -> list[dict[str, t.Any]]:
    """What a developer's key is told."""
    command = "runuser -u dumps-developer -- env SSH_ORIGINAL_COMMAND=list dump-store read --developer"
    return [row for row in json.loads(store.check_output(command)) if row["database"] == "taaraxtak"]


def test_what_is_left_out_from_now_on_is_in_no_copy(store, play, until, nobody_else_needs_the_hosts):
    assert TABLE in listed(store)[-1]["tables"]

    play("playbooks/site.yml", dump_store_developer_excludes=[TABLE])

    assert all(TABLE not in row["tables"] for row in listed(store))
    until(lambda: listed(store) != [], seconds=180, what="no new copy was made", host=store, unit=UNIT)
    assert all(TABLE not in row["tables"] for row in listed(store))
