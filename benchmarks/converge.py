"""Tasks, seconds and CPU of a run of site.yml that changes nothing, on the containers that `make up` has made.

Prints a table and writes build/bench/converge.json. It measures; it does not judge.
"""

from __future__ import annotations

import re
import resource
import statistics
import subprocess
import sys
import time

from .common import table, write

RUNS = 3
SITE = ["ansible-playbook", "-i", "inventory/local", "playbooks/site.yml"]
HOSTS = ("taaraxtak-up-production", "taaraxtak-up-store")


def host_cpu() -> float:
    """Seconds of CPU that the two containers have used, as their cgroups count them."""
    total = 0.0
    for host in HOSTS:
        query = ["podman", "stats", "--no-stream", "--format", "{{.CPUNano}}", host]
        total += int(subprocess.run(query, check=True, capture_output=True, text=True).stdout) / 1e9
    return total


def run() -> dict[str, float]:
    """One run: its seconds, CPU here and on the hosts, tasks (each host's counted) and changes."""
    hosts_before, before, begun = host_cpu(), resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(SITE, capture_output=True, text=True, check=False)
    wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"site.yml failed; run `make up` first.\n{done.stdout[-3000:]}")
    recap = re.findall(r"ok=(\d+)\s+changed=(\d+)", done.stdout.split("PLAY RECAP")[1])
    return {
        "wall_s": wall,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "hosts_cpu_s": host_cpu() - hosts_before,
        "tasks": sum(int(ok) for ok, _ in recap),
        "changed": sum(int(changed) for _, changed in recap),
        "peak_mb": after.ru_maxrss / 1024,
    }


def main() -> int:
    """Run RUNS times after one that warms up; medians."""
    run()
    runs = [run() for _ in range(RUNS)]
    if any(each["changed"] for each in runs):
        sys.exit("site.yml changed something: this benchmark is about a run that changes nothing. Run `make up` first.")
    row: dict[str, object] = {"name": "site.yml, nothing to change"}
    row |= {name: [round(each[name], 2) for each in runs] for name in runs[0]}
    medians = {name: statistics.median(each[name] for each in runs) for name in runs[0]}
    heads = ("", "tasks", "wall s", "cpu s", "hosts cpu s", "peak MB")
    figures = [medians[name] for name in ("wall_s", "cpu_s", "hosts_cpu_s", "peak_mb")]
    print(table(heads, [(row["name"], int(medians["tasks"]), *figures)]), f"  (medians of {RUNS})")
    print(f"written to {write('converge', [row])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
