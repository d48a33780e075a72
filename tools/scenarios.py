"""Run molecule scenarios, two or three at a time, each a process of its own with its output in build/molecule/NAME.log.

usage: scenarios.py NAME...
`faults` stands for the short selection of the fault suite, which has hosts of its own too.
Prints one line as each begins and ends, and the end of the log where one fails. Exit status 1 where any failed.
"""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
import time
from pathlib import Path

LOGS = Path("build/molecule")
# Two systemd hosts a scenario, and dpkg works one core hard: more at once is slower on two cores.
# Of four cores, two at once leave a quarter idle.
AT_ONCE = 3 if (os.cpu_count() or 1) >= 4 else 2
FAULTS = "faults"


def run(name: str) -> tuple[str, int, float]:
    """Run one scenario to its end: its name, exit status and seconds."""
    print(f"{name}: begins (log: {LOGS / name}.log)", flush=True)
    begun = time.monotonic()
    command = ["molecule", "test", "--scenario-name", name]
    environment = dict(os.environ)
    if name == FAULTS:
        command = [sys.executable, "-m", "faults"]
        environment |= {"QUICK": "1", "JUDGE": "1"}
    with (LOGS / f"{name}.log").open("wb") as log:
        status = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    seconds = time.monotonic() - begun
    print(f"{name}: {'ok' if status == 0 else f'FAILED with exit status {status}'} after {seconds:.0f} s", flush=True)
    return name, status, seconds


def main() -> int:
    """Run the scenarios named on the command line."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(run, sys.argv[1:]))
    failed = [name for name, status, _seconds in results if status != 0]
    for name in failed:
        print(f"--- the end of {LOGS / name}.log ---")
        print("\n".join((LOGS / f"{name}.log").read_text(errors="replace").splitlines()[-100:]))
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
