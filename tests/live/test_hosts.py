"""Who gets at the hosts, and whether everything on them runs."""

from __future__ import annotations

import ipaddress


def test_no_unit_has_failed(host):
    assert host.said("systemctl", "list-units", "--failed", "--plain", "--no-legend").split() == []


def test_ssh_takes_no_password_and_no_root(host):
    effective = dict(line.split(" ", 1) for line in host.said("sshd", "-T").splitlines() if " " in line)
    assert effective["permitrootlogin"] == "no"
    assert effective["passwordauthentication"] == "no"
    assert effective["kbdinteractiveauthentication"] == "no"


def test_root_alone_is_root(host):
    accounts = [line.split(":") for line in host.said("getent", "passwd").splitlines()]
    assert [fields[0] for fields in accounts if fields[2] == "0"] == ["root"]


def test_no_account_has_a_password(host):
    """A password that is set is one that can be guessed; the hash itself is not looked at beyond that."""
    shadow = [line.split(":")[:2] for line in host.said("getent", "shadow").splitlines()]
    assert shadow
    assert [name for name, hashed in shadow if not hashed.startswith(("!", "*"))] == []


def test_devops_alone_becomes_root(host):
    devops = {one["name"] for one in host.variables["host_devops"]}
    accounts = [line.split(":")[0] for line in host.said("getent", "passwd").splitlines()]
    may = {name for name in accounts if name != "root" and "(ALL" in host.run("sudo", "-l", "-U", name).stdout}
    assert may <= devops


def test_what_comes_in_is_dropped_unless_a_rule_lets_it(host):
    rules = host.said("nft", "list", "ruleset")
    assert "hook input" in rules
    assert "policy drop" in rules


def test_the_database_listens_where_the_inventory_says(database):
    port = str(database.variables.get("database_port", 5432))
    listening = [line.split()[3].rpartition(":") for line in database.said("ss", "-H", "-l", "-t", "-n").splitlines()]
    outside = [address.strip("[]") for address, _colon, heard in listening if heard == port]
    wanted = database.variables.get("database_settings", {}).get("listen_addresses", "")
    assert all(wanted or ipaddress.ip_address(one.partition("%")[0]).is_loopback for one in outside)


def test_time_is_utc(host):
    assert host.said("timedatectl", "show", "--property=Timezone", "--value").strip() in ("UTC", "Etc/UTC")
