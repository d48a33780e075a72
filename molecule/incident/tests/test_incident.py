"""Rows that are there twice: what is refused, what is rolled back, and the whole way of docs/runbook.md."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import shlex
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
SCENARIO = ROOT / "build" / "molecule" / "incident"
FOLDER = SCENARIO / "incidents"
LEDGER = "/var/lib/taaraxtak/incidents"
TABLES = ("provider_marketshare", "pop_weighted_gini", "ip_hostname_mapping", "ooni_web_connectivity_test")
SAME = " AND ".join(f"a.{column} = b.{column}" for column in ("name", "measurement_scope", "market", "marketshare"))
PLAN = """\
version: 1
incident: {name}
problem: The collector ran twice, and its rows are there twice.
cause: There was no lock, and the tests start one collector alone.
reporter: bob
devops_contacted: {contacted}
host: production
database: taaraxtak
steps:
  - id: remove-duplicates
    why: The younger of two equal rows goes.
    sql: |
      DELETE FROM public.provider_marketshare AS a
      USING public.provider_marketshare AS b
      WHERE {same} AND a.time > b.time AND a.time <= '{until}'
    expect_rows: {count}
assess:
  - id: duplicates
    query: >-
      SELECT count(*) FROM public.provider_marketshare AS a WHERE a.time <= '{until}' AND EXISTS (
      SELECT FROM public.provider_marketshare AS b WHERE {same} AND a.time > b.time)
    before: {count}
    after: 0
invariants:
  - id: what-there-is
    query: >-
      SELECT count(DISTINCT (name, measurement_scope, market, marketshare)) FROM public.provider_marketshare
      WHERE time <= '{until}'
max_rows: {count}
lock_timeout: 2s
statement_timeout: 1min
max_dump_age: 24h
expires: {expires}
"""


def make(target: str, **words: str) -> subprocess.CompletedProcess[str]:
    """Run one of make's targets as a person does."""
    # Without molecule's own: make has its own inventory and configuration.
    unset = [f"--unset={name}" for name in ("ANSIBLE_CONFIG", "MAKEFLAGS", "ANSIBLE_INVENTORY")]
    command = ["env", *unset, "ANSIBLE_FORCE_COLOR=0", "make", target, *(f"{word}={words[word]}" for word in words)]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def done(target: str, **words: str) -> str:
    """What a target says that ends well."""
    ended = make(target, **words)
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-2000:]
    return ended.stdout


@pytest.fixture(scope="module", autouse=True)
def alone(production: t.Any) -> t.Iterator[None]:
    """Nothing is left of an earlier run, and nobody writes meanwhile, so that whole tables can be compared."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    production.check_output("rm -rf %s", LEDGER)
    production.check_output("systemctl stop taaraxtak-freshness.timer taaraxtak-collector.service")
    yield
    production.check_output("systemctl start taaraxtak-collector.service taaraxtak-freshness.timer")


@pytest.fixture(scope="module")
def until(store: t.Any) -> str:
    """When the dump was begun: all rows until then are in it."""
    return max(row["started"] for row in dumps(store, "dump"))


@pytest.fixture(scope="module")
def rehearsing(store: t.Any) -> dict[str, str]:
    """What a rehearsal is given."""
    signers = SCENARIO / "signers"
    signers.write_text(store.file("/etc/taaraxtak/dump_signers").content_string)
    names = {"KEY": "reader", "KNOWN_HOSTS": "known_hosts", "SIGNERS": "signers"}
    return {"STORE": "store", **{word: str(SCENARIO / name) for word, name in names.items()}}


def dumps(store: t.Any, kind: str) -> list[dict[str, t.Any]]:
    return [row for row in json.loads(store.check_output("dump-store list --json")) if row["kind"] == kind]


def asked(postgres: t.Any, query: str) -> str:
    said = postgres.commit(query)
    assert said.rc == 0, said.stderr
    return str(said.stdout).strip()


def twice(postgres: t.Any, until: str) -> int:
    """How many rows are there a second time."""
    query = f"SELECT count(*) FROM provider_marketshare AS a WHERE a.time <= '{until}' AND EXISTS "
    return int(asked(postgres, f"{query} (SELECT FROM provider_marketshare AS b WHERE {SAME} AND a.time > b.time)"))


def digests(postgres: t.Any) -> list[str]:
    """Of every row of every table."""
    query = "SELECT count(*) || ' ' || coalesce(md5(string_agg(r::text, '|' ORDER BY r::text)), '') FROM {} AS r"
    return asked(postgres, " UNION ALL ".join(query.format(table) for table in TABLES)).splitlines()


def write(place: Path, until: str, count: int) -> None:
    """Fill in a plan, in the place of the one that make has begun."""
    assert (place / "before.yml").exists()
    now = dt.datetime.now(dt.UTC)
    text = PLAN.format(
        name=place.name,
        contacted=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        expires=f"{now + dt.timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
        same=SAME,
        until=until,
        count=count,
    )
    (place / "before.yml").write_text(text)


def begun(slug: str) -> Path:
    """The folder of the incident that make has begun."""
    (place,) = FOLDER.glob(f"*-{slug}")
    return place


def confirm(place: Path) -> str:
    digest = hashlib.sha256((place / "before.yml").read_bytes()).hexdigest()
    return f"{place.name} {digest[:12]}"


def after(place: Path) -> dict[str, t.Any]:
    return dict(yaml.safe_load((place / "after.yml").read_text()))


@pytest.fixture(scope="module")
def approved(rehearsing: dict[str, str], postgres: t.Any, until: str) -> Path:
    """An incident that was rehearsed, and approved by bob."""
    done("incident", SLUG="tried", FOLDER=str(FOLDER))
    place = begun("tried")
    write(place, until, twice(postgres, until))
    done("rehearse", INCIDENT=str(place), **rehearsing)
    done("approve", INCIDENT=str(place), KEY=str(SCENARIO / "bob"))
    return place


@pytest.fixture
def place(approved: Path, tmp_path: Path, production: t.Any) -> Path:
    """A copy of it, which a test may spoil; the host has forgotten that another test has begun it."""
    production.check_output("rm -f %s", f"{LEDGER}/{approved.name}.yml")
    return Path(shutil.copytree(approved, tmp_path / approved.name))


def carried_out(place: Path, *, status: int = 2, **more: str) -> str:
    """Try to carry it out as alice; it ends with *status*."""
    words = {"INCIDENT": str(place), "DBA": "alice", "CONFIRM": confirm(place), **more}
    ended = make("carry-out", **words)
    assert ended.returncode == status, ended.stdout[-5000:] + ended.stderr[-2000:]
    return ended.stdout + ended.stderr


# --- What is refused --------------------------------------------------------------------------------------------------


def edit_plan(place: Path) -> None:
    with (place / "before.yml").open("a") as file:
        file.write("# one more word\n")


def signed_by(name: str) -> t.Callable[[Path], None]:
    return lambda place: t.cast("None", done("approve", INCIDENT=str(place), KEY=str(SCENARIO / name)))


def other_host(place: Path) -> None:
    text = (place / "before.yml").read_text()
    (place / "before.yml").write_text(text.replace("host: production", "host: store"))


def link(place: Path) -> None:
    (place / "elsewhere.yml").write_bytes((place / "before.yml").read_bytes())
    (place / "before.yml").unlink()
    (place / "before.yml").symlink_to("elsewhere.yml")


# What else shuts a gate, on this host or before it is reached: tests/integration/test_corrective_action_gates.py and
# tests/contract/test_incident_playbooks.py.
REFUSED = [
    pytest.param(edit_plan, "before.yml was edited after the rehearsal", id="an edited plan"),
    pytest.param(signed_by("mallory"), "approve (it|the plan) again", id="a stranger's approval"),
    pytest.param(signed_by("alice"), "alice has approved it, so somebody else", id="one's own approval"),
    pytest.param(other_host, "the plan is for the host store, and this is production", id="another host"),
    pytest.param(link, "no link", id="a link"),
]


@pytest.mark.parametrize(("spoil", "why"), REFUSED)
def test_what_is_not_approved_as_it_stands_is_refused(place, postgres, store, spoil, why):
    spoil(place)
    before, there = digests(postgres), len(dumps(store, "dump"))
    assert re.search(why, " ".join(carried_out(place).split()))
    assert digests(postgres) == before
    assert len(dumps(store, "dump")) == there, "a dump was made for nothing"
    assert not (place / "after.yml").exists() or after(place)["outcome"] == "not started"


def test_what_is_not_typed_out_is_refused(place, postgres):
    before = digests(postgres)
    assert "it was not confirmed" in " ".join(carried_out(place, CONFIRM=place.name).split())
    assert digests(postgres) == before
    assert after(place)["outcome"] == "not started"


# --- What is rolled back, or not begun --------------------------------------------------------------------------------


def test_one_row_more_than_planned_is_rolled_back(place, postgres, dba, until):
    columns = "name, url, jurisdiction_alpha2, measurement_scope, market, marketshare"
    one = f"FROM provider_marketshare WHERE time <= '{until}' ORDER BY time LIMIT 1"
    asked(postgres, f"INSERT INTO provider_marketshare SELECT {columns}, time + interval '1 microsecond' {one}")
    before = digests(postgres)
    carried_out(place)
    assert digests(postgres) == before
    told = after(place)
    assert told["outcome"] == "rolled back"
    assert "Rolled back" in (place / "after.md").read_text()
    undo = f"DELETE FROM provider_marketshare WHERE time = (SELECT time + interval '1 microsecond' {one})"
    assert dba.commit(f"SET ROLE taaraxtak_owner; {undo}").rc == 0


def test_a_table_that_somebody_holds_is_not_waited_for(place, production, postgres):
    before = digests(postgres)
    sleeping = "BEGIN; LOCK TABLE provider_marketshare IN EXCLUSIVE MODE; SELECT pg_sleep(300)"
    psql = ["runuser", "-u", "postgres", "--", "psql", "-Xqd", "taaraxtak", "-c", sleeping]
    with subprocess.Popen(["podman", "exec", production.backend.name, *psql], stdin=subprocess.DEVNULL) as holder:
        try:
            carried_out(place)
        finally:
            asked(postgres, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'")
            holder.wait(timeout=20)
    assert digests(postgres) == before
    told = after(place)
    assert told["outcome"] == "rolled back"
    assert "lock timeout" in told["reason"]


def test_nothing_is_begun_where_the_store_takes_no_dump(place, store, postgres):
    settings = "/etc/taaraxtak/dump-store.json"
    before, kept = digests(postgres), store.file(settings).content_string
    store.check_output("sed -i -E %s %s", r's/("reserve_bytes": )[0-9]+/\1999999999999999/', settings)
    assert store.file(settings).content_string != kept
    try:
        carried_out(place)
    finally:
        store.check_output("sed -i -E %s %s", r's/("reserve_bytes": )[0-9]+/\1104857600/', settings)
    assert store.file(settings).content_string == kept
    assert digests(postgres) == before
    told = after(place)
    assert told["outcome"] == "not started"
    assert "the store is full" in told["reason"]
    assert told["transaction_id"] == ""


# --- The whole way ----------------------------------------------------------------------------------------------------


@pytest.fixture
def run(commands: list[str], play: t.Any) -> t.Callable[..., None]:
    """A function that runs the commands of this test's section in their order.

    *words* are what a person puts for the capitals, and functions that are asked when it is their turn; *between* is
    done after the target of that name.
    """

    def follow(words: dict[str, t.Any], between: dict[str, t.Callable[[], None]] | None = None) -> None:
        for line in commands:
            argv = shlex.split(line)
            if argv[:3] == ["ansible-playbook", "-i", "INVENTORY"]:
                play(*argv[3:])
                continue
            _make, target, *pairs = argv
            given = dict(pair.split("=", 1) for pair in pairs)
            filled = {word: words.get(value, value) for word, value in given.items()}
            done(target, **{word: one() if callable(one) else one for word, one in filled.items()})
            (between or {}).get(target, lambda: None)()

    return follow


@pytest.fixture(scope="module")
def corrected() -> dict[str, list[str]]:
    """The digests from before the rows were corrected."""
    return {}


def people(place: Path) -> None:
    """Write into after.yml what is for people."""
    text = (place / "after.yml").read_text()
    for field in ("why_different", "learned", "follow_ups"):
        text = text.replace(f'{field}: ""', f'{field}: "We talked about it."')
    (place / "after.yml").write_text(text)


def test_rows_are_corrected(run, play, rehearsing, postgres, store, until, corrected):
    # The newest one still has the row that another test has added.
    play("playbooks/backup_now.yml")
    count, before = twice(postgres, until), digests(postgres)
    assert count > 0
    corrected["before"] = before

    def place() -> Path:
        return begun("duplicate-rows")

    def dry_or_done() -> None:
        if (place() / "after.yml").exists():
            people(place())
        else:
            assert digests(postgres) == before, "a dry run has changed something"

    words = {
        **{"FOLDER": str(FOLDER), "INCIDENT": lambda: str(place()), "INVENTORY": "inventory/local", "DBA": "alice"},
        **{**rehearsing, "APPROVER": str(SCENARIO / "bob"), "CONFIRM": lambda: confirm(place())},
    }
    run(words, between={"incident": lambda: write(place(), until, count), "carry-out": dry_or_done})
    assert f"{place().name}: closed: committed" in done("incidents", FOLDER=str(FOLDER))
    assert twice(postgres, until) == 0
    assert digests(postgres)[1:] == before[1:], "other tables were touched"
    told = after(place())
    assert [step["rows"] for step in told["steps"]] == [count]
    assert told["dump"] in [row["name"] for row in dumps(store, "dump")]
    (rows,) = [row for row in dumps(store, "saved") if row["name"] == told["saved"]]
    assert rows["sha256"] == told["saved_sha256"]
    report = (place() / "after.md").read_text()
    assert "Committed: what follows is in the database." in report
    assert report.count("We talked about it.") == 3


def test_what_was_carried_out_is_not_carried_out_again(postgres):
    """Not from a copy without its report either: the host remembers, and gives the report again."""
    place, before = begun("duplicate-rows"), digests(postgres)
    copy = FOLDER.parent / "again" / place.name
    shutil.rmtree(copy.parent, ignore_errors=True)
    shutil.copytree(place, copy, ignore=shutil.ignore_patterns("after.*"))
    assert "was begun on this host before" in " ".join(carried_out(copy).split())
    assert digests(postgres) == before
    people(copy)
    assert after(copy) == after(place)


def test_the_check_of_the_dumps_knows_why_rows_are_gone(play, store):
    play("playbooks/backup_now.yml")
    lost = f"in {dumps(store, 'dump')[-1]['name']}, against"
    explained = f"/etc/taaraxtak/incidents/{begun('duplicate-rows').name}.json"
    check = "runuser -u dumps-archive -- dump-store check"
    assert lost not in store.run(check).stdout
    store.check_output("mv %s /root/explained.json", explained)
    try:
        assert lost in store.run(check).stdout
    finally:
        store.check_output("mv /root/explained.json %s", explained)


def test_what_was_done_is_undone(run, rehearsing, postgres, corrected):
    """By a plan of its own, through the same gates, to the last byte."""
    run({"INCIDENT": str(begun("duplicate-rows")), "INVENTORY": "inventory/local"})
    undo = begun("undo-duplicate-rows")
    text = (undo / "before.yml").read_text()
    text = text.replace('problem: ""', "problem: It was wrong.").replace('cause: ""', "cause: We know now.")
    text = text.replace('reporter: ""', "reporter: bob")
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    (undo / "before.yml").write_text(text.replace('expires: ""', f"expires: {soon:%Y-%m-%dT%H:%M:%SZ}"))
    done("rehearse", INCIDENT=str(undo), **rehearsing)
    assert digests(postgres) != corrected["before"]
    assert "the incident is rehearsed" in " ".join(carried_out(undo).split())
    assert digests(postgres) != corrected["before"]
    done("approve", INCIDENT=str(undo), KEY=str(SCENARIO / "bob"))
    carried_out(undo, status=0)
    assert after(undo)["outcome"] == "committed"
    assert digests(postgres) == corrected["before"]
