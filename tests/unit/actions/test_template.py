"""A new before.yml says every key and is no plan before people have written theirs; the commands of the tool."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import parsing, plan, records, saved, yamls
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.template import name_of, template
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.undo import DELETED, UPDATED, Column, Table
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import GOOD, NAME, after, rehearsal

ROOT = Path(__file__).resolve().parents[3]
NOW = dt.datetime(2026, 11, 22, 14, tzinfo=dt.UTC)
NEW = template(NAME, NOW, schema="x")


def test_a_new_file_is_no_plan_until_people_have_written_theirs():
    found = plan.problems(yamls.load(NEW.encode(), plan.FILE))
    said = ["problem", "cause", "reporter", "steps[0].why"]
    assert [problem.split(": ")[1] for problem in found] == said


def test_a_new_file_that_is_filled_in_is_a_plan():
    text = NEW.replace(': ""', ": word").replace("after: 0", "after: 1")
    made = plan.read(yamls.load(text.encode(), plan.FILE))
    assert parsing.problems(made) == []
    assert made.expires - made.devops_contacted == dt.timedelta(days=3)


def test_a_new_file_shows_every_key():
    keys = {*plan.PLAN_KEYS, *plan.STEP_KEYS, *plan.ASSESSMENT_KEYS, *plan.INVARIANT_KEYS, *plan.ROWS_KEYS}
    assert {key for key in keys if not re.search(rf"\b{key}:", NEW)} == set()


def test_what_is_commented_out_is_right_where_it_is_taken_in():
    text = NEW.replace(': ""', ": word").replace("after: 0", "after: 1")
    text = re.sub(
        r"^(\s*)# ((allow_without_where|cascades|triggers|functions|why|break_glass): )", r"\1\2", text, flags=re.M
    )
    text = re.sub(r"^# (invariants:|  - id:|    query:)", r"\1", text, flags=re.M)
    made = plan.read(yamls.load(text.encode(), plan.FILE))
    assert made.invariants
    assert made.break_glass
    assert made.steps[0].cascades == ("public.b_table",)


@pytest.mark.parametrize("slug", ["", "Duplicate", "a b", "../x", "a_b", "-a", "a-", "a--b", "x" * 90, "ä"])
def test_what_can_not_name_an_incident_is_refused(slug):
    with pytest.raises(ValueError, match="can't name an incident"):
        name_of(slug, NOW.date())


def incidents(place: Path, *words: str, given: str = "") -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "tools" / "incidents.py"), *words]
    return subprocess.run(command, cwd=place, input=given, capture_output=True, text=True, check=False)


def test_an_incident_is_begun_once_and_names_the_schema(tmp_path):
    assert incidents(tmp_path, "new", "duplicate-rows").returncode == 0
    (file,) = tmp_path.glob("incidents/*-duplicate-rows/before.yml")
    named = re.search(r"^# yaml-language-server: \$schema=(\S+)$", file.read_text(), re.MULTILINE)
    assert named
    assert (file.parent / named[1]).resolve() == ROOT / "docs" / "incident.schema.json"
    file.write_text("mine")
    again = incidents(tmp_path, "new", "duplicate-rows")
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert file.read_text() == "mine"
    assert "can't name an incident" in incidents(tmp_path, "new", "../x").stderr


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A rehearsed incident that is not yet due."""
    path = tmp_path / "incidents" / NAME
    path.mkdir(parents=True)
    soon = dt.datetime.now(dt.UTC).replace(microsecond=0)
    text = GOOD.replace("2026-11-24T14:00:00Z", f"{soon + dt.timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}")
    text = text.replace("2026-11-22T14:00:00Z", f"{soon - dt.timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}")
    (path / "before.yml").write_text(text)
    dump = f"taaraxtak_{soon - dt.timedelta(hours=1):%Y-%m-%d-%H.%M.%S}.sql.zst"
    (path / "rehearsal.yml").write_text(rehearsal(plan_sha256=records.sha256(text.encode()), dump=dump).text())
    return path


def test_the_whole_way_of_the_files(place, tmp_path):
    """Judged, approved with a real key, listed as approved; then an edit."""
    key = tmp_path / "alice"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    approvers = tmp_path / "approvers"
    approvers.write_text(f"alice {key.with_suffix('.pub').read_text()}")
    listing = ("list", "--check", "--approvers", str(approvers))
    assert incidents(tmp_path, "lint", str(place)).returncode == 0
    assert incidents(tmp_path, *listing).stdout == f"{NAME}: rehearsed\n"
    approved = incidents(tmp_path, "approve", str(place), str(key))
    assert approved.returncode == 0, approved.stderr
    assert incidents(tmp_path, *listing).stdout == f"{NAME}: approved\n"
    assert "was not verified here" in incidents(tmp_path, "list").stdout
    with (place / "before.yml").open("a") as file:
        file.write("# more\n")
    assert f"{NAME}: void: before.yml was edited after the rehearsal" in incidents(tmp_path, *listing).stdout
    assert "only what is rehearsed can be approved" in incidents(tmp_path, "approve", str(place), str(key)).stderr


def test_a_plan_that_no_host_would_take_is_not_judged_good(place, tmp_path):
    """Else it would be rehearsed and approved first."""
    with (place / "before.yml").open("a") as file:
        file.write("# much\n" * 20_000)
    assert "before.yml is larger than 128 KiB" in incidents(tmp_path, "lint", str(place)).stderr


def test_a_plan_that_the_rules_refuse_is_neither_judged_good_nor_approved(place, tmp_path):
    text = (place / "before.yml").read_text().replace("WHERE a.name = b.name AND a.ctid > b.ctid", "")
    (place / "before.yml").write_text(text)
    found = rehearsal(plan_sha256=records.sha256(text.encode()), dump=read_dump(place))
    (place / "rehearsal.yml").write_text(found.text())
    assert "(without-where)" in incidents(tmp_path, "lint", str(place)).stderr
    assert "(without-where)" in incidents(tmp_path, "approve", str(place), "key").stderr
    assert not (place / "approval.sig").exists()


def test_a_rehearsal_that_saves_other_rows_than_the_plan_s_is_not_approved(place, tmp_path):
    text = (place / "rehearsal.yml").read_text()
    assert "FOR UPDATE OF taaraxtak_saved" in text
    (place / "rehearsal.yml").write_text(text.replace("FOR UPDATE OF", "LIMIT 12 FOR UPDATE OF"))
    assert "does not save the rows of this plan" in incidents(tmp_path, "approve", str(place), "key").stderr
    assert not (place / "approval.sig").exists()


def read_dump(place: Path) -> str:
    found = re.search(r'^dump: "(.*)"$', (place / "rehearsal.yml").read_text(), re.MULTILINE)
    assert found
    return found[1]


def test_the_check_fails_where_an_incident_is_overdue_or_can_not_be_read(place, tmp_path):
    assert incidents(tmp_path, "list", "--check").returncode == 0
    whole = (place / "before.yml").read_text()
    (place / "before.yml").write_text(
        re.sub("expires: .*", "expires: 2026-01-02T00:00:00Z", whole).replace("contacted: 20", "contacted: 19")
    )
    overdue = incidents(tmp_path, "list", "--check")
    assert overdue.returncode == 1
    assert overdue.stdout.endswith("; overdue\n")
    (place / "before.yml").write_text("nothing")
    assert incidents(tmp_path, "list", "--check").returncode == 1
    assert incidents(tmp_path, "list").returncode == 0
    (place / "before.yml").unlink()
    (place / "before.yml").symlink_to(tmp_path / "x")
    assert "no link" in incidents(tmp_path, "list", "--check").stdout


def test_where_no_incident_was_begun_it_is_said_how_to_begin_one(tmp_path):
    none = incidents(tmp_path, "list")
    assert (none.returncode, none.stderr) == (0, "")
    assert none.stdout == "no incidents in incidents: make incident SLUG=duplicate-rows begins one\n"
    (tmp_path / "incidents").mkdir()
    for words in (("list",), ("list", "--check")):
        assert (incidents(tmp_path, *words).returncode, incidents(tmp_path, *words).stdout) == (0, none.stdout)


def test_the_check_does_not_take_a_folder_that_is_not_there_for_one_without_incidents(tmp_path):
    missing = incidents(tmp_path, "list", "--check")
    assert missing.returncode == 1
    assert "there is no folder incidents" in missing.stderr
    (tmp_path / "incidents").write_text("no folder")
    assert incidents(tmp_path, "list").returncode == 1


@pytest.fixture
def carried_out(place: Path) -> Path:
    """The incident with its after.yml, in which no person has written yet."""
    digests = {
        f"{name}_sha256": records.sha256((place / file).read_bytes())
        for name, file in (("plan", "before.yml"), ("rehearsal", "rehearsal.yml"))
    }
    (place / "after.yml").write_text(after(**digests, approval_sha256="").text())
    return place


def test_the_report_is_written_anew_with_what_people_wrote(carried_out, tmp_path):
    text = (carried_out / "after.yml").read_text()
    for field in records.HUMAN:
        text = text.replace(f'{field}: ""', f"{field}: |\n  We saw {field}.")
    (carried_out / "after.yml").write_text(text)
    done = incidents(tmp_path, "report", str(carried_out))
    assert done.stdout == f"{NAME}: closed: committed\n"
    written = (carried_out / "after.md").read_text()
    assert all(f"We saw {field}." in written for field in records.HUMAN)


def test_no_report_is_written_of_nothing_or_through_a_link(place, carried_out, tmp_path):
    (carried_out / "after.md").symlink_to(tmp_path / "elsewhere")
    assert "is a link" in incidents(tmp_path, "report", str(carried_out)).stderr
    assert not (tmp_path / "elsewhere").exists()
    (place / "after.yml").unlink()
    assert "nothing was carried out" in incidents(tmp_path, "report", str(place)).stderr


def saved_rows(place: Path, incident: str = NAME) -> str:
    """Two rows that the incident's step has deleted, as they were saved."""
    lines: list[bytes] = []
    plan_sha256 = records.sha256((place / "before.yml").read_bytes())
    writer = saved.Writer(saved.About(incident, plan_sha256, "production", "taaraxtak"), lines.append)
    table = Table("public", "provider_marketshare", (Column("name", "character varying"),))
    writer.table("remove-duplicates", DELETED, table)
    for name in ("it's", None):
        writer.row((name,))
    writer.end()
    return b"".join(lines).decode()


def test_an_undo_is_an_incident_of_its_own_with_the_saved_rows(carried_out, tmp_path):
    done = incidents(tmp_path, "undo", str(carried_out), given=saved_rows(carried_out))
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("incidents/*-undo-duplicate-rows/before.yml")
    assert "('it''s'),\n        (NULL)" in file.read_text()
    assert ": draft: " in incidents(tmp_path, "list").stdout
    again = incidents(tmp_path, "undo", str(carried_out), given=saved_rows(carried_out))
    assert "is there already" in again.stderr
    other = incidents(tmp_path, "undo", "--slug=once-more", str(carried_out), given=saved_rows(carried_out))
    assert other.returncode == 0, other.stderr
    (file,) = tmp_path.glob("incidents/*-once-more/before.yml")
    assert f"incident: {file.parent.name}\n" in file.read_text()
    assert (
        "can't name an incident"
        in incidents(tmp_path, "undo", "--slug=../x", str(carried_out), given=saved_rows(carried_out)).stderr
    )


def test_no_undo_is_made_where_keys_were_changed(carried_out, tmp_path):
    """The saved rows have the keys that there were; which row has which key now is not known."""
    sql = "UPDATE public.provider_marketshare SET id = id + 1, name = 'x' WHERE name = 'y'"
    lines: list[bytes] = []
    text = re.sub(r"sql: \|\n(?: {6}.*\n)+", f"sql: {sql}\n", (carried_out / "before.yml").read_text())
    (carried_out / "before.yml").write_text(text)
    digest = records.sha256(text.encode())
    old = (carried_out / "after.yml").read_text()
    (carried_out / "after.yml").write_text(re.sub(r'plan_sha256: ".*"', f'plan_sha256: "{digest}"', old))
    writer = saved.Writer(saved.About(NAME, digest, "production", "taaraxtak"), lines.append)
    columns = (Column("id", "integer", key=True), Column("name", "text"))
    writer.table("remove-duplicates", UPDATED, Table("public", "provider_marketshare", columns))
    writer.row(("1", "y"))
    writer.end()
    done = incidents(tmp_path, "undo", str(carried_out), given=b"".join(lines).decode())
    assert done.returncode == 1
    assert "remove-duplicates has changed id, of the primary key of public.provider_marketshare" in done.stderr
    assert list(tmp_path.glob("incidents/*undo*")) == []


def test_no_undo_is_made_of_other_rows_or_of_what_was_not_committed(carried_out, tmp_path):
    rows = saved_rows(carried_out)
    for given in ("", rows[: len(rows) // 2], rows.replace("it's", "its"), saved_rows(carried_out, "2026-11-22-other")):
        assert incidents(tmp_path, "undo", str(carried_out), given=given).returncode == 1
    text = (carried_out / "after.yml").read_text()
    (carried_out / "after.yml").write_text(text.replace('"committed"', '"rolled back"'))
    assert "nothing to undo" in incidents(tmp_path, "undo", str(carried_out), given=rows).stderr
    assert list(tmp_path.glob("incidents/*undo*")) == []


def test_an_incident_with_its_after_is_not_overdue(carried_out, tmp_path):
    done = incidents(tmp_path, "list", "--check")
    assert done.returncode == 0
    assert "carried out: committed; fill in why_different, learned, follow_ups" in done.stdout
