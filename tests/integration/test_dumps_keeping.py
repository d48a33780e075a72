"""Keeping the archive: what prune removes and in which order, what check says, who is told, on real files."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps import keeper
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.finding import Level
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.folder import Folder
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName
from ansible_collections.taaraxtak.production.tests.integration.dumps_keeping import DAY, HOUR, NOW, TABLES, Keeping
from ansible_collections.taaraxtak.production.tests.integration.dumps_offers import NAME

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")


@pytest.fixture
def store(tmp_path: Path) -> Keeping:
    return Keeping(tmp_path)


def history(store: Keeping, days: int = 12) -> list[DumpName]:
    """A dump of each of the last nights, oldest first."""
    return [store.put(NOW - 9 * HOUR - day * DAY) for day in reversed(range(days))]


def pairs(*names: DumpName) -> list[str]:
    return sorted(file for name in names for file in (str(name), name.manifest))


# --- Prune ----------------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_go_and_why_and_leaves_it(store: Keeping) -> None:
    names = history(store)
    before = store.files(store.archive)
    done = store.run("prune", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert store.files(store.archive) == before
    lines = done.stdout.splitlines()
    assert len(lines) == len(names) + 1
    assert all(": " in line for line in lines[:-1])
    rows = json.loads(store.run("prune", "--dry-run", "--json").stdout)
    assert [row["name"] for row in rows] == [str(name) for name in names]
    assert all(row["reasons"] for row in rows)


def test_prune_removes_what_the_dry_run_named(store: Keeping) -> None:
    history(store)
    planned = store.prune(dry=True)
    assert {one.keep for one in planned} == {True, False}
    assert store.prune() == planned
    assert store.files(store.archive) == pairs(*(one.name for one in planned if one.keep))
    assert all(one.keep for one in store.prune())


def test_the_drill_goes_with_its_dump_and_the_newest_verified_one_stays(store: Keeping) -> None:
    names = history(store)
    store.drill(names[0])
    store.drill(names[2])
    store.prune()
    left = store.files(store.archive)
    assert str(names[2]) in left
    assert f"{names[2]}.drill.json" in left
    assert f"{names[0]}.drill.json" in left or str(names[0]) not in left


def test_a_drill_that_failed_verifies_nothing(store: Keeping) -> None:
    names = history(store)
    assert [one.keep for one in store.prune(dry=True) if one.name == names[2]] == [False]
    store.drill(names[2], ok=False)
    (decision,) = [one for one in store.prune(dry=True) if one.name == names[2]]
    assert decision.keep
    assert "its drill failed" in decision.reasons[0]


@pytest.mark.parametrize("dies_after", [1, 2, 3])
def test_a_prune_that_dies_leaves_no_dump_without_its_data(
    store: Keeping, monkeypatch: pytest.MonkeyPatch, dies_after: int
) -> None:
    names = history(store)
    store.drill(names[-1])
    going = [one.name for one in store.prune(dry=True) if not one.keep]
    store.drill(going[0])
    real, calls = Folder.unlink, []

    def unlink(self: Folder, name: str) -> None:
        if len(calls) == dies_after:
            raise KeyboardInterrupt
        calls.append(name)
        real(self, name)

    monkeypatch.setattr(Folder, "unlink", unlink)
    with pytest.raises(KeyboardInterrupt):
        store.prune()
    monkeypatch.undo()
    assert calls[0] == going[0].manifest
    left = store.files(store.archive)
    for name in names:
        assert name.manifest not in left or str(name) in left
    assert not [sentence for sentence in store.sentences() if sentence.startswith("critical")]
    # Data that have lost their manifest are for people to remove: nothing says whether that was on purpose.
    lost = [str(going[0])] if str(going[0]) in left and going[0].manifest not in left else []
    tomorrow = dt.datetime.now(dt.UTC) + 25 * HOUR
    kept = {one.name for one in store.prune(tomorrow) if one.keep}
    assert store.files(store.archive) == sorted([*pairs(*kept), *lost, f"{names[-1]}.drill.json"])


def test_unsigned_dumps_fill_no_slot_and_stay(store: Keeping) -> None:
    names = history(store)
    other = store.make_key("other_key")
    moment = NOW - 20 * HOUR
    forged = [store.put(moment + number * dt.timedelta(minutes=1), key=other) for number in range(5)]
    adopted = store.put(NOW - 200 * DAY, adopted=True)
    before = {one.name: one.keep for one in store.prune(dry=True)}
    for name in forged:
        (store.archive / name.manifest).unlink()
    after = {one.name: one.keep for one in store.prune(dry=True)}
    assert {name: before[name] for name in names} == {name: after[name] for name in names}
    assert before[adopted]
    assert all(before[name] for name in forged)


def test_two_hosts_with_one_database_name_push_nothing_of_each_other_out(store: Keeping) -> None:
    history(store)
    alone = {one.name for one in store.prune(dry=True) if one.keep}
    other = store.make_key("other_key")
    public = other.with_suffix(".pub").read_text()
    store.signers.write_text(f'{store.signers.read_text()}\nstaging namespaces="taaraxtak-dump" {public}')
    theirs = [store.put(NOW - 10 * HOUR - day * DAY, {"public.ooni": 1}, key=other) for day in range(12)]
    kept = {one.name for one in store.prune(dry=True) if one.keep}
    assert kept - set(theirs) == alone
    assert len(kept) == 2 * len(alone)
    assert store.sentences() == []


def test_what_a_host_signed_with_its_former_key_is_in_its_group(store: Keeping) -> None:
    history(store)
    before = store.prune(dry=True)
    new = store.make_key("new_key")
    public = new.with_suffix(".pub").read_text()
    store.signers.write_text(f'production namespaces="taaraxtak-dump" {public}\n{store.signers.read_text()}')
    store.put(NOW - HOUR, key=new)
    assert len(store.check().groups) == 1
    assert [one.name for one in before] == [one.name for one in store.prune(dry=True)][:-1]


def test_without_the_keys_nothing_is_removed(store: Keeping) -> None:
    history(store)
    store.signers.unlink()
    assert all(one.keep for one in store.prune())


def test_what_is_no_dump_is_never_touched(store: Keeping) -> None:
    history(store)
    for stray in ("notes.txt", "taaraxtak.sql", "x.drill.json"):
        (store.archive / stray).write_text("mine")
    store.prune(dt.datetime.now(dt.UTC) + 400 * DAY)
    assert {"notes.txt", "taaraxtak.sql", "x.drill.json"} <= set(store.files(store.archive))


def test_prune_waits_for_the_archiver(store: Keeping) -> None:
    history(store)
    with Folder(str(store.archive)).alone():
        process = store.start("prune")
        time.sleep(1)
        assert process.poll() is None
    process.communicate(timeout=60)
    assert process.returncode == 0


# --- Check ----------------------------------------------------------------------------------------------------------


def test_an_archive_in_order_is_ok(store: Keeping) -> None:
    history(store)
    assert store.sentences() == []


def test_the_exit_status_is_the_verdict(store: Keeping) -> None:
    assert store.run("check").returncode == 2
    now = dt.datetime.now(dt.UTC)
    store.put(now - HOUR)
    done = store.run("check")
    assert (done.returncode, done.stdout) == (0, "the dumps are ok\n"), done.stderr
    (store.archive / "stray").touch()
    done = store.run("check", "--json")
    assert done.returncode == 1
    verdict = json.loads(done.stdout)
    assert verdict["level"] == "warning"
    assert verdict["groups"][0]["archived"]["tables"] == len(TABLES)
    assert "stray" in verdict["findings"][0]["sentence"]


def test_what_was_brought_and_archived_is_fresh(store: Keeping) -> None:
    store.keep(expect={"archived_warning_hours": 1})
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    name = DumpName("taaraxtak", now)
    assert store.give(store.offer(str(name)))["ok"]
    waiting = store.check(now)
    assert waiting.level == Level.CRITICAL
    assert store.run("archive").returncode == 0
    assert store.sentences(now) == []
    late = [f"{one.level}" for one in store.check(now + 2 * HOUR).findings]
    assert late == ["warning"]


def test_settings_that_can_not_be_read_are_critical(store: Keeping) -> None:
    (store.folder / "keep.json").write_text("{}")
    done = store.run("check")
    assert done.returncode == 2
    assert "lacks the key" in done.stderr


def test_a_dump_by_another_key_does_not_count(store: Keeping) -> None:
    store.put(NOW - 60 * HOUR)
    name = store.put(NOW - HOUR, key=store.make_key("other_key"))
    found = store.sentences()
    assert any("newest archived dump is 2 days old" in sentence for sentence in found)
    assert any(f"critical: {name} does not count" in sentence for sentence in found)


def test_a_manifest_changed_after_signing_does_not_count(store: Keeping) -> None:
    name = store.put(NOW - HOUR)
    path = store.archive / name.manifest
    path.chmod(0o640)
    document = json.loads(path.read_bytes())
    document["trailer"]["tables"]["public.ooni"]["rows"] = 7
    path.write_text(json.dumps(document))
    path.chmod(0o440)
    found = store.sentences()
    assert any("signature is wrong" in sentence for sentence in found)
    assert "critical: taaraxtak: there is no archived dump" in found


def test_an_adopted_dump_is_not_fresh(store: Keeping) -> None:
    store.put(NOW - HOUR, adopted=True)
    assert store.sentences() == ["critical: taaraxtak: there is no archived dump"]


def test_a_cut_file_is_critical(store: Keeping) -> None:
    name = history(store)[0]
    path = store.archive / str(name)
    path.chmod(0o640)
    os.truncate(path, 5)
    path.chmod(0o440)
    assert any(f"critical: {name} should have" in sentence for sentence in store.sentences())


@ROOT_ONLY
def test_files_that_others_could_change_are_critical(store: Keeping) -> None:
    writable, linked, foreign = history(store)[-3:]
    (store.archive / str(writable)).chmod(0o660)
    os.link(store.archive / str(linked), store.folder / "before")
    os.chown(store.archive / str(foreign), 12345, -1)
    found = [sentence for sentence in store.sentences() if sentence.startswith("critical")]
    assert len(found) == 3
    assert any(f"{writable} can be written to" in sentence for sentence in found)
    assert any(f"{linked} has 2 names" in sentence for sentence in found)
    assert any(f"{foreign} belongs to the user 12345" in sentence for sentence in found)


def test_rows_that_are_gone_are_critical_until_an_incident_says_why(store: Keeping) -> None:
    store.put(NOW - 33 * HOUR)
    store.put(NOW - 9 * HOUR, {"public.ooni": 99})
    found = store.sentences()
    assert len(found) == 2
    assert all(sentence.startswith("critical") for sentence in found)
    note = {
        "tables": ["public.ooni", "public.gini"],
        "reason": "a test",
        "from": "2026-11-22T02:00:00Z",
        "until": "2026-11-22T04:00:00Z",
        "rows": 10,
        "tables_dropped": True,
    }
    (store.incidents / "test.json").write_text(json.dumps(note))
    assert store.sentences() == []
    (store.incidents / "test.json").write_text(json.dumps({**note, "tables": ["public.ooni"]}))
    assert len(store.sentences()) == 1


OLD_INCIDENT = json.dumps({"tables": ["public.ooni"], "reason": "a test", "until": "2026-11-22T04:00:00Z"})


@pytest.mark.parametrize(
    ("content", "words"), [("{", ""), ("[" * 200_000, "too deeply"), (OLD_INCIDENT, "it lacks from and rows")]
)
def test_an_incident_that_can_not_be_read_explains_nothing_and_is_said(
    store: Keeping, content: str, words: str
) -> None:
    history(store, 1)
    (store.incidents / "broken.json").write_text(content)
    (found,) = store.sentences()
    assert found.startswith("warning: ")
    assert "broken.json explains nothing" in found
    assert words in found


def test_an_old_verified_dump_is_said_where_a_drill_is_asked_for(store: Keeping) -> None:
    store.keep(expect={"verified_warning_days": 8})
    names = history(store)
    assert any("none of them was verified" in sentence for sentence in store.sentences())
    store.drill(names[0])
    assert any("newest verified dump is 11 days old" in sentence for sentence in store.sentences())
    store.drill(names[-1])
    assert store.sentences() == []
    store.drill(names[-2], ok=False)
    assert store.sentences() == [
        f"critical: the drill of {names[-2]} failed: see {names[-2]}.drill.json",
    ]


@pytest.mark.parametrize("content", ["", "[]", '{"ok": true}', '{"ok": "yes", "finished": "2026-11-22T03:00:00Z"}'])
def test_what_is_no_result_of_a_drill_verifies_nothing(store: Keeping, content: str) -> None:
    name = history(store, 1)[0]
    (store.archive / f"{name}.drill.json").write_text(content)
    verdict = store.check()
    assert verdict.groups[0].verified is None
    assert "not the result of a drill" in verdict.findings[0].sentence


@ROOT_ONLY
def test_a_drill_that_the_receiving_user_wrote_verifies_nothing(store: Keeping) -> None:
    name = history(store, 1)[0]
    os.chown(store.drill(name), 12345, -1)
    verdict = store.check()
    assert verdict.groups[0].verified is None
    assert verdict.level == Level.CRITICAL


def test_what_is_not_archived_is_said(store: Keeping) -> None:
    now = dt.datetime.now(dt.UTC)
    store.put(now - HOUR)
    assert store.give(store.offer(str(DumpName("taaraxtak", now))))["ok"]
    assert store.sentences(now) == []
    assert any("is not archived: does the archiver run?" in sentence for sentence in store.sentences(now + 2 * HOUR))


def test_strays_are_said_with_names_that_break_no_line(store: Keeping) -> None:
    history(store, 1)
    (store.incoming / "a\ncritical: b").touch()
    (store.archive / "link.sql.zst").symlink_to("/etc/passwd")
    found = store.sentences()
    assert len(found) == 2
    assert not any("\n" in sentence for sentence in found)


def test_a_quota_that_is_nearly_used_up_is_said(store: Keeping) -> None:
    history(store)
    used = store.check().space.used
    assert used == sum(path.stat().st_size for path in store.archive.iterdir())
    store.keep(quota_bytes=used + 1)
    assert [sentence.partition(":")[0] for sentence in store.sentences()] == ["warning"]
    store.keep(quota_bytes=used)
    assert [sentence.partition(":")[0] for sentence in store.sentences()] == ["critical"]
    store.keep(reserve_bytes=1 << 60)
    assert any("held in reserve" in sentence for sentence in store.sentences())


# --- The figures and who is told ------------------------------------------------------------------------------------


def test_the_figures_are_whole_and_readable(store: Keeping) -> None:
    store.put(dt.datetime.now(dt.UTC) - HOUR)
    store.textfile.write_text("old")
    with store.textfile.open() as reading:
        assert store.run("check").returncode == 0
        assert reading.read() == "old"
    text = store.textfile.read_text()
    assert "taaraxtak_dumps_check_status 0\n" in text
    assert store.textfile.stat().st_mode & 0o777 == 0o644
    assert store.files(store.textfile.parent) == ["dumps.prom"]


def test_figures_that_can_not_be_written_are_said_and_hide_nothing(store: Keeping) -> None:
    store.keep(textfile=str(store.folder / "nowhere" / "dumps.prom"))
    store.put(dt.datetime.now(dt.UTC) - HOUR)
    done = store.run("check")
    assert done.returncode == 1
    assert "the figures could not be written" in done.stderr
    assert "the dumps are warning" in done.stdout


def test_figures_that_can_not_be_written_are_told_and_nobody_is_pinged(store: Keeping) -> None:
    path = teller(store)
    store.keep(textfile=str(store.folder / "nowhere" / "dumps.prom"))
    store.put(dt.datetime.now(dt.UTC) - HOUR)
    assert store.run("check", "--tell").returncode == 1
    (event,) = heard(path)
    assert event["subject"] == "the dumps are warning"
    assert "the figures could not be written" in event["lines"][0]


@pytest.mark.parametrize("sabotage", ["", "raise"])
def test_a_check_that_can_not_judge_leaves_no_old_figures(store: Keeping, sabotage: str) -> None:
    store.textfile.write_text("taaraxtak_dumps_check_status 0\n")
    if sabotage:
        crash(store)
    else:
        store.archive.rmdir()
    assert store.run("check").returncode == (3 if sabotage else 2)
    figures = store.textfile.read_text()
    assert "taaraxtak_dumps_check_status 2\n" in figures
    assert "taaraxtak_dumps_check_timestamp_seconds " in figures
    assert "taaraxtak_dumps_newest" not in figures


def crash(store: Keeping) -> None:
    """What nobody foresaw, in the midst of the check."""
    store.put(NOW - HOUR)
    store.sabotage(
        "import json\ndef loads(*given, **more): raise MemoryError('no more')\nimport dumps.survey as s\n"
        "s.decode = s.Folder.manifest = loads"
    )


def teller(store: Keeping, body: str = "") -> Path:
    """A command that adds what it is told to a file."""
    heard, script = store.folder / "heard", store.folder / "teller"
    script.write_text(
        f"#!/usr/bin/python3 -I\nimport sys\nopen({str(heard)!r}, 'a').write(sys.stdin.read() + '\\n')\n{body}\n"
    )
    script.chmod(0o755)
    store.notify.write_text(json.dumps({"command": [str(script)], "timeout": 3}))
    return heard


def heard(path: Path) -> list[dict[str, t.Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_an_alarm_is_told_once_and_again_a_day_later_or_when_it_changes(store: Keeping) -> None:
    path = teller(store)
    store.keep(told=str(store.folder / "told.json"))
    store.put(NOW - 30 * HOUR)
    for moment in (NOW, NOW + HOUR, NOW + 23 * HOUR):
        keeper.tell(store.settings, store.check(moment))
    # From 50 hours on it is critical.
    assert [event["subject"] for event in heard(path)] == ["the dumps are warning", "the dumps are critical"]
    keeper.tell(store.settings, store.check(NOW + 30 * HOUR))
    assert len(heard(path)) == 2
    keeper.tell(store.settings, store.check(NOW + 48 * HOUR))
    assert len(heard(path)) == 3


def test_an_alarm_is_told_again_where_it_can_not_be_noted(store: Keeping) -> None:
    path = teller(store)
    store.keep(told=str(store.folder / "nowhere" / "told.json"))
    for _ in range(2):
        assert store.run("check", "--tell").returncode == 2
    assert len(heard(path)) == 2


def test_a_check_that_fails_is_told(store: Keeping) -> None:
    path = teller(store)
    (store.archive).rmdir()
    assert store.run("check", "--tell").returncode == 2
    assert heard(path)[0]["subject"] == "the dumps could not be checked"


def test_a_check_that_crashes_is_told_and_is_no_verdict(store: Keeping) -> None:
    path = teller(store)
    crash(store)
    done = store.run("check", "--tell")
    assert done.returncode == 3
    (event,) = heard(path)
    assert event["subject"] == "the dumps could not be checked"
    assert event["lines"] == ["the check itself failed: MemoryError: no more"]


def test_an_alarm_that_did_not_arrive_is_told_again(store: Keeping) -> None:
    path = teller(store, "sys.exit(1)")
    store.keep(told=str(store.folder / "told.json"))
    store.put(NOW - 30 * HOUR)
    for moment in (NOW, NOW + HOUR):
        keeper.tell(store.settings, store.check(moment))
    assert len(heard(path)) == 2
    teller(store)
    for moment in (NOW + 2 * HOUR, NOW + 3 * HOUR):
        keeper.tell(store.settings, store.check(moment))
    assert len(heard(path)) == 3


def test_another_loss_is_another_alarm(store: Keeping) -> None:
    path = teller(store)
    store.keep(told=str(store.folder / "told.json"))
    store.put(NOW - 33 * HOUR)
    store.put(NOW - 9 * HOUR, {**TABLES, "public.ooni": 99})
    keeper.tell(store.settings, store.check())
    store.put(NOW - 8 * HOUR, {**TABLES, "public.ooni": 98})
    keeper.tell(store.settings, store.check())
    keeper.tell(store.settings, store.check(NOW + HOUR))
    assert len(heard(path)) == 2


@pytest.mark.parametrize("body", ["sys.exit(3)", "import time; time.sleep(60)"])
def test_a_failing_notifier_is_said_and_hides_no_verdict(store: Keeping, body: str) -> None:
    teller(store, body)
    start = time.monotonic()
    done = store.run("check", "--tell")
    assert done.returncode == 2
    assert "the command that should tell of this failed" in done.stderr
    assert time.monotonic() - start < 30


def test_a_unit_that_failed_is_told(store: Keeping) -> None:
    path = teller(store)
    assert store.run("tell", "taaraxtak-dumps-prune.service").returncode == 0
    assert heard(path)[0]["subject"] == "taaraxtak-dumps-prune.service failed"


def test_a_unit_that_failed_and_could_not_be_told_is_a_failure(store: Keeping) -> None:
    teller(store, "sys.exit(1)")
    assert store.run("tell", "taaraxtak-dumps-prune.service").returncode == 1


UNIT = "taaraxtak-dumps-archive.service"


@pytest.mark.parametrize(("unit", "body", "kept"), [
    (UNIT, "sys.exit(1)", False),
    (UNIT, "", True),
    ("taaraxtak-dumps-prune.service", "sys.exit(1)", True),
])  # fmt: skip
def test_a_refusal_that_nobody_could_be_told_of_is_told_again(
    store: Keeping, unit: str, body: str, *, kept: bool
) -> None:
    teller(store, body)
    noted = store.folder / "refusals"
    store.configure(refusals=str(noted))
    assert store.give()["ok"]
    (store.incoming / NAME).unlink()
    assert [store.run("archive").returncode for _ in range(2)] == [1, 0]
    assert store.run("tell", unit).returncode == int("exit" in body)
    assert noted.exists() is kept
    assert store.run("archive").returncode == int(not kept)


@pytest.mark.parametrize("content", ["{", "[]", '{"archives": "/x"}', None])
def test_a_unit_that_failed_is_told_though_the_settings_of_what_is_kept_are_wrong(
    store: Keeping, content: str | None
) -> None:
    path = teller(store)
    keeping = store.folder / "keep.json"
    keeping.unlink()
    if content is not None:
        keeping.write_text(content)
    store.sabotage(f"from dumps import notify; notify.CONFIG = {str(store.notify)!r}")
    done = store.run("tell", UNIT)
    assert done.returncode == 0, done.stderr
    assert done.stderr != ""
    (event,) = heard(path)
    assert event["subject"] == f"{UNIT} failed"
    assert len(event["lines"]) == 2


def test_a_killed_check_leaves_the_old_figures(store: Keeping) -> None:
    store.put(dt.datetime.now(dt.UTC) - HOUR)
    store.textfile.write_text("old")
    store.sabotage(f"import os; os.fsync = lambda descriptor: os.kill(os.getpid(), {int(signal.SIGKILL)})")
    assert store.run("check").returncode == -signal.SIGKILL
    assert store.textfile.read_text() == "old"
