"""An instance is judged by what the policy asks of the provider's backups, the firewall and the place of the data."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.linode.judged import problems, report
from ansible_collections.taaraxtak.production.plugins.module_utils.linode.rules import wanted as rules

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WANTED = {
    "label": "production",
    "type": "g6-standard-2",
    "region": "eu-central",
    "image": "linode/debian13",
    "firewall": "production",
    "rules": rules(["192.0.2.0/24"]),
    "backups": {"day": "Sunday", "window": "W4"},
}
SEEN = {
    "instance": {
        "id": 1,
        "label": "production",
        "type": "g6-standard-2",
        "region": "eu-central",
        "image": "linode/debian13",
        "status": "running",
        "backups": {
            "enabled": True,
            "last_successful": "2026-11-22T04:30:00",
            "schedule": {"day": "Sunday", "window": "W4"},
        },
    },
    "firewalls": [
        {"label": "production", "id": 2, "status": "enabled", "rules": {**rules(["192.0.2.0/24"]), "version": 3}}
    ],
    "volumes": [],
    "data": {"folder": "/var/lib/postgresql", "source": "/dev/sda", "root": "/dev/sda", "elsewhere": []},
}
LOG = {"path": "/var/lib/postgresql/17/main/pg_wal", "source": "/dev/sdc"}
VOLUME = {"label": "data", "id": 3, "size": 20, "filesystem_path": "/dev/disk/by-id/scsi-0Linode_Volume_data"}


def changed(path: str, value: object) -> dict[str, object]:
    seen = copy.deepcopy(SEEN)
    *way, last = path.split(".")
    place: object = seen
    for step in way:
        place = place[int(step)] if step.isdecimal() else place[step]  # type: ignore[index]
    place[last] = value  # type: ignore[index]
    return seen


def test_nothing_is_wrong_where_all_is_as_asked_for():
    assert problems(SEEN, WANTED, NOW) == []


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("instance", {}, "There is no instance production"),
        ("instance.type", "g6-nanode-1", "type is g6-nanode-1, and g6-standard-2 is asked for"),
        ("instance.image", None, "image is None, and linode/debian13 is asked for"),
        ("instance.backups", None, "backups are off"),
        ("instance.backups.enabled", False, "backups are off"),
        ("instance.backups.schedule", None, "backups' day is None, not Sunday"),
        ("instance.backups.schedule", {"day": "Sunday", "window": "W6"}, "backups' window is W6, not W4"),
        ("instance.backups.last_successful", None, "No backup has succeeded yet"),
        ("instance.backups.last_successful", "2026-11-15T11:59:00", "8 days ago"),
        ("instance.backups.last_successful", "2026-11-15T12:59:00+01:00", "8 days ago"),
        ("firewalls", [], "is not attached, none is"),
        ("firewalls", [{"label": "theirs"}], "is not attached, theirs is"),
        ("firewalls.0.status", "disabled", "is disabled"),
        ("firewalls.0.rules", rules(["0.0.0.0/0"]), "has other rules than asked for"),
        ("data.source", "/dev/sdc", "lies on /dev/sdc, not on the root disk /dev/sda"),
        ("data.elsewhere", [LOG], "/17/main/pg_wal lies on /dev/sdc, not on the root disk /dev/sda"),
    ],
)
def test_each_fault_is_a_sentence(path, value, said):
    found = problems(changed(path, value), WANTED, NOW)
    assert any(said in sentence for sentence in found), found


def test_a_backup_of_just_under_eight_days_is_young_enough():
    assert problems(changed("instance.backups.last_successful", "2026-11-15T12:00:00"), WANTED, NOW) == []


def test_a_host_that_does_not_say_where_its_data_lies_is_a_fault_only_beside_a_volume():
    silent = changed("data", {"folder": "/var/lib/postgresql", "unknown": "it did not answer"})
    assert problems(silent, WANTED, NOW) == []
    [said] = problems({**silent, "volumes": [VOLUME]}, WANTED, NOW)
    assert said.startswith("Whether /var/lib/postgresql lies on a volume (data)")


def test_a_volume_beside_data_on_the_root_disk_is_no_fault():
    assert problems({**SEEN, "volumes": [VOLUME]}, WANTED, NOW) == []


def test_the_report_has_what_was_seen():
    told = report({**SEEN, "volumes": [VOLUME]}, WANTED, NOW)
    assert told["backups"] == {
        "enabled": True,
        "day": "Sunday",
        "window": "W4",
        "last_successful": "2026-11-22T04:30:00",
    }
    assert told["firewall"] == {"label": "production", "id": 2, "status": "enabled", "equal": True}
    assert told["volumes"] == [VOLUME]
    assert told["problems"] == []


def test_the_report_of_no_instance_is_whole():
    told = report({"instance": {}, "firewalls": [], "volumes": [], "data": {}}, WANTED, NOW)
    assert (told["id"], told["firewall"], len(told["problems"])) == (None, None, 1)
