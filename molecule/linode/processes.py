"""Start and stop the scenario's processes: a stand-in for Linode's API, and an sshd that is the instance's.

usage: processes.py start|stop

What is started is written down in build/molecule-linode, and only that is stopped. The sshd listens on loopback alone
and lets one key in, as an ordinary user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "molecule-linode"
STAND_IN = ROOT / "tests" / "stand_ins" / "linode" / "linode_stand_in.py"
TOKEN = "sesame-of-the-scenario"  # noqa: S105 (the stand-in's, as in molecule.yml)
PATIENCE = 10.0
# The package's, or its files unpacked by make: no service is started on this machine.
SSHD = (Path("/usr/sbin/sshd"), ROOT / "build" / "openssh-server" / "usr" / "sbin" / "sshd")
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/key.pub
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
LogLevel ERROR
"""


def start() -> None:
    FOLDER.mkdir(parents=True)
    (FOLDER / "inventory").mkdir()
    user = ordinary_user()
    (FOLDER / "user").write_text(user)
    began("stand-in", [sys.executable, STAND_IN, "--port-file", FOLDER / "port", "--token", TOKEN])
    port = start_sshd(user)
    wait(lambda: (FOLDER / "port").exists(), "the stand-in")
    wait(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "sshd")
    (FOLDER / "sshd.port").write_text(str(port))


def start_sshd(user: str) -> int:
    """On a free port, as *user*: root's would need an account of its own."""
    program = next((place for place in SSHD if place.exists()), None)
    if program is None:
        sys.exit("sshd is missing: run `make molecule-linode`, which fetches it.")
    for name in ("host_key", "key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", FOLDER / name]
        subprocess.run(command, check=True)
    if os.geteuid() == 0:
        shutil.chown(FOLDER / "host_key", user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    (FOLDER / "sshd_config").write_text(CONFIG.format(port=port, folder=FOLDER) + parts(program))
    began("sshd", [program, "-D", "-e", "-f", FOLDER / "sshd_config"], user if os.geteuid() == 0 else None)
    return port


def parts(program: Path) -> str:
    """Since OpenSSH 9.8 sshd is several programs, which it looks for where its package puts them."""
    folder = program.parents[1] / "lib" / "openssh"
    names = {"SshdSessionPath": "sshd-session", "SshdAuthPath": "sshd-auth"}
    if program == SSHD[0]:
        return ""
    return "".join(f"{key} {folder / name}\n" for key, name in names.items() if (folder / name).exists())


def ordinary_user() -> str:
    """Who is let in: the one who runs this, or PostgreSQL's user, who has a shell, where that is root."""
    return pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() else pwd.getpwnam("postgres").pw_name


def began(name: str, command: list[str | Path], user: str | None = None) -> None:
    with (FOLDER / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            user=user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # Beside the pid when the process began: a number alone may be another process's by now.
    (FOLDER / f"{name}.pid").write_text(f"{process.pid} {birth(process.pid)}")


def birth(pid: int) -> str:
    """When *pid* began, in clock ticks since boot; nothing where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def stop() -> None:
    for path in FOLDER.glob("*.pid"):
        pid, born = path.read_text().split()
        if birth(int(pid)) == born:
            os.kill(int(pid), signal.SIGTERM)
    shutil.rmtree(FOLDER, ignore_errors=True)


def wait(there: object, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not there():  # type: ignore[operator]
        if time.monotonic() > end:
            sys.exit(f"{what} did not come up within {PATIENCE:g} s: look into {FOLDER}")
        time.sleep(0.05)


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[1]]()
