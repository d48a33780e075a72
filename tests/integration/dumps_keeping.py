"""What the tests of keeping share: an archive with a history, made of real files and real signatures."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import typing as t
from pathlib import Path

from ansible_collections.taaraxtak.production.plugins.module_utils.dumps import freshness, keeper, retention
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import Manifest, Trailer, encode
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName, utc_text
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.scan import TableData
from ansible_collections.taaraxtak.production.tests.integration.dumps_offers import Store

NOW = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
TABLES = {"public.ooni": 100, "public.gini": 10}


class Keeping(Store):
    """A store with the settings of what keeps it. No drill is asked for, and no globals, unless a test does."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.incidents = folder / "incidents"
        self.incidents.mkdir()
        self.textfile = folder / "metrics" / "dumps.prom"
        self.textfile.parent.mkdir()
        self.notify = folder / "notify.json"
        self.keep()

    def keep(self, **more: t.Any) -> None:
        """Write the settings' file; `expect` and `keep` are objects in it."""
        expect = {
            "databases": ["taaraxtak"],
            "globals_too": False,
            "verified_warning_days": 0,
            **more.pop("expect", {}),
        }
        settings = {
            "archive": str(self.archive),
            "incoming": str(self.incoming),
            "signers": str(self.signers),
            "reserve_bytes": 1 << 20,
            "incidents": str(self.incidents),
            "textfile": str(self.textfile),
            "notify_file": str(self.notify),
            "expect": expect,
        }
        (self.folder / "keep.json").write_text(json.dumps({**settings, **more}))

    @property
    def settings(self) -> keeper.Settings:
        return keeper.read_settings(keeper.Settings, str(self.folder / "keep.json"))

    def put(self, received: dt.datetime, tables: dict[str, int] | None = None, **more: t.Any) -> DumpName:
        """A signed dump in the archive, received then."""
        name = DumpName(more.get("database", "taaraxtak"), more.get("started", received), more.get("kind", "dump"))
        data = hashlib.sha256(str(name).encode()).digest() * 8
        rows = {} if name.kind == "globals" else TABLES if tables is None else tables
        trailer = Trailer(
            name=name,
            started=utc_text(name.started),
            finished=utc_text(name.started),
            statuses={"pg_dump": 0, "zstd": 0},
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            raw_bytes=more.get("raw_bytes", 1000),
            tables={table: TableData(number, number, "0" * 64) for table, number in rows.items()},
            sequences={},
            via_root=(),
            versions={},
            settings={},
            extensions={},
        )
        adopted = more.get("adopted", False)
        signature = "" if adopted else self.sign(trailer.signed, key=more.get("key")).decode()
        manifest = Manifest(utc_text(received), trailer, signature, adopted)
        for file, content in ((str(name), data), (name.manifest, encode(manifest.document()) + b"\n")):
            path = self.archive / file
            path.write_bytes(content)
            path.chmod(0o440)
        if more.get("verified"):
            self.drill(name)
        return name

    def drill(self, name: DumpName, *, ok: bool = True) -> Path:
        """The result of a drill."""
        path = self.archive / f"{name}.drill.json"
        path.write_text(json.dumps({"ok": ok, "finished": utc_text(name.started)}))
        path.chmod(0o440)
        return path

    def prune(self, now: dt.datetime = NOW, *, dry: bool = False) -> tuple[retention.Decision, ...]:
        return keeper.prune(self.settings, now, dry=dry)

    def check(self, now: dt.datetime = NOW) -> freshness.Verdict:
        return keeper.check(self.settings, now)

    def sentences(self, now: dt.datetime = NOW) -> list[str]:
        return [f"{finding.level}: {finding.sentence}" for finding in self.check(now).findings]
