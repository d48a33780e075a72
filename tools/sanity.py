"""Run ansible-test sanity on a copy of what the collection ships: it refuses a tree reached by a symbolic link.

ansible-test makes virtual environments of its own and downloads a get-pip script for them from a place that is not a
package registry. A stand-in takes its place: it does the same with the pip that comes with Python.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "sanity"
HOME = BUILD / "home"
COPY = BUILD / "ansible_collections" / "taaraxtak" / "production"

STAND_IN = """\
import runpy, sys
import ensurepip
ensurepip.bootstrap()
sys.argv = ["pip", "install", "--disable-pip-version-check", "pip=={version}"]
runpy.run_module("pip", run_name="__main__")
"""


def copy_tracked_files() -> None:
    """Make COPY hold the files that git tracks and galaxy.yml ships, and links as what they point at."""
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["build_ignore"]
    if COPY.exists():
        shutil.rmtree(COPY)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, COPY / name
        # Not there: deleted, and not committed yet.
        if not source.exists() or name.split("/", 1)[0] in ignored:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    # ansible-test asks git what there is, and the checkout's own git ignores this folder.
    for arguments in (["init", "--quiet"], ["add", "--all", "--force"]):
        subprocess.run(["git", *arguments], cwd=COPY, check=True)


def stand_in_for_get_pip() -> None:
    """Write the script that ansible-test would download into its cache; the file's name carries the version of pip."""
    import ansible_test._internal.python_requirements as requirements

    text = Path(requirements.__file__).read_text(encoding="utf-8")
    versions = re.findall(r"\bpip='([0-9.]+)'", text)
    if not versions:
        raise SystemExit("ansible-test no longer names the version of pip where it did: see stand_in_for_get_pip")
    for version in versions:
        path = HOME / ".ansible" / "test" / "cache" / f"get_pip_{version.replace('.', '_')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STAND_IN.format(version=version), encoding="utf-8")


def main() -> int:
    """Copy, then run; ansible-test's exit status."""
    copy_tracked_files()
    stand_in_for_get_pip()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = ["ansible-test", "sanity", "--local", "--python", version, "--color", "no", *sys.argv[1:]]
    return subprocess.run(command, cwd=COPY, env={**os.environ, "HOME": str(HOME)}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
