"""What Grafana can't be provisioned with stops on the control machine, with a sentence, before any host is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stand_ins"))
import authority
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import tree
from ansible_collections.taaraxtak.production.plugins.module_utils.files import folder as folder_module

ROOT = Path(__file__).resolve().parents[2]
GOOD: dict[str, t.Any] = {
    "dashboards_grafana": "existing",
    "dashboards_version": "12.3.0",
    "dashboards_folder": str(ROOT / "dashboards"),
    "access_policy": {
        "roles": {"grafanareader": {"os_users": ["grafana"]}},
        "scope": {"databases": ["taaraxtak"]},
    },
}
SMTP = {"host": "mail.example.org:25", "password": "$__file{/etc/grafana/secrets/smtp}"}
CASES: dict[str, tuple[dict[str, t.Any], str]] = {
    "good": ({}, ""),
    "a secret in a file": ({"dashboards_settings": {"smtp": SMTP}}, ""),
    "another port by TLS": (
        {"dashboards_host": "db.example.org", "dashboards_password": "hunter2", "dashboards_database_port": 5433},
        "",
    ),
    "other files beside the dashboards": ({"dashboards_folder": "beside"}, ""),
    "no dashboard": ({"dashboards_folder": "empty"}, "There is no dashboard in"),
    "another port by the socket": ({"dashboards_database_port": 5433}, "Grafana reaches the port 5432 alone"),
    "a bare password": ({"dashboards_settings": {"smtp": {"password": "hunter2"}}}, "smtp.password"),
    "a password in an address": (
        {"dashboards_settings": {"database": {"url": "mysql://grafana:hunter2@db.example.org/grafana"}}},
        "database.url",
    ),
    "a password in a string of a connection": (
        {"dashboards_settings": {"remote_cache": {"connstr": "addr=127.0.0.1:6379,password=hunter2"}}},
        "remote_cache.connstr",
    ),
}
# What is published: each with the certificates of the tests' own authority (tests/stand_ins/authority.py).
PUBLISHED: dict[str, t.Any] = {
    "dashboards_published": True,
    "dashboards_url": "https://grafana.test/",
    "dashboards_tls_certificate": "tls/good.pem",
    "dashboards_tls_key": "tls/good.key",
}
ACME: dict[str, t.Any] = {
    "dashboards_published": True,
    "dashboards_url": "https://grafana.test/",
    "dashboards_acme_directory": "https://acme.example.org/directory",
    "dashboards_acme_email": "devops@example.org",
    "dashboards_acme_terms_agreed": True,
}
PATHS = {"dashboards_folder", "dashboards_tls_certificate"}
NO_CERTIFICATE = "Without a certificate Grafana isn't published"
NO_NAME = "Published, Grafana is at https://NAME/"
CASES |= {
    "no certificate": ({"dashboards_published": True, "dashboards_url": "https://grafana.test/"}, NO_CERTIFICATE),
    "a certificate of two kinds": (PUBLISHED | ACME, NO_CERTIFICATE),
    "a certificate that is not there": (PUBLISHED | {"dashboards_tls_certificate": "tls/none.pem"}, NO_CERTIFICATE),
    "terms that nobody agreed to": (ACME | {"dashboards_acme_terms_agreed": False}, NO_CERTIFICATE),
    "nobody to write to": (ACME | {"dashboards_acme_email": ""}, NO_CERTIFICATE),
    "an authority without TLS": (ACME | {"dashboards_acme_directory": "http://acme.example.org/dir"}, NO_CERTIFICATE),
    "http": (PUBLISHED | {"dashboards_url": "http://grafana.test/"}, NO_NAME),
    "a path": (PUBLISHED | {"dashboards_url": "https://grafana.test/grafana/"}, NO_NAME),
    "another port of https": (PUBLISHED | {"dashboards_url": "https://grafana.test:8443/"}, NO_NAME),
    "no full name": (ACME | {"dashboards_url": "https://localhost/"}, NO_NAME),
    "an address for an authority": (ACME | {"dashboards_url": "https://192.0.2.10/"}, NO_NAME),
    "beside the proxy": (PUBLISHED | {"dashboards_address": "192.0.2.10"}, NO_NAME),
    "a closed firewall": (PUBLISHED | {"host_admin_cidrs": ["192.0.2.0/24"]}, "is closed at 80, 443"),
    "half a firewall": (
        ACME | {"host_admin_cidrs": [], "host_open": [{"port": 443, "from": ["::/0"], "reason": "Grafana"}]},
        "is closed at 80:",
    ),
    "another key": (PUBLISHED | {"dashboards_tls_key": "tls/other.key"}, "the key is not that of the certificate"),
    "a key with a passphrase": (PUBLISHED | {"dashboards_tls_key": "tls/wrapped.key"}, "the key has a passphrase"),
    "no key": (PUBLISHED | {"dashboards_tls_key": "hunter2"}, "the key can't be read"),
    "another name": (PUBLISHED | {"dashboards_tls_certificate": "tls/elsewhere.pem"}, "and not for grafana.test"),
    "a certificate that has ended": (PUBLISHED | {"dashboards_tls_certificate": "tls/ended.pem"}, " ended on 20"),
    "the wrong order": (PUBLISHED | {"dashboards_tls_certificate": "tls/disordered.pem"}, "does not stand first"),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the role's preflight says in each case; "" where it lets it pass."""
    folder = tmp_path_factory.mktemp("preflight")
    # As somebody's mistake: another file is there, and no dashboard.
    (folder / "empty").mkdir()
    (folder / "empty" / "README.txt").write_text("none yet\n")
    # What lies beside the dashboards is nobody's business: no name, link or size of it.
    shutil.copytree(ROOT / "dashboards", folder / "beside")
    (folder / "beside" / "how.txt").write_text("x" * (folder_module.MOST_BYTES + 1))
    (folder / "beside" / "link.md").symlink_to("/etc/hostname")
    authority.write(folder / "tls", "grafana.test")
    tasks = []
    for number, (given, _sentence) in enumerate(CASES.values()):
        given = {key: str(folder / value) if key in PATHS else value for key, value in given.items()}
        if given.get("dashboards_tls_key", "").startswith("tls/"):
            given["dashboards_tls_key"] = (folder / given["dashboards_tls_key"]).read_text()
        part = "preflight_publish" if "dashboards_published" in given else "preflight"
        role = {"name": "taaraxtak.production.dashboards", "tasks_from": part}
        out = str(folder / f"{number}.json")
        tasks.append(
            {
                "vars": {**GOOD, **given},
                "block": [
                    {"ansible.builtin.include_role": role},
                    {"ansible.builtin.copy": {"content": '""', "dest": out}},
                ],
                "rescue": [
                    {"ansible.builtin.copy": {"content": "{{ ansible_failed_result.msg | to_json }}", "dest": out}}
                ],
            }
        )
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", folder / "play.yml"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return {name: json.loads((folder / f"{number}.json").read_text()) for number, name in enumerate(CASES)}


@pytest.mark.parametrize("case", CASES)
def test_it_says_what_can_not_be_and_lets_pass_what_can(said, case):
    sentence = CASES[case][1]
    assert sentence in said[case] if sentence else said[case] == ""
    assert "hunter2" not in said[case]


def test_what_can_be_exported_can_be_provisioned():
    assert tree.TREE_LIMIT == folder_module.MOST_BYTES
