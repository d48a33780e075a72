"""Who gets at the hosts, and whether everything on them runs."""

from __future__ import annotations


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
    # 1: it may run nothing.
    said = {name: host.said("sudo", "-l", "-U", name, statuses=(0, 1)) for name in accounts if name != "root"}
    answers = ("may run the following commands", "is not allowed to run sudo")
    assert [name for name, printed in said.items() if not any(answer in printed for answer in answers)] == []
    assert {name for name, printed in said.items() if "(ALL" in printed} <= devops


def test_what_comes_in_is_dropped_unless_a_rule_lets_it(host):
    rules = host.said("nft", "list", "ruleset")
    assert "hook input" in rules
    assert "policy drop" in rules


def heard(host, port: int) -> set[str]:
    """The addresses at which something listens at a port."""
    sockets = [line.split()[3].rpartition(":") for line in host.said("ss", "-H", "-l", "-t", "-n").splitlines()]
    return {address.strip("[]").partition("%")[0] for address, _colon, at in sockets if at == str(port)}


EVERYWHERE, LOOPBACK = {"*", "0.0.0.0", "::"}, {"127.0.0.1", "::1"}  # noqa: S104


def test_the_database_listens_where_the_inventory_says_and_nowhere_else(database):
    settings = database.variables.get("database_settings", {"listen_addresses": ""})
    said = str(settings.get("listen_addresses", "localhost"))
    assert database.rows("SHOW listen_addresses") == ([said] if said else [])
    wanted = {one.strip() for one in said.split(",") if one.strip()}
    allowed = wanted | (EVERYWHERE if wanted & EVERYWHERE else set()) | (LOOPBACK if "localhost" in wanted else set())
    found = heard(database, int(database.variables.get("database_port", 5432)))
    assert found <= allowed
    assert bool(found) == bool(wanted)


def test_nobody_reaches_grafana_but_by_the_proxy(dashboards):
    if dashboards.variables.get("dashboards_grafana", "none") == "none":
        assert heard(dashboards, 3000) == set()
    elif dashboards.variables.get("dashboards_published"):
        assert heard(dashboards, 3000) <= LOOPBACK
        assert heard(dashboards, 443)


def test_time_is_utc(host):
    assert host.said("timedatectl", "show", "--property=Timezone", "--value").strip() in ("UTC", "Etc/UTC")
