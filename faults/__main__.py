# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make two hosts, inject every fault, print a table and write build/faults.json; remove the hosts unless KEEP=1.

usage: python -m faults [PATTERN]  only faults whose name matches PATTERN; QUICK=1: of a short selection
It measures; it does not judge: the exit status is 0 as soon as every fault was tried. As a test (JUDGE=1) it is 1 where
one of them did not hold.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
NAME = "faults"
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from .hosts import Estate  # noqa: E402 (the collection's own path must be known first)
from .running import measure, table  # noqa: E402
from .table import FAULTS, QUICK  # noqa: E402


def playbook(path: str) -> None:
    """Run a playbook against the hosts of this suite; its output goes to build/faults.log."""
    command = ["ansible-playbook", "-i", "inventory/local", path]
    with (BUILD / f"{NAME}.log").open("ab") as log:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "MOLECULE_SCENARIO_NAME": NAME, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        sys.exit(f"{path} failed: see {BUILD.name}/{NAME}.log")


def main() -> int:
    """The whole suite."""
    BUILD.mkdir(exist_ok=True)
    (BUILD / f"{NAME}.log").unlink(missing_ok=True)
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    faults = QUICK if os.environ.get("QUICK") else FAULTS
    chosen = [fault for fault in faults if re.search(pattern, fault.name)]
    keep = bool(os.environ.get("KEEP"))
    print("Making the hosts", flush=True)
    if not keep:
        playbook("molecule/shared/destroy.yml")
    for path in ("molecule/shared/create.yml", "molecule/shared/prepare.yml", "playbooks/site.yml"):
        playbook(path)
    rows = []
    try:
        estate = Estate(f"taaraxtak-{NAME}")
        with estate.prepared():
            first = estate.send()
            if first.status != 0:
                sys.exit(f"without a fault no dump was stored: {first.said}")
            for number, fault in enumerate(chosen, 1):
                begun = time.monotonic()
                row = measure(estate, fault)
                rows.append(row)
                verdict = "held" if row.held else f"BROKEN: {row.seen}"
                took = time.monotonic() - begun
                print(f"{number:3}/{len(chosen)}  {fault.name}: {verdict} ({took:.1f} s)", flush=True)
    finally:
        if not keep:
            playbook("molecule/shared/destroy.yml")
    document = {"rows": [dataclasses.asdict(row) for row in rows]}
    (BUILD / f"{NAME}.json").write_text(json.dumps(document, indent=2) + "\n")
    print()
    print(table(rows))
    print(f"\n{sum(row.held for row in rows)} of {len(rows)} held; written to {BUILD.name}/{NAME}.json")
    return 1 if os.environ.get("JUDGE") and not all(row.held for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
