"""Changes of the tables: a new one has its grants at once; a migration is kept only if it leads to schema.sql."""

from __future__ import annotations

import functools
import subprocess
import typing as t

import pytest


@pytest.fixture
def migrate(attempt: t.Callable[..., t.Any]) -> t.Callable[..., subprocess.CompletedProcess[str]]:
    """Run migrate.yml on the hosts of this scenario."""
    return functools.partial(attempt, "playbooks/migrate.yml")


def test_a_migration_that_is_already_there_changes_nothing(tmp_path, migrate):
    file = tmp_path / "nothing.sql"
    file.write_text("ALTER TABLE public.provider_marketshare ADD COLUMN planted text;\n")
    done = migrate("-e", f"migration={file}")
    assert done.returncode == 0, done.stdout
    assert "changed=0" in done.stdout.split("PLAY RECAP")[1]


def test_a_migration_that_leads_elsewhere_is_rolled_back_and_named(tmp_path, dba, postgres, migrate):
    # The live tables are made to differ, so that the migration is run; it does not lead back to schema.sql.
    made = dba.commit("SET ROLE taaraxtak_owner; ALTER TABLE public.provider_marketshare ADD COLUMN planted text")
    assert made.rc == 0, made.stderr
    try:
        file = tmp_path / "elsewhere.sql"
        file.write_text("ALTER TABLE public.provider_marketshare ADD COLUMN planted_too text;\n")
        done = migrate("-e", f"migration={file}")
        columns = postgres.commit(
            "SELECT count(*) FROM pg_attribute "
            "WHERE attrelid = 'public.provider_marketshare'::regclass AND attname ~ '^planted'"
        )
        assert columns.stdout.strip() == "1"
        file.write_text("ALTER TABLE public.provider_marketshare DROP COLUMN planted;\n")
        back = migrate("-e", f"migration={file}")
        assert back.returncode == 0, back.stdout
    finally:
        dba.commit("SET ROLE taaraxtak_owner; ALTER TABLE public.provider_marketshare DROP COLUMN IF EXISTS planted")
    assert done.returncode != 0
    assert "planted_too" in done.stdout + done.stderr


def test_it_asks_for_the_file(migrate):
    done = migrate()
    assert done.returncode != 0
    assert "Which change? Name the SQL file" in done.stdout + done.stderr


def test_a_table_made_later_has_its_grants_at_once(dba, grafanareader, scraper):
    table = "public.made_later (id int GENERATED ALWAYS AS IDENTITY, x int)"
    made = dba.commit(f"SET ROLE taaraxtak_owner; CREATE TABLE {table}")
    assert made.rc == 0, made.stderr
    try:
        assert scraper.allowed("INSERT INTO public.made_later (x) VALUES (1)")
        assert grafanareader.allowed("SELECT count(*) FROM public.made_later")
        assert scraper.refused("DELETE FROM public.made_later")
        assert grafanareader.refused("SET transaction_read_only = off; INSERT INTO public.made_later (x) VALUES (1)")
    finally:
        dropped = dba.commit("SET ROLE taaraxtak_owner; DROP TABLE public.made_later")
        assert dropped.rc == 0, dropped.stderr
