"""Build the systemd image of one Debian release from Debian's own packages: no container registry is asked.

    build.py SUITE...          (bookworm, trixie)

mmdebstrap uses Debian's default mirror plus updates and security, and leaves that sources list in the image.
APT_SOURCES names a sources file to use instead. An image whose recipe (this folder) is unchanged is left as it is.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
RECIPE_FILES = ("build.py", "packages.txt", "packages-cached.txt", "mount-propagation.service", "ssh-host-keys.service")
SUITES = ("bookworm", "trixie")


def packages(name: str) -> list[str]:
    """The packages that the list *name* holds: one a line, # begins a comment."""
    lines = (line.split("#")[0].strip() for line in (HERE / name).read_text().splitlines())
    return [line for line in lines if line]


def recipe() -> str:
    """A digest of all that the image is made from."""
    digest = hashlib.sha256()
    for name in RECIPE_FILES:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:16]


def label(image: str) -> str:
    """The recipe that *image* was made from; empty where there is no such image."""
    if subprocess.run(["podman", "image", "exists", image], check=False).returncode != 0:
        return ""
    query = ["podman", "image", "inspect", "--format", '{{index .Labels "recipe"}}', image]
    return subprocess.run(query, check=True, capture_output=True, text=True).stdout.strip()


def build(suite: str) -> None:
    """Make the image of *suite*, or say that it is there already."""
    image = f"localhost/taaraxtak-host:{suite}"
    wanted = recipe()
    if label(image) == wanted:
        print(f"{image} is up to date")
        return
    print(f"{image}: building from Debian's packages (about a minute)", flush=True)
    units = " ".join(f"{HERE}/{name}" for name in RECIPE_FILES if name.endswith(".service"))
    hooks = [
        'chroot "$1" apt-get clean',
        f'chroot "$1" apt-get -qq install --download-only --yes {" ".join(packages("packages-cached.txt"))}',
        f"copy-in {units} /etc/systemd/system",
        'chroot "$1" systemctl enable mount-propagation.service ssh-host-keys.service',
        'rm -f "$1"/etc/ssh/ssh_host_*',
    ]
    sources = [os.environ["APT_SOURCES"]] if os.environ.get("APT_SOURCES") else []
    with tempfile.TemporaryDirectory(prefix="taaraxtak-image-") as folder:
        tar = f"{folder}/rootfs.tar"
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", "--skip=cleanup/apt",
             f"--include={','.join(packages('packages.txt'))}", *(f"--customize-hook={hook}" for hook in hooks),
             suite, tar, *sources],
            check=True,
        )  # fmt: skip
        changes = ['CMD ["/sbin/init"]', "STOPSIGNAL SIGRTMIN+3", f"LABEL recipe={wanted}"]
        arguments = [part for change in changes for part in ("--change", change)]
        subprocess.run(["podman", "import", "--quiet", *arguments, tar, image], check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    """Build the image of each suite named on the command line."""
    unknown = [suite for suite in sys.argv[1:] if suite not in SUITES]
    if unknown or len(sys.argv) < 2:
        print(f"usage: build.py SUITE...   with SUITE one of {', '.join(SUITES)}", file=sys.stderr)
        return 2
    for suite in sys.argv[1:]:
        build(suite)
    return 0


if __name__ == "__main__":
    sys.exit(main())
