"""The judges of a host's parts: each rule is found by what it is about, and nothing else is found."""

from __future__ import annotations

import copy
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.hosts import expectations, options
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import Expected
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.registry import KINDS
from ansible_collections.taaraxtak.production.tests.unit.audit.estates import EXPECTED, NOW, judged, sources
from ansible_collections.taaraxtak.production.tests.unit.audit.hosts import (
    ALICE_PRINT,
    PRODUCTION,
    VARIABLES,
    account,
    folder,
    job,
    key,
    key_file,
    parts,
    person,
    privileged,
    rule,
    socket,
)

Part = dict[str, t.Any]
OTHER = "SHA256:another"
OVER = "/etc/systemd/system/x.d/y.conf"
SECURE = r"secure_path=/usr/local/sbin\:/usr/local/bin\:/usr/sbin\:/usr/bin\:/sbin\:/bin"
IN_HOME = "/home/alice/.ssh/authorized_keys"
OWN = "/etc/systemd/system/ssh.service"
MATCH = {"path": "/etc/ssh/sshd_config", "text": "LocalPort 2222", "lines": ["permitrootlogin yes"]}
LINE = {"unit": "x.timer", "starts": "x.service", "next": 1, "schedule": []}


def more(part: str, field: str, *added: t.Any) -> tuple[str, Part]:
    """The part with *added* in one of its lists."""
    data = copy.deepcopy(parts()[part])
    data[field] += added
    return part, data


def other(part: str, **values: t.Any) -> tuple[str, Part]:
    return part, {**parts()[part], **values}


def changed(part: str, field: str, number: int, **values: t.Any) -> tuple[str, Part]:
    """The part with *values* in one entry of a list."""
    data = copy.deepcopy(parts()[part])
    data[field][number] |= values
    return part, data


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (more("accounts", "accounts", person("toor", 0)), ["uid-zero"]),
        (more("accounts", "accounts", person("mallory")), ["account-unknown"]),
        (more("accounts", "accounts", person("mallory", expired=True)), []),
        (more("accounts", "accounts", account("games", password="none")), ["password-empty"]),
        (more("accounts", "accounts", account("games", password="set", hash="md5")), ["password-set"]),
        (other("accounts", groups={"docker": ["collector"]}), ["group-member"]),
        (other("accounts", groups={"audio": ["collector"]}), []),
        (other("accounts", groups={"staff": ["collector"]}), ["group-member"]),
        (other("accounts", groups={"shadow": ["shadow"]}), []),
        (more("sudo_rules", "rules", rule("collector", "/usr/bin/id", ["root"])), ["sudo-unknown"]),
        # The same command with one more option is another rule.
        (changed("sudo_rules", "rules", 1, options=["!authenticate", "setenv"]), ["sudo-missing", "sudo-unknown"]),
        (changed("sudo_rules", "rules", 1, users=["root"]), ["sudo-missing", "sudo-unknown"]),
        (changed("sudo_rules", "rules", 1, groups=["root"]), ["sudo-missing", "sudo-unknown"]),
        (other("sudo_rules", rules=[rule("alice", groups=["ALL"])]), ["sudo-missing"]),
        (more("sudo_rules", "defaults", {"account": "alice", "text": "!env_reset"}), ["sudo-defaults"]),
        (more("sudo_rules", "defaults", {"account": "alice", "text": SECURE}), []),
        (more("sudo_rules", "defaults", {"account": "alice", "text": f"{SECURE}/x"}), ["sudo-defaults"]),
        # What a role has for one account is another's finding.
        (more("sudo_rules", "defaults", {"account": "alice", "text": "!use_pty"}), ["sudo-defaults"]),
        (more("sudo_rules", "defaults", {"account": "pgbackup", "text": "!use_pty"}), []),
        (more("keys", "keys", key("alice", fingerprint=OTHER)), ["key-unknown"]),
        (more("keys", "keys", key("postgres")), ["key-unknown"]),
        (changed("keys", "keys", 0, options=['command="x"']), ["key-missing", "key-unknown"]),
        (other("keys", keys=[]), ["key-missing"]),
        (
            other(
                "keys",
                keys=[*parts()["keys"]["keys"], *[key("alice", ignored=True, path=IN_HOME, line=n) for n in range(9)]],
                files=[key_file("alice"), key_file("alice", ignored=True, path=IN_HOME)],
            ),
            ["key-ignored"],
        ),
        (more("keys", "keys", key("alice", problem="it is no key", fingerprint="")), ["key-unreadable"]),
        (other("keys", files=[key_file("alice", mode="0664")]), ["key-writable"]),
        (other("keys", files=[key_file("alice", mode="0777", kind="link", problem="it is a link")]), ["key-file-odd"]),
        (more("keys", "files", key_file("bob", kind="pipe", problem="it is a pipe", ignored=True)), ["key-file-odd"]),
        (other("keys", files=[key_file("alice", folder_owner="alice")]), ["key-writable"]),
        (
            other(
                "sshd", settings={"*": {"permitrootlogin": ["yes"], "authorizedkeysfile": ["/etc/ssh/devops_keys/%u"]}}
            ),
            ["sshd-setting"],
        ),
        (
            other("sshd", settings={**parts()["sshd"]["settings"], "bob": {"permitrootlogin": ["yes"]}}),
            ["sshd-setting"],
        ),
        (other("sshd", settings={**parts()["sshd"]["settings"], "bob": {"banner": ["none"]}}), []),
        (more("sshd", "matches", MATCH), ["sshd-match"]),
        (changed("sshd", "keys", 0, mode="0640"), ["sshd-file-open"]),
        (changed("sshd", "keys", 0, owner="alice"), ["sshd-file-open"]),
        (changed("sshd", "files", 0, mode="0664"), ["sshd-file-open"]),
        (changed("sshd", "files", 0, kind="link"), ["sshd-file-open"]),
        (changed("sshd", "folders", 0, mode="0775"), ["sshd-file-open"]),
        (changed("sshd", "folders", 0, owner="games"), ["sshd-file-open"]),
        (
            other("firewall", differs=[{"what": "loaded", "more": ["accept"], "lacks": [], "digest": "x"}]),
            ["firewall-differs"],
        ),
        (other("firewall", pending=True), ["firewall-unconfirmed"]),
        (other("firewall", other_tables=[{"table": "ip nat", "lines": [], "digest": "x"}]), ["firewall-other-table"]),
        (
            other("firewall", other_tables=[{"table": "at boot", "lines": ["table ip x {"], "digest": "x"}]),
            ["firewall-other-table"],
        ),
        (more("sockets", "sockets", socket(8080, "collector")), ["socket-unknown"]),
        # The right port, and another account behind it.
        (changed("sockets", "sockets", 3, account="collector"), ["socket-unknown"]),
        (changed("sockets", "sockets", 2, address="0.0.0.0"), ["socket-unknown"]),  # noqa: S104
        (more("sockets", "sockets", socket(1, "root", protocol="raw")), ["socket-unknown"]),
        (more("sockets", "sockets", socket(9, "root", "every interface", protocol="sctp")), ["socket-unknown"]),
        (more("sockets", "sockets", socket(3, "root", "interface 2", protocol="packet")), ["socket-unknown"]),
        (more("sockets", "sockets", socket(0x88CC, "systemd-network", "interface 2", protocol="packet")), []),
        (other("sockets", sockets=[]), ["socket-missing"]),
        (more("jobs", "cron", job("id")), ["cron-unknown"]),
        (more("jobs", "cron", job("id", package=True)), []),
        (changed("jobs", "cron", 1, command=""), ["cron-missing"]),
        (changed("jobs", "cron", 1, mode="0666"), ["cron-writable"]),
        (changed("jobs", "cron", 1, schedule="0 0 31 2 *"), ["cron-changed"]),
        (changed("jobs", "cron", 1, environment={"SHELL": "/tmp/x"}), ["cron-changed"]),
        (changed("jobs", "cron", 1, owner="pgbackup"), ["cron-writable"]),
        (changed("jobs", "folders", 0, mode="0777"), ["cron-writable"]),
        (changed("jobs", "folders", 0, owner="games"), ["cron-writable"]),
        (changed("jobs", "folders", 1, mode="1733"), ["cron-writable"]),
        (more("jobs", "timers", {**LINE, "files": {"/etc/systemd/system/oops.timer": "x"}}), ["timer-unknown"]),
        (more("jobs", "at", {"name": "a1", "digest": "x"}), ["at-job"]),
        (more("jobs", "linger", "alice"), ["lingering"]),
        (more("privileged_files", "files", privileged("/usr/bin/sort", "4755")), ["setuid-unknown"]),
        (more("privileged_files", "files", privileged("/usr/bin/passwd", "4755", package=False)), ["setuid-unknown"]),
        (more("privileged_files", "files", privileged("/usr/bin/passwd", "4755", group="users")), ["setuid-unknown"]),
        (
            more("privileged_files", "files", privileged("/usr/bin/x", "0755", capabilities=["cap_setuid"])),
            ["capability-unknown"],
        ),
        (more("privileged_files", "files", privileged("/usr/bin/ping", "0755", capabilities=["cap_net_raw"])), []),
        (
            more("privileged_files", "unsearched", {"path": "/home/m/x", "owner": "m", "why": "Permission denied"}),
            ["folder-unsearched"],
        ),
        (changed("secrets", "files", 0, mode="0644"), ["secret-open"]),
        (changed("secrets", "files", 0, kind="link"), ["secret-open"]),
        (changed("secrets", "files", 0, kind="nothing"), ["secret-missing"]),
        (changed("secrets", "files", 0, folder=folder("/etc", mode="0777")), ["secret-open"]),
        (changed("secrets", "files", 0, folder=folder("/etc", owner="games")), ["secret-open"]),
        (changed("secrets", "files", 0, acl="system.posix_acl_access 02"), ["secret-acl"]),
        (changed("packages", "versions", 0, candidate="17.7-0+deb13u1"), ["version-old"]),
        (
            more(
                "packages", "changed", {"path": "/usr/bin/su", "configuration": False, "missing": False, "digest": "x"}
            ),
            ["package-file-changed"],
        ),
        (
            more("packages", "changed", {"path": "/etc/x", "configuration": True, "missing": False, "digest": "x"}),
            ["package-configuration-changed"],
        ),
        (
            more(
                "packages",
                "changed",
                {"path": "/usr/share/doc/x", "configuration": False, "missing": True, "digest": ""},
            ),
            [],
        ),
        (other("packages", unverified=["coreutils"]), ["package-unverified"]),
        (other("upgrades", upgrade=False), ["upgrades-off"]),
        (other("upgrades", last={"lists": "2026-11-01T00:00:00+00:00", "upgrade": ""}), ["upgrades-late"]),
        (other("upgrades", last={"lists": "", "upgrade": ""}, since="2026-11-22T00:00:00+00:00"), []),
        (other("upgrades", pending=["openssl"]), ["security-pending"]),
        (other("upgrades", pending=["openssl"], since="2026-11-22T00:00:00+00:00"), []),
        (other("upgrades", pending=["openssl"], since="2099-11-22T00:00:00+00:00"), ["security-pending"]),
        (other("upgrades", last={"lists": "2099-11-01T00:00:00+00:00", "upgrade": ""}), ["upgrades-late"]),
        (other("upgrades", reboot=True), ["restart-due"]),
        (other("units", failed=["x.service"]), ["unit-failed"]),
        (changed("units", "units", 0, active="inactive"), ["unit-stopped"]),
        (changed("units", "units", 0, enabled="disabled"), ["unit-stopped"]),
        (changed("units", "units", 0, files=[OVER], contents={OVER: "x"}), ["unit-override"]),
        # In the place of the package's own.
        (changed("units", "units", 0, files=[OWN], contents={OWN: "x"}), ["unit-override"]),
        (changed("units", "units", 1, outdated=True), ["unit-override"]),
        (other("units", core_limit="infinity"), ["core-dumps"]),
        (other("units", suid_dumpable="2"), ["core-dumps"]),
        (changed("certificates", "files", 0, ends="2026-12-14T06:00:00+00:00"), ["certificate-ends"]),
        (changed("certificates", "files", 0, ends="2026-12-14T07:00:00+00:00"), []),
        (changed("certificates", "files", 0, ends="", problem="it is not there"), ["certificate-missing"]),
        (changed("disk", "places", 0, percent_free=9.9), ["disk-full"]),
        (changed("disk", "places", 0, percent_inodes_free=1.0), ["inodes-full"]),
        (other("clock", synchronised=False), ["clock-adrift"]),
    ],
)
def test_each_rule_is_found_by_what_it_is_about(given, found):
    id_, data = given
    assert sorted(one.rule for one in judged(sources(**{id_: data})).findings) == found


def test_every_rule_of_a_host_has_its_case():
    rules = {one.id for kind in KINDS if kind.of_host for one in kind.rules}
    cases = test_each_rule_is_found_by_what_it_is_about.pytestmark[0].args[1]
    # A test of its own has it, on the store.
    assert {rule_ for _given, found in cases for rule_ in found} | {"timer-changed"} == rules


def test_every_part_of_the_answer_has_its_judge():
    assert {kind.id for kind in KINDS if kind.of_host} == set(parts())


COMMAND = 'command="/usr/local/bin/dump-store ssh"'


def machine(**more_: t.Any) -> Part:
    options_ = ["restrict", 'from="192.0.2.10"', 'command="/usr/local/bin/dump-store ssh"']
    return key("dumps", **{"options": options_, "fingerprint": "SHA256:x", **more_})


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ([machine()], []),
        ([machine(fingerprint=OTHER)], ["key-missing", "key-unknown"]),
        ([machine(options=['command="/usr/local/bin/dump-store ssh"'])], ["key-missing", "key-unknown"]),
        ([machine(options=["restrict", 'command="/bin/sh"'])], ["key-missing", "key-unknown"]),
        ([machine(), machine()], ["key-unknown"]),
        # From elsewhere, or from anywhere.
        ([machine(options=["restrict", COMMAND])], ["key-missing", "key-unknown"]),
        ([machine(options=["restrict", COMMAND, 'from="192.0.2.11"'])], ["key-missing", "key-unknown"]),
        ([machine(options=["restrict", COMMAND, 'from="192.0.2.10"', 'from="*"'])], ["key-missing", "key-unknown"]),
        ([], ["key-missing"]),
    ],
)
def test_a_writer_of_the_store_has_one_key_that_does_one_thing(keys, found):
    well = sources()
    for source in well:
        if (source.id, source.host) == ("keys", "store"):
            source.data["keys"] = [key("alice"), *keys]
    assert sorted(one.rule for one in judged(well).findings) == found


@pytest.mark.parametrize(
    ("host", "group", "members"),
    [
        ("production", "pgdumper", ["pgdumper"]),
        ("production", "pgbackup", ["pgbackup"]),
        ("production", "collector", ["collector"]),
        ("store", "dumps-list", ["dumps", "dumps-archive", "dumps-read"]),
        ("store", "dumps-archive", ["dumps-archive"]),
        ("store", "dumps-read", ["dumps-archive", "dumps-read"]),
        ("store", "dumps-developer", ["dumps-developer"]),
    ],
)
def test_a_secret_s_group_has_those_that_the_roles_put_there_and_nobody_else(host, group, members):
    for more_, found in (([], []), (["mallory"], ["group-member"])):
        well = sources()
        for source in well:
            if (source.id, source.host) == ("accounts", host):
                source.data["groups"][group] = [*members, *more_]
        assert [one.rule for one in judged(well).findings] == found


@pytest.mark.parametrize(
    ("host", "unit", "schedule"),
    [
        ("store", "dumps-check", ["OnCalendar=hourly"]),
        ("store", "dumps-drill", ["OnCalendar=weekly"]),
        ("store", "dumps-prune", ["OnCalendar=daily"]),
        ("store", "dumps-archive", ["OnActiveSec=10min", "OnUnitInactiveSec=10min"]),
        ("production", "freshness", ["OnActiveSec=5min", "OnUnitActiveSec=5min", "OnUnitInactiveSec=5min"]),
    ],
)
def test_a_timer_of_a_role_starts_when_the_role_says(host, unit, schedule):
    line = {"unit": f"taaraxtak-{unit}.timer", "starts": "x", "next": 1, "files": {}}
    for told, found in ((schedule, []), (["OnCalendar=yearly"], ["timer-changed"]), ([], ["timer-changed"])):
        well = sources()
        for source in well:
            if (source.id, source.host) == ("jobs", host):
                source.data["timers"] = [{**line, "schedule": told}]
        assert [one.rule for one in judged(well).findings] == found


def test_what_a_role_has_written_of_a_unit_is_no_override():
    well = sources()
    path = "/etc/systemd/system/taaraxtak-collector.service"
    for source in well:
        for one in source.data["units"] if (source.id, source.host) == ("units", "production") else []:
            one |= {"files": [path], "contents": {path: "x"}} if one["unit"] == Path(path).name else {}
    assert judged(well).findings == ()


def test_a_host_is_asked_for_every_file_and_unit_that_something_is_expected_of():
    expected = expectations(VARIABLES.__getitem__, PRODUCTION)
    asked = options(expected, VARIABLES.__getitem__, PRODUCTION)
    assert asked["paths"] == [one["path"] for one in expected["secrets"]["files"]]
    assert set(expected["units"]["running"]) <= set(asked["units"])
    assert asked["firewall"] == {"admin_cidrs": ["192.0.2.0/24"], "ssh_port": 22, "open": []}
    assert ALICE_PRINT.startswith("SHA256:")


KNOWN = {"path": "/opt/x", "mode": "4750", "group": "users", "sha256": "1f" * 32}


@pytest.mark.parametrize(
    ("has", "found"),
    [
        ({}, []),
        ({"mode": "4755"}, ["setuid-unknown"]),
        ({"owner": "games"}, ["setuid-unknown"]),
        ({"group": "root"}, ["setuid-unknown"]),
        ({"digest": "2f" * 8}, ["setuid-unknown"]),
        ({"capabilities": ["cap_sys_admin"]}, ["capability-unknown", "setuid-unknown"]),
    ],
)
def test_a_program_that_the_inventory_knows_is_so_and_not_otherwise(has, found):
    own = {"path": "/opt/x", "mode": "4750", "group": "users", "package": False, "digest": "1f" * 8, **has}
    given = sources(**dict([more("privileged_files", "files", privileged(**own))]))
    expected = {**EXPECTED, "privileged_files": {"paths": [KNOWN]}}
    assert sorted(each.rule for each in judged(given, expected=expected).findings) == found


@pytest.mark.parametrize("path", ["/opt/x", {"path": "/opt/x"}, {**KNOWN, "user": "x"}, None])
def test_a_program_is_known_by_more_than_its_path(path):
    (found,) = [
        one
        for one in judged(expected={**EXPECTED, "privileged_files": {"paths": [path]}}).findings
        if one.host == "production"
    ]
    assert (found.rule, found.object) == ("source-unreadable", "source privileged_files")
    assert "write each of paths as a mapping with path and mode" in found.evidence


BLOCK = {"conditions": "LocalPort 2222", "lines": ["  PermitRootLogin  yes"]}


@pytest.mark.parametrize(
    ("lines", "found"), [(["PermitRootLogin yes"], []), ([], ["sshd-match"]), ([*BLOCK["lines"], "x"], ["sshd-match"])]
)
def test_a_match_block_that_the_inventory_knows_has_those_lines_and_no_other(lines, found):
    expected = {**EXPECTED, "sshd": {**EXPECTED["sshd"], "matches": [{**BLOCK, "lines": lines}]}}
    done = judged(sources(**dict([more("sshd", "matches", MATCH)])), expected=expected)
    assert [one.rule for one in done.findings] == found


def test_what_the_inventory_says_of_all_hosts_is_added_to_what_the_roles_say_of_one():
    expected = Expected({"paths": ["/a"], "max_days": 7, "hosts": {"x": {"paths": ["/b"], "max_days": 9}}}, NOW)
    assert (expected.of("x").get("paths"), expected.of("x").get("max_days")) == (["/a", "/b"], 9)
    assert (expected.of("y").get("paths"), expected.of("y").get("max_days")) == (["/a"], 7)
