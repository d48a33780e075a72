"""The stand-in for Grafana as a process of a test's own, and what a test asks of it beside the module."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import typing as t
import urllib.request
from pathlib import Path

STAND_IN = Path(__file__).resolve().parents[1] / "stand_ins" / "grafana" / "grafana_stand_in.py"


class StandIn:
    """A running stand-in; tokens lie in ``tokens/ROLE``."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"

    def token_file(self, role: str = "Admin") -> str:
        """The file of a token of this role."""
        return str(self.folder / f"token-{role}")

    def token(self, role: str = "Admin") -> str:
        """The token itself, for clients that take nothing else."""
        return Path(self.token_file(role)).read_text(encoding="utf-8").strip()

    def ask(self, method: str, path: str, body: t.Any = None) -> t.Any:
        """Ask as an administrator; the JSON of the answer."""
        request = urllib.request.Request(  # noqa: S310 (loopback)
            f"{self.url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)

    def put(self, data: dict[str, t.Any], folder_uid: str = "") -> None:
        """Save a dashboard there."""
        self.ask("POST", "/api/dashboards/db", {"dashboard": data, "folderUid": folder_uid, "overwrite": True})

    def make_folder(self, title: str, uid: str, parent: str | None = None) -> None:
        """Make a folder there."""
        self.ask("POST", "/api/folders", {"title": title, "uid": uid, **({"parentUid": parent} if parent else {})})

    def fail(self, *faults: dict[str, t.Any]) -> None:
        """Let it answer so from now on; without arguments rightly."""
        (self.folder / "faults.json").write_text(json.dumps(list(faults)), encoding="utf-8")

    def asked(self) -> list[tuple[str, str]]:
        """Method and path of each request so far."""
        file = self.folder / "requests.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [(note["method"], note["path"]) for note in map(json.loads, lines)]


@contextlib.contextmanager
def stand_in(folder: Path, *more: str) -> t.Iterator[StandIn]:
    """A stand-in whose state is in *folder*, until the end."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = [f"--token={role}={folder / f'token-{role}'}" for role in ("None", "Viewer", "Editor", "Admin")]
    command = [sys.executable, str(STAND_IN), "--port", "0", "--state", str(folder), "--print-port", *tokens, *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.strip().isdecimal(), "the stand-in did not start"
        yield StandIn(folder, int(line))
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


def dashboard(uid: str, title: str, **more: t.Any) -> dict[str, t.Any]:
    """A small dashboard as Grafana's editor saves it."""
    panel = {
        "id": 1,
        "type": "timeseries",
        "title": "Gini",
        "datasource": {"type": "grafana-postgresql-datasource", "uid": "taaraxtak"},
        "gridPos": {"h": 8, "w": 12, "x": 0, "y": 0},
        "targets": [{"refId": "A", "format": "time_series", "rawSql": "SELECT 1 AS one"}],
    }
    return {"uid": uid, "title": title, "schemaVersion": 39, "tags": [], "panels": [panel], **more}
