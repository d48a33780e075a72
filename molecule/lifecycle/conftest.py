"""The project of the scenario: its inventory, which the tests change as people do, and its playbooks, run on it."""

from __future__ import annotations

import copy
import json
import subprocess
import typing as t
from pathlib import Path

import acting
import pytest
import testinfra
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "molecule" / "lifecycle"
INVENTORY = FOLDER / "project" / "inventory" / "mine"
# Read after the other files of a group's folder, so that it has the last word.
FILE = "zz_later.yml"


class Project:
    """What stands in the inventory, and what is run with it."""

    def write(self, group: str, **variables: t.Any) -> None:
        """Write *variables* of a *group* into the inventory; the others stay."""
        path = INVENTORY / "group_vars" / group / FILE
        path.parent.mkdir(exist_ok=True)
        there = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        path.write_text(yaml.safe_dump({**there, **variables}), encoding="utf-8")

    def variables(self, group: str) -> dict[str, t.Any]:
        """What the inventory says of a *group*, templates as they are written."""
        found: dict[str, t.Any] = {}
        for path in sorted((INVENTORY / "group_vars" / group).glob("*.yml")):
            found |= yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return found

    def hosts(self, change: t.Callable[[dict[str, t.Any]], None]) -> None:
        """Change hosts.yml."""
        path = INVENTORY / "hosts.yml"
        hosts = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(hosts)
        path.write_text(yaml.safe_dump(hosts), encoding="utf-8")

    def key(self, name: str) -> Path:
        """The private half of an ed25519 key of that name, made where there is none."""
        path = FOLDER / "keys" / name
        if not path.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
        return path

    def public(self, name: str) -> str:
        """Its public half, one line."""
        return self.key(name).with_suffix(".pub").read_text(encoding="utf-8").strip()

    def play(self, name: str, **options: t.Any) -> str:
        """Run a playbook; what it prints, without line ends within sentences."""
        return " ".join(acting.play(f"playbooks/{name}.yml", inventories=[INVENTORY], **options).split())


@pytest.fixture(scope="session")
def project() -> Project:
    """The project of the scenario."""
    return Project()


@pytest.fixture(scope="session")
def access_policy(project: Project) -> t.Callable[[], dict[str, t.Any]]:
    """A function that gives the policy as it stands, to be changed."""

    def read() -> dict[str, t.Any]:
        policy: dict[str, t.Any] = copy.deepcopy(project.variables("production_hosts")["access_policy"])
        for grant in policy["grants"]:
            # To YAML 1.1 that key is a truth value.
            grant["on"] = grant.pop(True, None) or grant["on"]
        return policy

    return read


@pytest.fixture(scope="session")
def vault() -> t.Any:
    """The host that becomes the second store."""
    return testinfra.get_host("podman://taaraxtak-lifecycle-vault")


@pytest.fixture(scope="session")
def network(production: t.Any) -> str:
    """The containers' network: this machine and production are in it."""
    address = production.check_output("hostname -I").split()[0]
    return f"{address.rpartition('.')[0]}.0/24"


@pytest.fixture(scope="session")
def dumps() -> t.Callable[..., list[dict[str, t.Any]]]:
    """A function that gives what a store holds of a database, oldest first."""

    def listed(store: t.Any, database: str = "taaraxtak") -> list[dict[str, t.Any]]:
        rows = json.loads(store.check_output("dump-store list --json"))
        return [row for row in rows if (row["database"], row["kind"]) == (database, "dump")]

    return listed


@pytest.fixture(scope="session")
def count() -> t.Callable[[t.Any], dict[str, t.Any]]:
    """A function that gives the check's verdict of a store: how many of its dumps count, and what is wrong."""

    def checked(store: t.Any) -> dict[str, t.Any]:
        verdict = json.loads(store.run("runuser -u dumps-archive -- dump-store check --json").stdout)
        return {
            "dumps": {(one["database"], one["kind"]): one["dumps"] for one in verdict["groups"]},
            "signers": {one["signer"] for one in verdict["groups"]},
            "critical": [one["sentence"] for one in verdict["findings"] if one["level"] == "critical"],
        }

    return checked


@pytest.fixture(scope="session")
def first(store: t.Any, dumps: t.Any) -> str:
    """The dump that was made at the beginning."""
    return str(dumps(store)[0]["name"])


@pytest.fixture(scope="session")
def send(production: t.Any) -> t.Callable[[str], list[str]]:
    """A function that gives the words by which production connects to a store."""

    def words(store: str) -> list[str]:
        stores = json.loads(production.file("/etc/taaraxtak/dump-send.json").content_string)["stores"]
        return list(next(one["command"] for one in stores if one["name"] == store))

    return words
