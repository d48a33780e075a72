"""What the tests of plain stores share: a real sshd and a server that speaks S3, and `dump-carry` before them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from ansible_collections.taaraxtak.production.benchmarks.dump.wire import Sshd
from ansible_collections.taaraxtak.production.tests.integration.dumps_offers import Offer, Store

ROOT = Path(__file__).resolve().parents[2]
S3RVER = ROOT / "build" / "s3rver" / "node_modules" / "s3rver" / "bin" / "s3rver.js"
KINDS = ("ssh_files", "sftp", "s3")
PATIENCE = 20.0
BUCKET = "dumps"

# Not a shell that could do more: of each command the form is looked at, and PATH has cat and mv alone.
CAT_AND_MV = r"""#!{python} -I
import os, re, sys
asked = os.environ.get("SSH_ORIGINAL_COMMAND", "")
with open({log!r}, "a") as log:
    log.write(asked + "\n")
word = "'[A-Za-z0-9_./-]+'"
if not re.fullmatch(f"cat( {{word}})+|cat >>? {{word}}|mv {{word}} {{word}}", asked):
    sys.exit("this account has cat and mv alone")
if os.path.exists({broken!r}) and asked.startswith("mv"):
    sys.exit("mv: the disk is full")
os.chdir({files!r})
if os.path.exists({lost!r}) and re.fullmatch(r"mv .*\.manifest\.json\.partial' .*\.manifest\.json'", asked):
    import subprocess
    subprocess.run(["/bin/sh", "-c", asked], env={{"PATH": {bin!r}}})
    if os.stat({lost!r}).st_size:
        open({broken!r}, "w").close()
    # As ssh itself ends where the connection breaks.
    sys.exit(255)
os.execve("/bin/sh", ["sh", "-c", asked], {{"PATH": {bin!r}}})
"""
COMMAND = """#!{python} -I
import sys
sys.path.insert(0, {lib!r})
from dumps.plain import command
{statements}
sys.exit(command.main({config!r}))
"""
RCLONE = """[store]
type = s3
provider = Other
endpoint = http://127.0.0.1:{port}
access_key_id = S3RVER
secret_access_key = S3RVER
force_path_style = true
region = us-east-1
"""


class Plain:
    """A plain store of *kind*, as a context: its files, and the command that speaks with it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.folder = Path(tempfile.mkdtemp(prefix="taaraxtak-plain-"))
        self.folder.chmod(0o755)
        self.on_disk = self.folder / "files"
        self.log = self.folder / "log"
        self.offers = Store(self._new("offers"))
        self._ends: list[t.Callable[[], object]] = [lambda: shutil.rmtree(self.folder)]

    def __enter__(self) -> Plain:
        try:
            self.place = {"name": "box", "kind": self.kind, **(self._s3() if self.kind == "s3" else self._ssh())}
            self.configure()
            self.script("")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        while self._ends:
            self._ends.pop()()

    def configure(self, **more: t.Any) -> None:
        settings = {"stores": [self.place], "signers": str(self.offers.signers), **more}
        (self.folder / "carry.json").write_text(json.dumps(settings))

    def script(self, statements: str) -> None:
        """The command, which runs *statements* first, with `command` the module."""
        self.statements = statements
        config, lib = str(self.folder / "carry.json"), str(self.offers.lib)
        text = COMMAND.format(python=sys.executable, lib=lib, statements=statements, config=config)
        _script(self.folder / "carry", text)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self.folder / "carry", "--store=box", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
        )

    def carry(self, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        with self.start(*words) as process:
            out, err = process.communicate(given, timeout=90)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def give(self, offer: Offer) -> dict[str, t.Any]:
        """Bring a dump; what the sender is answered, with an exit status that agrees."""
        return self._answer(self.carry("receive", given=offer.stream()))

    def stat(self, name: str) -> dict[str, t.Any]:
        return self._answer(self.carry("stat", name))

    def dumps(self) -> list[str]:
        done = self.carry("list")
        assert (done.returncode, done.stderr) == (0, b"")
        return [row["name"] for row in json.loads(done.stdout)]

    def sabotage(self, method: str, statements: str, *, more: bool = False) -> None:
        """Let *statements* stand in for a *method* of every kind of files, which they know as `real`.

        With *more* what stands in for others does so still.
        """
        body = "".join(f"        {line}\n" for line in statements.splitlines())
        self.script(
            f"{self.statements if more else ''}import os\n"
            "from dumps.plain import s3, sftp, ssh_files\n"
            "from dumps.processes import DumpError\n"
            "for edge in (s3.Bucket, sftp.Sftp, ssh_files.SshFiles):\n"
            f"    def {method}(self, name, *more, real=edge.{method}):\n{body}"
            f"    edge.{method} = {method}\n"
        )

    def files(self) -> list[str]:
        """The files that lie there, but for those of the kind itself."""
        if self.kind == "s3":
            listed = self._rclone("lsf", "--files-only", f"store:{BUCKET}/main").splitlines()
        else:
            listed = [path.name for path in self.on_disk.iterdir()]
        return sorted(name for name in listed if name not in ("index", "removed"))

    def read(self, name: str) -> bytes:
        if self.kind == "s3":
            return self._rclone("cat", f"store:{BUCKET}/main/{name}").encode()
        return (self.on_disk / name).read_bytes()

    def put(self, name: str, content: bytes) -> None:
        """A file that somebody else brings."""
        if self.kind == "s3":
            self._rclone("rcat", f"store:{BUCKET}/main/{name}", given=content)
        else:
            (self.on_disk / name).unlink(missing_ok=True)
            (self.on_disk / name).write_bytes(content)

    def remove(self, name: str) -> None:
        """Remove an object of the bucket."""
        self._rclone("deletefile", f"store:{BUCKET}/main/{name}")

    def _answer(self, done: subprocess.CompletedProcess[bytes]) -> dict[str, t.Any]:
        answer: dict[str, t.Any] = json.loads(done.stdout)
        assert done.returncode == (0 if answer["ok"] else 1), done
        return answer

    def _new(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name

    def _ssh(self) -> dict[str, t.Any]:
        self.on_disk.mkdir()
        sshd = Sshd(self._new("sshd"))
        sshd.own(self.on_disk)
        sshd.__enter__()
        self._ends.append(lambda: sshd.__exit__(None, None, None))
        if self.kind == "sftp":
            return {"command": sshd.allow("key", 'restrict,command="internal-sftp"'), "folder": str(self.on_disk)}
        programs = self._new("bin")
        for program in ("cat", "mv"):
            (programs / program).symlink_to(f"/bin/{program}")
        self.log.touch()
        sshd.own(self.log)
        values = {"log": str(self.log), "files": str(self.on_disk), "bin": str(programs)}
        _script(
            self.folder / "shell",
            CAT_AND_MV.format(
                python="/usr/bin/python3",
                broken=str(self.folder / "broken"),
                lost=str(self.folder / "lost"),
                **values,
            ),
        )
        return {"command": sshd.allow("key", f'restrict,command="{self.folder / "shell"}"')}

    def _s3(self) -> dict[str, t.Any]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words = ["-d", self._new("objects"), "-a", "127.0.0.1", "-p", str(port), "-s", "--no-vhost-buckets"]
        server = subprocess.Popen(
            ["node", S3RVER, *words, "--configure-bucket", BUCKET],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._ends += [server.wait, server.kill]
        end = time.monotonic() + PATIENCE
        while True:
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < end, "the S3 server did not listen"
            time.sleep(0.05)
        (self.folder / "rclone.conf").write_text(RCLONE.format(port=port))
        return {"command": ["/usr/bin/rclone", f"--config={self.folder}/rclone.conf"], "folder": f"{BUCKET}/main"}

    def _rclone(self, *words: str, given: bytes | None = None) -> str:
        command = ["/usr/bin/rclone", f"--config={self.folder}/rclone.conf", *words]
        environment = {"PATH": os.defpath, "HOME": str(self.folder)}
        return subprocess.run(command, input=given, capture_output=True, check=True, env=environment).stdout.decode()


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
