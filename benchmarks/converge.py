"""Tasks, seconds and CPU of a run of site.yml that changes nothing, on the containers that `make up` has made.

With PEER=FOLDER, a checkout of the role geerlingguy.postgresql, that role alone runs beside it, in turns, on a
container of its own: with its defaults, one database and three users.
Prints a table and writes build/bench/converge.json. It measures; it does not judge.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from .common import FOLDER, Target, table, target_table, write

RUNS = 3
FIGURES = ("tasks", "wall_s", "cpu_s", "hosts_cpu_s", "peak_mb")


@dataclasses.dataclass(frozen=True)
class Way:
    """One playbook, the containers that it runs on, and what it is called."""

    name: str
    playbook: tuple[str, ...]
    hosts: tuple[str, ...]


SITE = Way(
    "site.yml, all of it",
    ("ansible-playbook", "-i", "inventory/local", "playbooks/site.yml"),
    ("taaraxtak-up-production", "taaraxtak-up-store"),
)

# The scope of the peer's container; inventory/local names it by the host `developer`.
# The role reads facts as variables (ansible_fips), which this project's ansible.cfg turns off.
SCOPE = {"MOLECULE_SCENARIO_NAME": "converge-peer", "ANSIBLE_INJECT_FACT_VARS": "true"}
ONE_HOST = ("ansible-playbook", "-i", "inventory/local", "-e", '{"containers_groups": ["developer_hosts"]}')


def host_cpu(hosts: t.Sequence[str]) -> float:
    """Seconds of CPU that the containers have used, as their cgroups count them."""
    total = 0.0
    for host in hosts:
        query = ["podman", "stats", "--no-stream", "--format", "{{.CPUNano}}", host]
        total += int(subprocess.run(query, check=True, capture_output=True, text=True).stdout) / 1e9
    return total


def run(way: Way) -> dict[str, float]:
    """One run: its seconds, CPU here and on the hosts, tasks (each host's counted) and changes."""
    hosts_before, before, begun = host_cpu(way.hosts), resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        way.playbook, capture_output=True, text=True, check=False, env=os.environ | SCOPE_OF[way.name]
    )
    wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{way.name} failed; run `make up` first.\n{done.stdout[-3000:]}")
    recap = re.findall(r"ok=(\d+)\s+changed=(\d+)", done.stdout.split("PLAY RECAP")[1])
    return {
        "wall_s": wall,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "hosts_cpu_s": host_cpu(way.hosts) - hosts_before,
        "tasks": sum(int(ok) for ok, _ in recap),
        "changed": sum(int(changed) for _, changed in recap),
        "peak_mb": after.ru_maxrss / 1024,
    }


SCOPE_OF: dict[str, dict[str, str]] = {SITE.name: {}}


@contextlib.contextmanager
def peer(folder: str) -> t.Iterator[Way]:
    """The role in *folder* on a container of its own, which is removed at the end."""
    role = Path(folder).resolve()
    if not (role / "tasks/main.yml").is_file():
        sys.exit(f"{role} is no role: it has no tasks/main.yml. PEER is a checkout of geerlingguy.postgresql.")
    names = [{"name": name} for name in ("scraper", "grafanareader", "dumper")]
    # Debian's image has the locale C.UTF-8 alone; the role would make others and restart the server.
    database = {"name": "taaraxtak", "lc_collate": "C.UTF-8", "lc_ctype": "C.UTF-8"}
    play = {
        "hosts": "developer_hosts",
        "roles": [{"role": str(role)}],
        "vars": {"postgresql_databases": [database], "postgresql_users": names, "postgresql_locales": []},
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    book = FOLDER / "peer.yml"
    book.write_text(json.dumps([play]) + "\n")
    way = Way("geerlingguy.postgresql alone", (*ONE_HOST, str(book)), ("taaraxtak-converge-peer-developer",))
    SCOPE_OF[way.name] = SCOPE
    for step in ("destroy", "create"):
        subprocess.run(
            [*ONE_HOST, f"molecule/shared/{step}.yml"], check=True, env=os.environ | SCOPE, capture_output=True
        )
    try:
        first = run(way)
        if not first["changed"]:
            sys.exit("The peer's first run has changed nothing: its container was no new one.")
        yield way
    finally:
        subprocess.run(
            [*ONE_HOST, "molecule/shared/destroy.yml"], check=True, env=os.environ | SCOPE, capture_output=True
        )


def measure(ways: t.Sequence[Way]) -> list[dict[str, t.Any]]:
    """A row for each way: RUNS runs in turns, after one that warms up."""
    for way in ways:
        run(way)
    runs: dict[str, list[dict[str, float]]] = {way.name: [] for way in ways}
    for _ in range(RUNS):
        for way in ways:
            runs[way.name].append(run(way))
    if any(each["changed"] for each in runs[SITE.name]):
        sys.exit("site.yml changed something: this benchmark is about a run that changes nothing. Run `make up` first.")
    return [
        {"name": f"{name}, nothing to change", **{key: [round(one[key], 2) for one in each] for key in each[0]}}
        for name, each in runs.items()
    ]


def main(arguments: t.Sequence[str]) -> int:
    """Measure, print, write."""
    with peer(arguments[0]) if arguments else contextlib.nullcontext() as other:
        rows = measure([SITE, other] if other else [SITE])
    medians = [{key: statistics.median(row[key]) for key in FIGURES} for row in rows]
    heads = ("", "tasks", "wall s", "cpu s", "hosts cpu s", "peak MB")
    cells = [
        (row["name"], *(int(of[key]) if key == "tasks" else of[key] for key in FIGURES))
        for row, of in zip(rows, medians, strict=True)
    ]
    print(table(heads, cells), f"  (medians of {RUNS})")
    targets = []
    if len(rows) > 1:
        times = medians[0]["wall_s"] / medians[1]["wall_s"]
        targets = [Target("site.yml against the peer, wall", "< 1", round(times, 2), times < 1)]
        print(target_table(targets))
    print(f"written to {write('converge', rows, targets)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
