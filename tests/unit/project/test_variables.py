"""Variables that this version does not know, knows by another name, or wants are named."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.project.variables import Option, Setting, problems

ROLES = {
    "host": [Option("host_devops", True), Option("host_open", False)],
    "dump_store": [Option("dump_store_writers", False), Option("dump_store_kind", False, ("full", "sftp"))],
}
DEVOPS = Setting("host_devops", "all.yml", "[]")


def test_what_is_known_and_what_is_no_roles_is_not_spoken_of():
    assert problems([DEVOPS, Setting("ansible_user", "all.yml", "alice")], ROLES) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("host_devop", "all.yml: the role host knows no host_devop: write host_devops"),
        ("host_zzz", "all.yml: the role host knows no host_zzz: take it out"),
        ("dump_store_writer", "all.yml: the role dump_store knows no dump_store_writer: write dump_store_writers"),
    ],
)
def test_a_variable_that_no_role_knows_is_named(name, said):
    assert problems([DEVOPS, Setting(name, "all.yml", "1")], ROLES) == [said]


def test_a_variable_that_the_inventory_itself_uses_is_its_own():
    own = Setting("host_offices", "all.yml", "[]")
    assert problems([DEVOPS, own, Setting("host_open", "all.yml", "{{ host_offices + [] }}")], ROLES) == []
    assert problems([DEVOPS, own, Setting("host_open", "all.yml", "{{ host_offices_too }}")], ROLES)
    assert problems([DEVOPS, own, Setting("host_open", "all.yml", "host_offices")], ROLES)
    assert problems([DEVOPS, Setting("host_offices", "all.yml", "{{ host_offices }}")], ROLES)


def test_a_variable_that_a_role_wants_is_named():
    assert problems([], ROLES) == ["host_devops is set nowhere, and the role host wants it: its README says what it is"]


def test_a_variable_with_a_new_name_is_said_with_it():
    renamed = {"host_people": ("host_devops", "give each a list of keys")}
    said = problems([DEVOPS, Setting("host_people", "all.yml", "[]")], ROLES, renamed)
    assert said == ["all.yml: host_people is now host_devops: rename it, and give each a list of keys"]


def test_a_value_that_a_new_version_does_not_take_is_said():
    kind = Setting("dump_store_kind", "store.yml", "ftp")
    assert problems([DEVOPS, kind], ROLES) == ["store.yml: dump_store_kind is ftp: write one of full, sftp"]
    assert problems([DEVOPS, Setting("dump_store_kind", "store.yml", "{{ elsewhere }}")], ROLES) == []
