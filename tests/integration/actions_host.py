"""What the tests of corrective actions share: a database to mend, incidents, and a store whose answers can go wrong."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import os
import pwd
import select
import socket
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import (
    approval,
    parsing,
    plan,
    records,
    yamls,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.records import AfterAction, Rehearsal, Signed
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.report import report
from ansible_collections.taaraxtak.production.tests.integration.conftest import Result, Server, run_module
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import Hosts

ME = pwd.getpwuid(os.getuid()).pw_name
NAME = "2026-11-22-duplicate-rows"
DBA, OWNER = "actions_dba", "actions_owner"

TABLES = """
SET ROLE actions_owner;
CREATE TABLE public.measurements (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, value float8);
INSERT INTO public.measurements (name, value) SELECT 'name ' || i % 20, i / 7.0 FROM generate_series(1, 32) AS i;
CREATE TABLE public.notes (
  id int PRIMARY KEY, measurement int REFERENCES public.measurements ON DELETE CASCADE, body text);
INSERT INTO public.notes VALUES (1, 32, 'of the last'), (2, 1, 'of the first');
CREATE TABLE public.audit (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz DEFAULT now(), what text);
CREATE TABLE public.done (n int PRIMARY KEY);
CREATE TABLE public.plain (k int PRIMARY KEY, a text);
INSERT INTO public.plain SELECT i, 'plain ' || i FROM generate_series(1, 9) AS i;
CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO public.audit (what) VALUES (TG_OP); RETURN NULL; END $$;
CREATE TABLE public.watched (k int PRIMARY KEY, a text);
INSERT INTO public.watched SELECT i, 'x' FROM generate_series(1, 3) AS i;
CREATE TRIGGER noted AFTER UPDATE OR DELETE ON public.watched FOR EACH ROW EXECUTE FUNCTION public.note();
CREATE TABLE public.parts (k int PRIMARY KEY, a text) PARTITION BY RANGE (k);
CREATE TABLE public.parts_1 PARTITION OF public.parts FOR VALUES FROM (0) TO (10);
CREATE TABLE public.parts_2 PARTITION OF public.parts FOR VALUES FROM (10) TO (20);
CREATE TABLE public.more_parts (k int PRIMARY KEY, a text) PARTITION BY RANGE (k);
CREATE TABLE public.more_1 PARTITION OF public.more_parts FOR VALUES FROM (0) TO (10);
CREATE TABLE public.more_2 PARTITION OF public.more_parts FOR VALUES FROM (10) TO (20);
INSERT INTO public.more_parts VALUES (5, 'five');
INSERT INTO public.parts SELECT i, 'part' FROM generate_series(0, 19) AS i;
"""
# What a report may say, by what became of the transaction.
TRUE = {
    "": ("not started",),
    "committed": ("committed", "unknown"),
    "aborted": ("rolled back", "unknown"),
}
# Between the sender and the store: with the third transfer, which is that of the saved rows, something happens.
STORE = """#!{python} -I
import os, pathlib, subprocess, sys
folder, command = pathlib.Path({folder!r}), sys.argv[1:]
if command == ["receive"]:
    count = folder / "transfers"
    number = int(count.read_text()) + 1 if count.exists() else 1
    count.write_text(str(number))
    trap = folder / "trap"
    if number == {at} and trap.exists():
        subprocess.run([sys.executable, str(trap)], check=True)
        if (folder / "refuse").exists():
            print('{{"ok": false, "reason": "the disk is full", "final": true}}')
            sys.exit(1)
os.execv({sshd!r}, [{sshd!r}, *command])
"""


class Action:
    """One incident, its files and its host; each test changes what it needs."""

    def __init__(self, folder: Path, server: Server, database: str) -> None:
        self.folder = folder
        self.server = server
        self.database = database
        for role, options in ((OWNER, "NOLOGIN"), (DBA, f"LOGIN NOINHERIT IN ROLE {OWNER}")):
            if not server.run("SELECT 1 FROM pg_roles WHERE rolname = %s", values=[role]):
                server.run(f"CREATE ROLE {role} {options}")
        server.run(f"GRANT CREATE ON SCHEMA public TO {OWNER}", database=database)
        server.run(TABLES, database=database)
        self.hosts = Hosts(folder, server, database)
        self.keys = {name: self._key(name) for name in ("alice", ME)}
        self.approvers = folder / "approvers"
        self.approvers.write_text(
            "".join(f"{name} {key.with_suffix('.pub').read_text()}" for name, key in self.keys.items())
        )
        self.approved_by = "alice"
        self.files: dict[str, bytes] = {}
        self.socket = str(server.cluster.socket)
        self.trap("")

    def _key(self, name: str) -> Path:
        path = self.folder / f"key_{name}"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, stdin=subprocess.DEVNULL
        )
        return path

    # --- The incident -------------------------------------------------------------------------------------------------
    def plan(self, **changes: t.Any) -> dict[str, t.Any]:
        """A good plan but for *changes*: 12 of 32 rows go."""
        now = dt.datetime.now(dt.UTC)
        return {
            "version": 1,
            "incident": NAME,
            "problem": "Each row is there twice.",
            "cause": "There was no lock.",
            "reporter": "alice",
            "devops_contacted": records.utc_text(now - dt.timedelta(hours=1)),
            "host": socket.gethostname(),
            "database": self.database,
            "steps": [
                {
                    "id": "remove",
                    "why": "The younger one goes.",
                    "sql": "DELETE FROM public.measurements AS a USING public.measurements AS b\n"
                    "WHERE a.name = b.name AND a.id > b.id",
                    "expect_rows": 12,
                    "cascades": ["public.notes"],
                }
            ],
            "assess": [
                {
                    "id": "duplicates",
                    "query": "SELECT count(*) - count(DISTINCT name) FROM public.measurements",
                    "before": 12,
                    "after": 0,
                }
            ],
            "invariants": [{"id": "names", "query": "SELECT count(DISTINCT name) FROM public.measurements"}],
            "max_rows": 40,
            "lock_timeout": "500ms",
            "statement_timeout": "20s",
            "max_dump_age": "24h",
            "expires": records.utc_text(now + dt.timedelta(days=1)),
            **changes,
        }

    def write(self, **changes: t.Any) -> plan.Plan:
        """Write before.yml and nothing else."""
        written = {key: value for key, value in self.plan(**changes).items() if value != []}
        self.files = {plan.FILE: yaml.safe_dump(written, sort_keys=False).encode()}
        return plan.read(yamls.load(self.files[plan.FILE], plan.FILE))

    def saves(self, made: plan.Plan) -> dict[str, tuple[records.Save, ...]]:
        return {step.id: parsing.saves(step.sql) for step in made.steps}

    def approve(self, *, rehearsal: dict[str, t.Any] | None = None, **changes: t.Any) -> None:
        """Write before.yml, a rehearsal that passed (without having been made) and the approval."""
        self.approve_written(self.write(**changes), rehearsal)

    def approve_written(self, made: plan.Plan, rehearsal: dict[str, t.Any] | None = None) -> None:
        """As `approve`, of the before.yml that is there."""
        saves = self.saves(made)
        steps = tuple(records.StepDone(step.id, step.why, step.sql, "", saves=saves[step.id]) for step in made.steps)
        record = Rehearsal(
            version=1,
            incident=made.incident,
            plan_sha256=records.sha256(self.files[plan.FILE]),
            rehearsed=records.utc_text(dt.datetime.now(dt.UTC)),
            rehearsed_by="alice",
            dump=f"{self.database}_{dt.datetime.now(dt.UTC):%Y-%m-%d-%H.%M.%S}.sql.zst",
            dump_sha256="d" * 64,
            server="17",
            outcome="committed",
            problem="",
            steps=steps,
            assess=(),
            invariants=(),
            **(rehearsal or {}),
        )
        self.files[records.REHEARSAL_FILE] = record.text().encode()
        signed = Signed.of(made, self.files[plan.FILE], record, self.files[records.REHEARSAL_FILE])
        self.files[records.APPROVAL_FILE] = approval.sign(signed, str(self.keys[self.approved_by]))

    # --- The host -----------------------------------------------------------------------------------------------------
    def trap(self, script: str, *, refuse: bool = False, at: int = 3) -> None:
        """What happens with a transfer: *script* runs, in Python; with *refuse* the store then refuses it."""
        store = self.folder / "trapped"
        sshd = str(self.folder / "sshd")
        store.write_text(STORE.format(python=sys.executable, folder=str(self.folder), at=at, sshd=sshd))
        store.chmod(0o755)
        (self.folder / "trap").write_text(script)
        if refuse:
            (self.folder / "refuse").touch()
        self.hosts.configure_sender(store_command=[str(store)])

    def arguments(self, **changes: t.Any) -> dict[str, t.Any]:
        return {
            "state": "carried_out",
            "incident": self.incident,
            "files": {name: base64.b64encode(content).decode() for name, content in self.files.items()},
            "database": self.database,
            "owner": OWNER,
            "dba": ME,
            "confirmed": f"{self.incident} {records.sha256(self.files[plan.FILE])[:12]}",
            "approvers": str(self.approvers),
            "ledger": str(self.folder / "ledger"),
            "lock": str(self.folder / "action.lock"),
            "source_settings": str(self.folder / "source.json"),
            "send_settings": str(self.folder / "sender.json"),
            "send_command": str(self.folder / "sender"),
            "send_user": "",
            "sign_user": "",
            "login_unix_socket": self.socket,
            "login_port": self.server.cluster.port,
            "login_user": DBA,
            **changes,
        }

    def run(self, *, check: bool = False, **changes: t.Any) -> Result:
        """Carry out, as the module does it."""
        return run_module("corrective_action", self.arguments(**changes), check=check, env={"SUDO_USER": ""})

    def after(self, result: Result) -> AfterAction:
        """The record that was returned, read as a person's tools read it; the server must know it to be true."""
        after = AfterAction.read(yamls.load(result.values["after"].encode(), records.AFTER_FILE))
        assert result.values["outcome"] == after.outcome
        assert result.values["report"] == report(after)
        assert after.outcome in TRUE[self.became(after.transaction_id)], after
        assert after.reason or after.outcome == "committed"
        return after

    def became(self, transaction: str) -> str:
        """What the server knows of a transaction, once it has ended; "" where there was none."""
        ask = "SELECT pg_xact_status(%s::xid8)"
        while transaction:
            ((said,),) = self.server.run(ask, values=[transaction], database=self.database)
            if said != "in progress":
                return str(said)
            time.sleep(0.02)
        return ""

    def trap_sql(self, sql: str, **more: t.Any) -> None:
        """As `trap`; the superuser runs *sql*."""
        place = {"host": str(self.server.cluster.socket), "port": self.server.cluster.port, "dbname": self.database}
        connect = f"c = psycopg2.connect(user='postgres', **{place!r})"
        self.trap(f"import psycopg2\n{connect}\nc.autocommit = True\nc.cursor().execute({sql!r})\n", **more)

    # --- What is there ------------------------------------------------------------------------------------------------
    def digests(self) -> dict[str, str]:
        """By table, the SHA-256 of all its rows."""
        found = {}
        tables = self.server.run(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
            database=self.database,
        )
        for (table,) in tables:
            everything = f"SELECT r::text FROM {table} AS r ORDER BY 1"  # noqa: S608 (as regclass writes it)
            rows = self.server.run(everything, database=self.database)
            found[table] = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
        return found

    @property
    def incident(self) -> str:
        """The name that before.yml says, where it can be read."""
        try:
            return plan.read(yamls.load(self.files[plan.FILE], plan.FILE)).incident
        except ValueError:
            return NAME

    def saved(self) -> list[Path]:
        """The files of saved rows in the store."""
        return sorted(self.hosts.incoming.glob("*.saved.jsonl.zst"))


@pytest.fixture
def action(tmp_path: Path, server: Server, database: str) -> Action:
    """An incident, and the host that it is of. Use by import."""
    return Action(tmp_path, server, database)


class Proxy:
    """Stands at a socket of its own before the server, and cuts the connection at COMMIT, once.

    *cut* is ``before`` (the server never gets it) or ``after`` (its answer never arrives). ``gone``: the server can't
    be reached any more either. *then* happens before anybody sees that the connection is cut.
    """

    def __init__(
        self,
        folder: Path,
        server: Server,
        cut: str,
        *,
        gone: bool = False,
        then: t.Callable[[], None] = lambda: None,
    ) -> None:
        self._target = str(server.cluster.socket / f".s.PGSQL.{server.cluster.port}")
        self._cut = cut
        self._gone = gone
        self._then = then
        self.done = threading.Event()
        self.folder = folder
        folder.mkdir()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / f".s.PGSQL.{server.cluster.port}"))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listening.accept()
            except OSError:
                return
            if self.done.is_set() and self._gone:
                client.close()
                continue
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._target)
            while True:
                ready, _w, _x = select.select([client, server], [], [])
                for one in ready:
                    data = one.recv(1 << 16)
                    if not data:
                        return
                    if one is client and b"COMMIT\x00" in data and not self.done.is_set():
                        if self._cut == "after":
                            server.sendall(data)
                            server.recv(1 << 16)
                        self._then()
                        self.done.set()
                        return
                    (server if one is client else client).sendall(data)
