"""Grafana as the role leaves it: its settings, its datasource, its dashboards, nothing that can be changed in place.

The server is a stand-in (tests/stand_ins/grafana), which reads the files as Grafana does. PostgreSQL is the real one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
NAME = os.environ["MOLECULE_SCENARIO_NAME"]  # dashboards, or grafana-real with Grafana's own server
SCENARIO = ROOT / "build/molecule" / NAME
VERSION = os.environ.get("GRAFANA_VERSION") or "12.3.0"
TREE = SCENARIO / "tree"
CONVERGE = str(ROOT / "molecule/dashboards/converge.yml")
UNIT = "grafana-server.service"
SECRETS = "/etc/grafana/secrets"
MADE = ("secret_key", "admin_password")
PLANTED = Path("Planted/planted.json")
DASHBOARD = {"editable": False, "panels": [], "schemaVersion": 39, "title": "Planted", "uid": "planted"}


@pytest.fixture
def tree():
    """The tree that the scenario provisions, to be changed; afterwards it is as it was."""
    kept = SCENARIO / "kept"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(TREE, kept)
    yield TREE
    shutil.rmtree(TREE)
    kept.rename(TREE)


def plant(tree: Path, path: Path = PLANTED, **more: object) -> None:
    """Write a dashboard into the tree."""
    (tree / path).parent.mkdir(exist_ok=True)
    (tree / path).write_text(json.dumps({**DASHBOARD, **more}, indent=2, sort_keys=True) + "\n")


def changed(said: str) -> int:
    """What the recap of a run counts as changed on production."""
    return int(re.search(r"^production\s.*changed=(\d+)", said, re.MULTILINE)[1])


def titles(ask) -> set[str]:
    """The dashboards that Grafana has."""
    return {one["title"] for one in ask("GET", "/api/search?type=dash-db")[1]}


def wanted() -> set[str]:
    """The dashboards of the tree."""
    return {json.loads(path.read_text())["title"] for path in TREE.rglob("*.json")}


def started(production) -> str:
    """When the running Grafana was started."""
    return production.check_output("systemctl show --property=ExecMainStartTimestampMonotonic --value %s", UNIT)


def listing(production) -> str:
    """Every file below /etc/grafana with its owner, mode, size and times."""
    return production.check_output("find /etc/grafana -printf %s", "%p %u:%g %m %s %T@ %C@\\n")


# --- What is there --------------------------------------------------------------------------------------------------
def test_grafana_runs_from_its_package_as_its_own_account(production):
    assert production.check_output("dpkg-query --show '--showformat=${Version}' grafana").startswith(VERSION)
    assert production.service(UNIT).is_enabled
    pid = production.check_output("systemctl show --property=MainPID --value %s", UNIT)
    assert production.check_output("stat -c %%U /proc/%s", pid) == "grafana"


def test_it_listens_on_the_loopback_address_alone(production):
    listening = production.check_output("ss -Hltn sport = :3000")
    assert [line.split()[3] for line in listening.splitlines()] == ["127.0.0.1:3000"]


def test_what_it_reads_is_roots_and_nobody_else_reads_it(production):
    found = production.check_output("find /etc/grafana -printf %s", "%p %u:%g %m %y\\n").splitlines()[1:]
    rights = {line.split(" ")[0]: line.split(" ")[1:] for line in found}
    for path, (owner, mode, kind) in rights.items():
        assert owner == "root:grafana", path
        assert mode == ("640" if kind == "f" else "750" if path == SECRETS else "755"), path
    assert {
        path for path, what in rights.items() if path.startswith("/etc/grafana/dashboards/") and what[2] == "f"
    } == {f"/etc/grafana/dashboards/taaraxtak/{path.relative_to(TREE)}" for path in TREE.rglob("*.json")}


def test_grafana_can_not_write_what_it_reads(production):
    for path in ("/etc/grafana/planted", "/etc/grafana/dashboards/taaraxtak/planted.json", f"{SECRETS}/planted"):
        done = production.run("runuser -u grafana -- touch %s", path)
        assert done.rc != 0
        assert "Permission denied" in done.stderr


# What the running server says of itself, by section and key; its defaults are otherwise but for a few.
HARDENED = {
    ("server", "http_addr"): "127.0.0.1",
    ("security", "disable_gravatar"): "true",
    ("security", "cookie_samesite"): "strict",
    ("security", "allow_embedding"): "false",
    ("security", "strict_transport_security"): "true",
    ("security", "x_content_type_options"): "true",
    ("security", "content_security_policy"): "true",
    ("users", "allow_sign_up"): "false",
    ("users", "allow_org_create"): "false",
    ("users", "auto_assign_org_role"): "Viewer",
    ("users", "viewers_can_edit"): "false",
    ("users", "editors_can_admin"): "false",
    ("auth.anonymous", "enabled"): "false",
    ("snapshots", "enabled"): "false",
    ("snapshots", "external_enabled"): "false",
    ("public_dashboards", "enabled"): "false",
    ("explore", "enabled"): "false",
    ("analytics", "reporting_enabled"): "false",
    ("analytics", "check_for_updates"): "false",
    ("analytics", "check_for_plugin_updates"): "false",
    ("news", "news_feed_enabled"): "false",
    ("plugins", "plugin_admin_enabled"): "false",
    ("metrics", "enabled"): "false",
}


@pytest.fixture(scope="module")
def effective(ask):
    """The settings that the running server has."""
    return ask("GET", "/api/admin/settings")[1]


@pytest.mark.parametrize(("section", "key"), HARDENED)
def test_the_running_server_is_hardened(effective, section, key):
    assert effective[section][key] == HARDENED[section, key]


def test_nobody_asks_anything_without_a_name(ask):
    assert ask("GET", "/api/search", user="nobody")[0] == 401


def test_the_well_known_secrets_are_not_used(production, ask):
    for name, known in (("secret_key", "SW2YcwTIb9zpOOhoPsMm"), ("admin_password", "admin")):
        made = production.check_output("cat %s", f"{SECRETS}/{name}").strip()
        assert made != known
        assert re.fullmatch(r"[0-9a-f]{48}", made)
    assert ask("GET", "/api/org")[0] == 200, "the password that was made is the one that counts"


@pytest.mark.parametrize("kind", ["datasources", "dashboards", "alerting"])
def test_the_files_are_as_grafana_documents_them(production, kind):
    folder = f"/etc/grafana/provisioning/{kind}"
    assert production.check_output("ls %s", folder) == "taaraxtak.yml", "nobody else's file is beside it"
    schema = json.loads((ROOT / f"tests/contract/schemas/grafana/{kind}.json").read_text())
    jsonschema.validate(yaml.safe_load(production.file(f"{folder}/taaraxtak.yml").content_string), schema)


# --- The database ---------------------------------------------------------------------------------------------------
def test_the_datasource_works_as_grafanareader_without_a_password(production, ask):
    """psql, as Grafana's account, with exactly what the datasource says."""
    [source] = ask("GET", "/api/datasources")[1]
    assert (source["uid"], source["isDefault"], source["readOnly"]) == ("taaraxtak", True, True)
    assert source["jsonData"]["database"] == source["database"]
    where = f"host={source['url']} user={source['user']} dbname={source['database']}"
    where += f" sslmode={source['jsonData']['sslmode']}"
    sql = "SELECT current_user, count(*) > 0 FROM public.provider_marketshare"
    assert production.check_output("runuser -u grafana -- psql -XAt %s -c %s", where, sql) == "grafanareader|t"
    refused = production.run(
        "runuser -u grafana -- psql -XAt %s -c 'SET default_transaction_read_only = off' -c %s",
        where,
        "DELETE FROM public.provider_marketshare",
    )
    assert refused.rc != 0
    assert "permission denied" in refused.stderr


def test_the_alert_asks_what_grafanareader_may_and_tells_a_stale_table(ask, grafanareader, postgres):
    [rule] = ask("GET", "/api/v1/provisioning/alert-rules")[1]
    assert rule["provenance"] == "file"
    sql = rule["data"][0]["model"]["rawSql"]

    def late(login) -> dict[str, float]:
        done = login.run(sql)
        assert done.rc == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if "|" in line]
        return {line.split("|")[1]: float(line.split("|")[2]) for line in lines}

    now = late(grafanareader)
    assert set(now) == {"public.provider_marketshare", "public.ooni_web_connectivity_test"}
    assert all(seconds < 0 for seconds in now.values()), now
    emptied = postgres.run(f"SET LOCAL lock_timeout = '20s'; TRUNCATE public.provider_marketshare; {sql}")
    stale = [line for line in emptied.stdout.splitlines() if "|public.provider_marketshare|" in line]
    assert float(stale[0].split("|")[2]) > 0, "a table without a row is stale"


# --- Nobody edits in place ------------------------------------------------------------------------------------------
def test_what_is_provisioned_can_not_be_changed_by_anybody(ask):
    for found in ask("GET", "/api/search?type=dash-db")[1]:
        held = ask("GET", f"/api/dashboards/uid/{found['uid']}")[1]
        assert held["meta"]["provisioned"], found
        status, said = ask("POST", "/api/dashboards/db", {"dashboard": held["dashboard"], "overwrite": True})
        assert (status, said["message"]) == (400, "Cannot save provisioned dashboard")
        assert ask("DELETE", f"/api/dashboards/uid/{found['uid']}")[0] == 400
    [source] = ask("GET", "/api/datasources")[1]
    assert ask("PUT", f"/api/datasources/{source['id']}", source)[0] == 403
    assert ask("DELETE", "/api/datasources/name/taaraxtak")[0] == 403


def test_a_dashboard_that_somebody_made_in_place_is_found(ask, compared):
    assert compared() == {"equal": True, "added": [], "removed": [], "updated": [], "not_provisioned": []}
    assert (
        ask("POST", "/api/dashboards/db", {"dashboard": {"title": "By hand", "uid": "by-hand", "panels": []}})[0] == 200
    )
    try:
        found = compared()
        assert (found["equal"], found["added"], found["not_provisioned"]) == (False, ["by-hand"], ["by-hand"])
    finally:
        assert ask("DELETE", "/api/dashboards/uid/by-hand")[0] == 200
    assert compared()["equal"]


# --- A run that has nothing to do ---------------------------------------------------------------------------------
def test_where_no_grafana_is_asked_for_one_line_says_so_and_nothing_is_done(production, play):
    before, since = listing(production), started(production)
    said = play(CONVERGE, dashboards_grafana="none")
    assert "Grafana is not provisioned, since dashboards_grafana is none" in re.sub(r"\s+", " ", said)
    assert changed(said) == 0
    assert (listing(production), started(production)) == (before, since)


# --- A change -------------------------------------------------------------------------------------------------------
def test_a_second_run_changes_nothing_and_the_secrets_stay_and_are_nowhere_else(production, play):
    """Not in what a run prints with all its detail and diffs, not in the journal, not in another file."""
    before, since = listing(production), started(production)
    made = {name: production.check_output("cat %s", f"{SECRETS}/{name}").strip() for name in MADE}
    said = play(CONVERGE, "-vvv", "--diff")
    assert changed(said) == 0
    assert (listing(production), started(production)) == (before, since)
    journal = production.check_output("journalctl --no-pager --output=cat")
    for name, secret in made.items():
        assert production.check_output("cat %s", f"{SECRETS}/{name}").strip() == secret
        assert secret not in said
        assert secret not in journal
        where = production.run("grep -rlF %s /etc /var/lib/grafana /var/log /tmp /root", secret).stdout.split()
        assert where == [f"{SECRETS}/{name}"]
        assert secret not in production.check_output("ps -eo args")


def test_a_dashboard_comes_and_goes_with_its_file_and_grafana_is_not_restarted(production, play, ask, until, tree):
    since = started(production)
    assert titles(ask) == wanted()
    plant(tree)
    assert changed(play(CONVERGE)) == 1
    until(lambda: titles(ask) == wanted(), seconds=30, what="the new dashboard", host=production, unit=UNIT)
    assert "Planted" in titles(ask)
    (tree / PLANTED).unlink()
    assert changed(play(CONVERGE)) == 1
    until(lambda: titles(ask) == wanted(), seconds=30, what="its end", host=production, unit=UNIT)
    assert not production.file("/etc/grafana/dashboards/taaraxtak/Planted").exists
    assert started(production) == since


def test_a_changed_setting_restarts_it_once_and_a_run_that_was_cut_is_made_good(production, play, effective):
    since = started(production)
    settings = {"users": {"login_hint": "a; hint # of ours"}}
    play(CONVERGE, dashboards_settings=settings)
    assert started(production) != since
    assert 'login_hint = """a; hint # of ours"""' in production.file("/etc/grafana/grafana.ini").content_string
    # As if a run had ended between writing the file and the restart.
    time.sleep(1.1)
    production.check_output("touch /etc/grafana/grafana.ini")
    since = started(production)
    assert changed(play(CONVERGE, dashboards_settings=settings)) == 1
    assert started(production) != since


def test_a_secret_that_is_given_is_written_and_not_shown(production, play):
    said = play(CONVERGE, "-vvv", "--diff", dashboards_secret_key="Gegeben17")  # noqa: S106 (made up)
    assert production.check_output("cat %s/secret_key", SECRETS).strip() == "Gegeben17"
    assert "Gegeben17" not in said
    assert "Gegeben17" not in production.check_output("journalctl --no-pager --output=cat")
    assert "Gegeben17" not in production.check_output("ps -eo args")


# --- What can't work stops before anything changes ------------------------------------------------------------------
def bad_dashboards(tree: Path) -> dict[str, object]:
    """Every kind of file that Grafana would stumble over, or that must not be there, at once."""
    plant(tree, id=7)
    plant(tree, Path("Planted/uid.json"), title="Another")
    plant(tree, Path("Planted/title.json"), uid="other")
    plant(tree, Path("Planted/secret.json"), uid="secret", title="Secret", panels=[{"password": "hunter2hunter2"}])
    (tree / "Planted/half.json").write_text('{"title": "Pla')
    return {}


def without_a_tree(_tree: Path) -> dict[str, object]:
    return {"dashboards_folder": "/nowhere"}


def with_another_version(_tree: Path) -> dict[str, object]:
    return {"dashboards_version": "8.5.0"}


def where_another_version_is_installed(_tree: Path) -> dict[str, object]:
    return {"dashboards_grafana": "existing", "dashboards_version": "11.0.0"}


def as_another_role(_tree: Path) -> dict[str, object]:
    return {"dashboards_role": "scraper"}


def with_half_a_tables_name(_tree: Path) -> dict[str, object]:
    return {"dashboards_stale": [{"table": "marketshare", "column": "time", "max_age": 60}]}


def with_settings_that_can_not_be_written(_tree: Path) -> dict[str, object]:
    return {"dashboards_settings": {"users": {"login_hint": "two\nlines"}}}


def with_a_dollar(_tree: Path) -> dict[str, object]:
    return {"dashboards_admin_password": "a$b"}


def elsewhere_without_a_password(_tree: Path) -> dict[str, object]:
    return {"dashboards_host": "db.example.org"}


# More of them stop on the control machine alone: tests/contract/test_dashboards_preflight.py.
BROKEN = {
    bad_dashboards: [
        'Planted/planted.json: it has an "id"',
        "Planted/uid.json: Planted/planted.json has the uid planted too",
        "Planted/title.json: Planted/planted.json has the title 'Planted' too",
        "Planted/secret.json: ",
        "which must not be committed",
        "Planted/half.json: ",
    ],
    without_a_tree: ["Where are the dashboards"],
    with_another_version: ["Which Grafana"],
    where_another_version_is_installed: ["and dashboards_version says 11.0.0"],
    as_another_role: ["grafana among its os_users"],
    with_half_a_tables_name: ["write schema.table"],
    with_settings_that_can_not_be_written: ["login_hint in [users] of grafana.ini has a line's end"],
    with_a_dollar: ["has a dollar"],
    elsewhere_without_a_password: ["dashboards_password from a vaulted file"],
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_it_stops_before_anything_changes_and_says_what_to_do(production, play, tree, broken):
    before, since = listing(production), started(production)
    said = play(CONVERGE, status=2, **broken(tree))
    told = re.sub(r"\s+", " ", said).replace('\\"', '"')
    assert [sentence for sentence in BROKEN[broken] if sentence not in told] == []
    assert changed(said) == 0
    assert (listing(production), started(production)) == (before, since)
    assert "hunter2" not in said
    assert "a$b" not in said


# --- Drift -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def compared(production, new_token):
    """A function that runs the drift check on the host where Grafana listens, with the repository's tree."""
    subprocess.run(["podman", "cp", str(TREE), f"taaraxtak-{NAME}-production:/tmp/"], check=True)
    write = "import os, sys; os.umask(0o77); open('/tmp/viewer', 'w').write(sys.argv[1])"
    production.check_output("python3 -c %s %s", write, new_token("Viewer"))
    options = "state=compared url=http://127.0.0.1:3000 folder=/tmp/tree token_file=/tmp/viewer"
    command = ["ansible", "production", "-i", ROOT / "inventory/local", "-a", options, "-m"]
    plain = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_FORCE_COLOR": "0",
    }

    def run() -> dict[str, object]:
        said = subprocess.run(
            [*command, "taaraxtak.production.grafana_dashboards"],
            cwd=ROOT, env={**os.environ, **plain}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert said.returncode == 0, said.stdout + said.stderr
        answer = json.loads(said.stdout[said.stdout.index("{") :])
        return {key: answer[key] for key in ("equal", "added", "removed", "updated", "not_provisioned")}

    yield run
    production.check_output("rm -rf /tmp/viewer /tmp/tree")


# --- From a repository ---------------------------------------------------------------------------------------------
# A repository of one package, signed by a key that is made here: what apt asks of Grafana's own.
REPOSITORY = """
import hashlib, os, pathlib, subprocess, sys
name, top = sys.argv[1], pathlib.Path("/srv/grafana")
os.environ["GNUPGHOME"] = str(top / "keys")
(top / "keys").mkdir(mode=0o700, exist_ok=True)
def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout
for who in ("right", "wrong"):
    run("gpg", "--batch", "--quick-generate-key", "--passphrase", "", who, "ed25519", "sign", "never")
package = top / name
control = run("dpkg-deb", "--field", str(package)).strip()
digest = hashlib.sha256(package.read_bytes()).hexdigest()
text = f"{control}\\nFilename: ./{name}\\nSize: {package.stat().st_size}\\nSHA256: {digest}\\n\\n"
(top / "Packages").write_text(text)
digest = hashlib.sha256(text.encode()).hexdigest()
release = f"Date: Thu, 01 Jan 2026 00:00:00 UTC\\nSHA256:\\n {digest} {len(text)} Packages\\n"
run("gpg", "--batch", "--local-user", "right", "--clearsign", "--output", str(top / "InRelease"), input=release)
for who in ("right", "wrong"):
    (top / f"{who}.key").write_text(run("gpg", "--armor", "--export", who))
"""


@pytest.mark.skipif(NAME != "dashboards", reason="the stand-in's package is what the repository holds")
def test_a_signed_repository_gives_the_version_that_is_asked_for_and_another_key_nothing(production, play, ask):
    name = "grafana_12.3.1_all.deb"
    pack = [sys.executable, ROOT / "tests/stand_ins/grafana/package.py", "12.3.1", SCENARIO / name]
    subprocess.run(pack, check=True)
    production.check_output("mkdir -p /srv/grafana")
    subprocess.run(["podman", "cp", SCENARIO / name, f"taaraxtak-{NAME}-production:/srv/grafana/"], check=True)
    production.check_output("apt-get -qq install --yes --no-install-recommends gpg gpg-agent")
    production.check_output("python3 -c %s %s", REPOSITORY, name)
    for who in ("right", "wrong"):
        (SCENARIO / f"{who}.key").write_text(production.check_output("cat /srv/grafana/%s.key", who))
    given = {
        "dashboards_grafana": "apt",
        "dashboards_version": "12.3.1",
        "dashboards_apt_uri": "file:///srv/grafana",
        "dashboards_apt_suite": "./",
        "dashboards_apt_components": [],
    }
    play(CONVERGE, status=2, **given, dashboards_apt_key=str(SCENARIO / "wrong.key"))
    assert ask("GET", "/api/health")[1]["version"] == "12.3.0"
    play(CONVERGE, **given, dashboards_apt_key=str(SCENARIO / "right.key"))
    assert ask("GET", "/api/health")[1]["version"] == "12.3.1", "the new one was started"
    assert changed(play(CONVERGE, **given, dashboards_apt_key=str(SCENARIO / "right.key"))) == 0
