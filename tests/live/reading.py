"""Running hosts of an inventory, which can only be read: a command that is not known to read alone is refused."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import typing as t
from pathlib import Path

import testinfra
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.vars.manager import VariableManager
from ansible_collections.taaraxtak.production.tests.live import only_reads

VARIABLES = ("access_policy", "audit_absent", "backup_databases", "backup_dumper", "backup_stores", "backup_user",
             "collector_freshness", "collector_user", "database_port", "database_settings", "dashboards_grafana",
             "dashboards_published", "dump_store_folder", "dump_store_readers", "dump_store_user", "host_devops",
             "linode_report", "project_folder")  # fmt: skip
# And how it is reached.
REACHED = ("ansible_host", "ansible_user", "ansible_port", "ansible_connection", "ansible_become",
           "ansible_ssh_common_args")  # fmt: skip
# Where playbooks/linode.yml writes what the provider said, unless it is told another place: below the project, or this.
REPORT = Path("build", "linode", "verify.json")
ROOT = Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class Place:
    """A host of the inventory: how it is reached, its groups, and what the inventory says of it."""

    name: str
    address: str
    groups: tuple[str, ...]
    become: bool
    ssh_options: str
    variables: t.Mapping[str, t.Any]


class Host:
    """A running host, which can be asked and not be changed."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.name, self.groups, self.variables = place.name, place.groups, place.variables
        options = {"sudo": place.become} | ({"ssh_extra_args": place.ssh_options} if place.ssh_options else {})
        self._host = testinfra.get_host(place.address, **options)
        self._inside: dict[str, list[str]] = {}

    def run(self, *arguments: str) -> t.Any:
        """What a command that is known to read alone says."""
        only_reads.command(arguments)
        # In no language but its own: whoever logs in may bring another along.
        return self._host.run(" ".join(["env LC_ALL=C", *["%s"] * len(arguments)]), *arguments)

    def said(self, *arguments: str, statuses: t.Collection[int] = (0,), warned: bool = True) -> str:
        """The same, of one that must end with one of *statuses*; not *warned*: and must complain of nothing."""
        done = self.run(*arguments)
        assert done.rc in statuses, f"{' '.join(arguments)} on {self.name}: {done.stderr}"
        assert warned or not done.stderr.strip(), f"{' '.join(arguments)} on {self.name}: {done.stderr}"
        return str(done.stdout)

    def inside(self, folder: str) -> list[str]:
        """The paths of what is in a folder; none where there is no such folder. Who can't look there has not looked."""
        path = Path(folder)
        if path != path.parent and str(path) not in self.inside(str(path.parent)):
            return []
        if str(path) not in self._inside:
            printed = self.said("find", f"{path}/.", "-mindepth", "1", "-maxdepth", "1", "-printf", r"%f\n")
            self._inside[str(path)] = [str(path / name) for name in printed.splitlines()]
        return self._inside[str(path)]

    def sql(
        self, query: str, *, account: str = "postgres", role: str = "postgres", database: str = "postgres"
    ) -> t.Any:
        """psql's answer to one *query*, which the server only lets read."""
        only_reads.query(query)
        # With this path nobody's function or operator is taken for the server's own.
        settings = "PGOPTIONS=-c default_transaction_read_only=on -c search_path=pg_catalog"
        settings += " -c lock_timeout=2s -c statement_timeout=30s"
        port = str(self.variables.get("database_port", 5432))
        begun = f"START TRANSACTION READ ONLY; {query}"
        return self._host.run(
            "runuser -u %s -- env %s psql -X -At -v ON_ERROR_STOP=1 -p %s -U %s -d %s -c %s",
            *(account, settings, port, role, database, begun),
        )

    def rows(self, query: str, *, database: str = "postgres") -> list[str]:
        """The rows of a query as the superuser, who only reads."""
        done = self.sql(query, database=database)
        assert done.rc == 0, done.stderr
        return [line for line in done.stdout.splitlines() if line and line != "START TRANSACTION"]

    def mode(self, path: str) -> tuple[str, str, int]:
        """Owner, group and mode of a file."""
        owner, group, mode = self.said("stat", "-c", "%U %G %a", path).split()
        return owner, group, int(mode, 8)


@functools.cache
def places(inventory: str) -> tuple[Place, ...]:
    """The hosts of production and the store that *inventory* has."""
    # Without it no lookup of an inventory is known.
    init_plugin_loader()
    loader = DataLoader()
    # As in Ansible's own settings, several have commas between them.
    known = InventoryManager(loader=loader, sources=[str(Path(one).absolute()) for one in inventory.split(",")])
    manager = VariableManager(loader=loader, inventory=known)
    found = []
    for host in known.get_hosts("production_hosts:store_hosts"):
        given = manager.get_vars(host=host)
        read = Templar(loader=loader, variables=given).template
        word = {name: read(given[name]) for name in REACHED if name in given}
        found.append(
            Place(
                host.name,
                _address(host.name, word),
                tuple(sorted(group.name for group in host.get_groups())),
                bool(word.get("ansible_become", False)),
                str(word.get("ansible_ssh_common_args", "")),
                json.loads(json.dumps({name: read(given[name]) for name in VARIABLES if name in given}, default=str)),
            )
        )
    return tuple(found)


def provided(inventory: str) -> dict[str, t.Any] | None:
    """What the provider said, and how many hosts it was to be asked about; None where it is declared absent."""
    production = [place for place in places(inventory) if "production_hosts" in place.groups]
    variables = production[0].variables
    if "provider" in [one["source"] for one in variables.get("audit_absent", [])]:
        return None
    said = report(variables).read_text(encoding="utf-8")
    return {**json.loads(said), "wanted": len(production)}


def report(variables: t.Mapping[str, t.Any]) -> Path:
    """Where playbooks/linode.yml has written what the provider said, by the rule of playbooks/vars/project.yml."""
    project = os.environ.get("TAARAXTAK_PROJECT") or variables.get("project_folder") or ROOT
    return Path(variables.get("linode_report") or Path(project, REPORT))


def _address(name: str, word: t.Mapping[str, t.Any]) -> str:
    host = word.get("ansible_host", name)
    if str(word.get("ansible_connection", "ssh")).endswith("podman"):
        return f"podman://{host}"
    user, port = word.get("ansible_user"), word.get("ansible_port")
    return f"ssh://{f'{user}@' if user else ''}{host}{f':{port}' if port else ''}"
