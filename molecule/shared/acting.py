"""What the tests of all scenarios do to their hosts: run playbooks on them, and plant files that go again."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNITS = "/run/systemd/system"
WRITE = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"


def attempt(
    *words: str,
    inventories: t.Sequence[Path],
    given: t.Sequence[Path] = (),
    check: bool = False,
    **variables: t.Any,
) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook with *words*, from the repository.

    *given* are files of variables, which *variables* come after.
    """
    command = ["ansible-playbook", *(["--check"] if check else []), *(f"--inventory={path}" for path in inventories)]
    command += [*(f"--extra-vars=@{path}" for path in given), f"--extra-vars={json.dumps(variables)}"]
    return subprocess.run(
        [*command, *words],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "0",
            "MOLECULE_PROJECT_DIRECTORY": str(ROOT),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def play(*words: str, status: int = 0, **options: t.Any) -> str:
    """What an attempt prints, which must end with *status*."""
    done = attempt(*words, **options)
    assert done.returncode == status, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


@contextlib.contextmanager
def written(host: t.Any, path: str, text: str) -> t.Iterator[None]:
    """*text* in the file *path*, and afterwards what was there before."""
    file = host.file(path)
    before = file.content_string if file.exists else None
    host.check_output("python3 -c %s %s %s", WRITE, path, text)
    try:
        yield
    finally:
        if before is None:
            host.check_output("rm %s", path)
        else:
            host.check_output("python3 -c %s %s %s", WRITE, path, before)


@contextlib.contextmanager
def unit_file(host: t.Any, path: str, text: str) -> t.Iterator[None]:
    """*text* in a file of systemd's, which it has read."""
    folder = path.rsplit("/", 1)[0]
    host.check_output("mkdir -p %s", folder)
    try:
        with written(host, path, text):
            host.check_output("systemctl daemon-reload")
            yield
    finally:
        # Never the folder above: without it the host does not count as one of systemd's.
        if folder != UNITS:
            host.check_output("rmdir %s", folder)
        host.check_output("systemctl daemon-reload")
