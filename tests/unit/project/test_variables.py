"""Variables that this version does not know, knows by another name, or wants are named."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.project.values import Option
from ansible_collections.taaraxtak.production.plugins.module_utils.project.variables import Setting, known, problems

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


OTHERS = ("audit_incidents", "audit_absent", "stores_keep", "stores_signers", "project_folder")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("audit_incident", ["all.yml: no role and no playbook knows audit_incident: write audit_incidents"]),
        ("stores_kep", ["all.yml: no role and no playbook knows stores_kep: write stores_keep"]),
        ("audit_zzz", ["all.yml: no role and no playbook knows audit_zzz: take it out"]),
        ("project_foldr", ["all.yml: no role and no playbook knows project_foldr: write project_folder"]),
        ("project_name", []),
        ("addresses", []),
        ("ansible_port", []),
        ("stores_keep", []),
    ],
)
def test_what_looks_like_a_playbooks_variable_is_named(name, said):
    assert problems([DEVOPS, Setting(name, "all.yml", "1")], ROLES, others=OTHERS) == said


def test_only_variables_that_are_known_are_counted():
    settings = [DEVOPS, *(Setting(name, "all.yml", "1") for name in ("addresses", "stores_keep", "stores_kep"))]
    assert known([*settings, Setting("host_open", "all.yml", "{{ addresses }}")], ROLES, OTHERS) == 2


STORES = Option(
    "backup_stores",
    False,
    (),
    "list",
    "dict",
    (Option("name", True, (), "str"), Option("address", False, (), "str"), Option("port", False, (), "int")),
)
NESTED = {
    "backup": [STORES, Option("backup_databases", False, (), "list", "str"), Option("backup_on", False, (), "bool")]
}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("backup_databases", 5, ["backup_databases has to be a list"]),
        ("backup_databases", "taaraxtak", ["backup_databases has to be a list"]),
        ("backup_databases", [["a"]], ["backup_databases[0] has to be a text"]),
        ("backup_databases", ["a", 5], []),
        ("backup_databases", "{{ others }}", []),
        ("backup_databases", None, []),
        ("backup_on", "perhaps", ["backup_on has to be true or false"]),
        ("backup_on", "yes", []),
        ("backup_stores", [{"name": "a", "adress": "b"}], ["backup_stores[0] knows no adress: write address"]),
        ("backup_stores", [{"address": "b"}], ["backup_stores[0] has no name: write it"]),
        ("backup_stores", [{"name": "a", "port": "x"}], ["backup_stores[0].port has to be a whole number"]),
        ("backup_stores", [{"name": "a", "port": "{{ x }}"}, "{{ y }}"], []),
        ("backup_stores", [{"name": "a", "port": "22"}, 7], ["backup_stores[1] has to be a mapping"]),
    ],
)
def test_a_value_is_judged_down_to_its_last_option(name, value, said):
    assert problems([Setting(name, "b.yml", value)], NESTED) == [f"b.yml: {one}" for one in said]


def test_a_secret_is_never_shown():
    password = Option("host_password", False, (), "dict", "raw", (Option("text", False, (), "str"),))
    (said,) = problems([Setting("host_password", "b.yml", "hunter2")], {"host": [password]})
    assert "hunter2" not in said
