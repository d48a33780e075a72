# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run playbooks/audit.yml, print its screen, and end with its status: 0 clean, 2 findings, 3 could not look.

The status is that of a report which this run has written; without one nobody has looked, and it is 3.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from plugins.module_utils.audit.text import plain  # noqa: E402 - the path is set above
from plugins.module_utils.dumps.notify import tell  # noqa: E402 - the path is set above

# cron's PATH has no virtual environment.
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
FOLDER = ROOT / "build" / "audit"
STATUSES = (0, 2, 3)
UNSEEN = 3
# So many seconds a run may take: what hangs for longer says nothing, and cron's next run would find it there still.
TIMEOUT = 1800
# So many it has to end by itself once it is asked to.
GRACE = 10
# The end of the log that is shown where there is no report.
SHOWN = 30
# What ends a run from outside: a machine that stops, a terminal that is closed.
ENDING = (signal.SIGTERM, signal.SIGHUP)


def stamp(path: Path) -> tuple[int, int] | None:
    """What tells a file from the one that was there before; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def status_of(path: Path, before: tuple[int, int] | None) -> int | None:
    """The status of the report at *path*; None where it is still the one of *before*, or is none."""
    if stamp(path) in (None, before):
        return None
    try:
        status = json.loads(path.read_bytes())["status"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return status if status in STATUSES else None


def main(arguments: list[str] | None = None) -> int:
    """Run the audit, print what it came to, and tell; its exit status."""
    parser = argparse.ArgumentParser(prog="audit", description=__doc__, allow_abbrev=False)
    parser.add_argument("--inventory", action="append", help="as ansible-playbook has it: once, or once for each")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the reports are written")
    parser.add_argument("--fail-on", choices=["low", "medium", "high", "critical"], help="instead of the inventory's")
    parser.add_argument(
        "--notify", help="the file that says whom to tell: of what is not clean, or by a ping that it is"
    )
    parser.add_argument("--timeout", type=int, default=TIMEOUT, help=f"seconds that a run may take ({TIMEOUT})")
    parser.add_argument("--brief", action="store_true", help="print the verdict alone, where it is clean")
    options = parser.parse_args(arguments)
    status, said = audited(options)
    print(said, file=sys.stdout if status != UNSEEN else sys.stderr)
    if options.notify and not told(status, said, options.notify):
        # What nobody hears of is as good as not looked at.
        return status or UNSEEN
    return status


def told(status: int, said: str, settings: str) -> bool:
    """Whether everybody was reached whom the file *settings* names; without the file nobody is."""
    subject = {0: "clean", 2: "something was found"}.get(status, "nobody could look")
    if not Path(settings).is_file():
        print(f"audit: nobody was told: there is no file {settings}", file=sys.stderr)
        return False
    return tell("audit", subject, ok=status == 0, lines=said.splitlines(), path=settings)


def audited(options: argparse.Namespace) -> tuple[int, str]:
    """Run the playbook: the status, and what there is to say."""
    folder = options.folder.absolute()
    given = {"audit_folder": str(folder), **({"audit_fail_on": options.fail_on} if options.fail_on else {})}
    inventories = [word for one in options.inventory or [ROOT / "inventory/local"] for word in ("-i", _whole(one))]
    command = [PLAYBOOK, *inventories, "-e", json.dumps(given), ROOT / "playbooks/audit.yml"]
    report, begun = folder / "audit.json", time.monotonic()
    written = folder.with_name(f"{folder.name}.log")
    try:
        written.parent.mkdir(parents=True, exist_ok=True)
        # It says where hosts are open.
        written.touch(mode=0o600)
        written.chmod(0o600)
        log = written.open("ab")
    except OSError as error:
        return UNSEEN, f"audit: nobody knows: {written} can't be written: {error.strerror}"
    with log:
        try:
            # Whatever of a run is still alive holds it, too.
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return UNSEEN, f"audit: nobody knows: another run is under way, and writes {written}"
        before = stamp(report)
        log.truncate(0)
        try:
            ended = ran(command, log, options.timeout)
        except OSError as error:
            return UNSEEN, f"audit: {PLAYBOOK} can't be run: {error.strerror}"
    status = None if ended is None else status_of(report, before)
    if status is None or (ended == 0) != (status == 0):
        end = written.read_text(errors="replace").splitlines()[-SHOWN:]
        why = f"did not end within {options.timeout} s" if ended is None else "ended without a report"
        # What hosts have said stands in it.
        return UNSEEN, "\n".join([*map(plain, end), f"audit: nobody knows: the playbook {why}, see {written}"])
    screen = (folder / "screen.txt").read_text(encoding="utf-8").rstrip("\n")
    if options.brief and status == 0:
        return status, "\n".join(screen.splitlines()[:2])
    return status, f"{screen}\nIt took {time.monotonic() - begun:.0f} s."


def _whole(inventory: str | Path) -> str:
    """The inventory as it is named from anywhere: a path made absolute, a list of hosts as it stands."""
    path = Path(inventory).absolute()
    return str(inventory) if "," in str(inventory) and not path.exists() else str(path)


def _environment() -> dict[str, str]:
    """In a collection that is installed, the one of this very file is the one that runs."""
    if ROOT.parents[1].name != "ansible_collections":
        return dict(os.environ)
    others = os.environ.get("ANSIBLE_COLLECTIONS_PATH", "")
    return {**os.environ, "ANSIBLE_COLLECTIONS_PATH": ":".join(filter(None, (str(ROOT.parents[2]), others)))}


def ran(command: list[str | Path], log: t.BinaryIO, timeout: int) -> int | None:
    """How *command* ended; None where it had to be ended, with all that it has started."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    finally:
        # Also where somebody has pressed Ctrl-C, which a session of its own doesn't hear.
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def end(number: int, _frame: object) -> t.NoReturn:
    """End as a signal asks for, once: what was started is ended on the way out, which a second one must not cut off."""
    for one in ENDING:
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    for ending in ENDING:
        signal.signal(ending, end)
    sys.exit(main())
