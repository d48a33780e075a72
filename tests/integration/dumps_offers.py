"""The store alone, as sshd, systemd and people start it, and whoever has the sending key and makes streams by hand."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.folder import ARRIVED
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.frames import section
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import Header, Trailer, encode
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.scan import TableData

DUMPS = Path(__file__).resolve().parents[2] / "plugins" / "module_utils" / "dumps"
NAME = "taaraxtak_2026-01-01-00.00.00.sql.zst"
DATA = b"the dump, as it was compressed"
SMALL_ENVIRONMENT = {"PATH": "/usr/bin:/bin"}

COMMAND = """#!{python} -I
import sys
sys.path.insert(0, {lib!r})
from dumps import archive, folder, quota, reception, signatures, store
{statements}
sys.exit(store.main({config!r}, {keeping!r}))
"""


@dataclasses.dataclass
class Offer:
    """A stream, part by part, each of which a test may replace."""

    header: bytes
    data: bytes
    trailer: bytes
    signature: bytes

    def stream(self) -> bytes:
        return section(self.header) + section(self.data) + section(self.trailer) + section(self.signature)


class Store:
    """The store in *folder*, with one key that may sign."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.incoming, self.archive = folder / "incoming", folder / "archive"
        self.incoming.mkdir()
        self.archive.mkdir()
        self.lib = folder / "lib"
        shutil.copytree(DUMPS, self.lib / "dumps", ignore=shutil.ignore_patterns("__pycache__"))
        self.key = self.make_key("signing_key")
        self.signers = folder / "signers"
        public = self.key.with_suffix(".pub").read_text()
        self.signers.write_text(f'production namespaces="taaraxtak-dump" {public}')
        self.command = folder / "store"
        self.sabotage("")
        self.configure()

    def make_key(self, name: str) -> Path:
        """A new key to sign with."""
        path = self.folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
        return path

    def configure(self, **more: t.Any) -> None:
        settings = {
            "incoming": str(self.incoming),
            "archive": str(self.archive),
            "signers": str(self.signers),
            "max_bytes": 1 << 30,
            "quota_bytes": 1 << 34,
            "reserve_bytes": 1 << 20,
        }
        (self.folder / "store.json").write_text(json.dumps({**settings, **more}))

    def sabotage(self, statements: str) -> None:
        """Let the command run *statements* first, with the modules under their own names."""
        self.command.write_text(
            COMMAND.format(
                python=sys.executable,
                lib=str(self.lib),
                config=str(self.folder / "store.json"),
                keeping=str(self.folder / "keep.json"),
                statements=statements,
            )
        )
        self.command.chmod(0o755)

    def sign(self, message: bytes, *, key: Path | None = None, namespace: str = "taaraxtak-dump") -> bytes:
        return subprocess.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", key or self.key],
            input=message,
            capture_output=True,
            check=True,
        ).stdout

    def offer(self, name: str = NAME, data: bytes = DATA, **changes: t.Any) -> Offer:
        """A stream that is right, its trailer changed by *changes* before it is signed."""
        dump = DumpName.parse(name)
        trailer = Trailer(
            name=dump,
            started="2026-01-01T00:00:00Z",
            finished="2026-01-01T00:01:00Z",
            statuses={"pg_dump": 0, "zstd": 0},
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            raw_bytes=3 * len(data),
            tables={"public.few": TableData(rows=2, bytes=4, sha256="0" * 64)},
            sequences={},
            via_root=(),
            versions={"pg_dump": "17.0"},
            settings={"encoding": "UTF8"},
            extensions={},
        )
        signed = dataclasses.replace(trailer, **changes).signed
        header = encode(Header(name=dump, started="2026-01-01T00:00:00Z").document())
        return Offer(header, data, signed, self.sign(signed))

    def start(self, *arguments: str, command: str | None = None, **options: t.Any) -> subprocess.Popen[bytes]:
        """The store's command, as a person or, with *command*, as sshd starts it."""
        environment = SMALL_ENVIRONMENT | ({} if command is None else {"SSH_ORIGINAL_COMMAND": command})
        return subprocess.Popen(
            [self.command, *arguments],
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd="/",
            **options,
        )

    def run(
        self, *arguments: str, command: str | None = None, given: bytes = b"", **options: t.Any
    ) -> subprocess.CompletedProcess[str]:
        """A whole run of it."""
        with self.start(*arguments, command=command, stdin=subprocess.PIPE, **options) as process:
            try:
                out, err = process.communicate(given, timeout=60)
            except subprocess.TimeoutExpired:
                # Or the test would wait for it for ever.
                process.kill()
                raise
        return subprocess.CompletedProcess(
            process.args, process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
        )

    def ask(self, command: str, given: bytes = b"", **options: t.Any) -> dict[str, t.Any]:
        """What the sending key is answered, with an exit status that agrees."""
        done = self.run("ssh", command=command, given=given, **options)
        answer: dict[str, t.Any] = json.loads(done.stdout)
        assert done.returncode == (0 if answer["ok"] else 1), done
        return answer

    def give(self, offer: Offer | None = None, **options: t.Any) -> dict[str, t.Any]:
        """Bring a dump."""
        return self.ask("receive", (offer or self.offer()).stream(), **options)

    def files(self, folder: Path | None = None) -> list[str]:
        """What lies there, but for the mark that starts the archiver."""
        return sorted(path.name for path in (folder or self.incoming).iterdir() if path.name != ARRIVED)

    def dumps(self) -> list[dict[str, t.Any]]:
        """What the list says, and that nothing is wrong."""
        done = self.run("list", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        rows: list[dict[str, t.Any]] = json.loads(done.stdout)
        return rows


def name_of(day: int, *, kind: str = "dump", database: str = "taaraxtak") -> str:
    """A dump's name on a day of January."""
    return str(DumpName(database, dt.datetime(2026, 1, day, tzinfo=dt.UTC), kind))
