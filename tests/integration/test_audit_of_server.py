"""From a real server to the report: what pg_access_info answers is judged, drawn and linked, hole by hole."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.grid import grids
from ansible_collections.taaraxtak.production.tests.integration.conftest import run_module
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import (
    Host,
    host,
)
from ansible_collections.taaraxtak.production.tests.integration.test_audit_report import with_access

__all__ = ["host"]

GATHER = ["matrix", "effective", "findings", "probes"]
# Roles that are there for longer than a test would be in the way of others': one server for this file.
STRANGER = '"<script>alert(1)</script>"'


def audited(host: Host, folder: t.Any) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """What pg_access_info says, and the report of it."""
    said = host.info(gather=GATHER, all_roles=True)
    assert not said.failed, said.msg
    answer = {key: said.values[key] for key in (*GATHER, "assertions", "unread") if key in said.values}
    done = run_module("audit_report", with_access(folder, answer))
    assert not done.failed, done.msg
    return answer, json.loads((folder / "audit.json").read_text(encoding="utf-8"))


def red(report: dict[str, t.Any]) -> set[tuple[str, str, str]]:
    """(object, role, privilege) of everything in the matrices that is too much."""
    return {
        (name, way["role"], word)
        for matrix in report["access"]
        for row in matrix["rows"]
        for way in (matrix["ways"][number] for number in row["ways"])
        for word in way["excess"]
        for name in row["objects"]
    }


def test_under_the_policy_nothing_is_red_and_the_status_is_0(host, tmp_path):
    _answer, report = audited(host, tmp_path)
    assert report["findings"] == []
    assert report["status"] == 0
    assert red(report) == set()
    assert {"dba", "dumper", "grafanareader", "scraper"} <= set(report["access"][0]["roles"])


@pytest.mark.parametrize(
    ("plant", "seen"),
    [
        (
            "GRANT INSERT ON provider_marketshare TO PUBLIC",
            {("public.provider_marketshare", role, "INSERT") for role in ("dba", "dumper", "grafanareader")},
        ),
        (
            "GRANT DELETE ON provider_marketshare TO grafanareader",
            {("public.provider_marketshare", "grafanareader", "DELETE")},
        ),
        (
            "GRANT UPDATE (name) ON provider_marketshare TO grafanareader",
            {("public.provider_marketshare", "grafanareader", "UPDATE (columns)")},
        ),
        ("GRANT pg_write_all_data TO grafanareader", {("public.ip_hostname_mapping", "grafanareader", "INSERT")}),
        ("GRANT taaraxtak_owner TO grafanareader", {("public.provider_marketshare", "grafanareader", "OWNER")}),
        ("ALTER TABLE provider_marketshare OWNER TO scraper", {("public.provider_marketshare", "scraper", "OWNER")}),
        ("ALTER ROLE grafanareader SUPERUSER", {("public.provider_marketshare", "grafanareader", "OWNER")}),
        (
            f"CREATE ROLE {STRANGER} LOGIN; GRANT CONNECT ON DATABASE taaraxtak TO {STRANGER};"
            f"GRANT USAGE ON SCHEMA public TO {STRANGER}; GRANT SELECT ON provider_marketshare TO {STRANGER}",
            {("public.provider_marketshare", STRANGER.strip('"'), "SELECT")},
        ),
    ],
)
def test_a_hole_is_red_where_it_is_and_leads_to_its_finding(host, tmp_path, plant, seen):
    host.sql(plant)
    try:
        answer, report = audited(host, tmp_path)
    finally:
        host.apply()
        host.sql(f"DROP OWNED BY {STRANGER}; DROP ROLE {STRANGER}" if STRANGER in plant else "SELECT")
    assert report["status"] == 2
    assert seen <= red(report)
    # What the probes found comes on top of what the catalogue says.
    assert len([one for one in report["findings"] if not one["rule"].startswith("probe-")]) == len(answer["findings"])
    known = {one["id"] for one in report["findings"]}
    named = {id_ for one in report["access"] for way in one["ways"] for ids in way["excess"].values() for id_ in ids}
    assert named
    assert named <= known
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert all(one["id"] in page for one in report["findings"])


def test_who_holds_a_lock_keeps_nobody_from_seeing_that_probes_were_not_run(host, tmp_path):
    holder = host.server.connect(database="taaraxtak")
    holder.autocommit = False
    try:
        with holder.cursor() as cursor:
            cursor.execute("LOCK provider_marketshare IN ACCESS EXCLUSIVE MODE")
        _answer, report = audited(host, tmp_path)
    finally:
        holder.close()
    assert report["status"] == 2
    found = [one for one in report["findings"] if one["rule"] == "probe-not-run"]
    assert ("scraper", "55P03") in {(one["who"], one["what"]) for one in found}


def test_what_the_policy_grants_stays_as_it_is_beside_a_hole(host, tmp_path):
    host.sql("GRANT INSERT ON provider_marketshare TO PUBLIC")
    try:
        _answer, report = audited(host, tmp_path)
    finally:
        host.apply()
    ways = [way for way in report["access"][0]["ways"] if way["role"] == "scraper" and way["path"] == ["scraper"]]
    assert ways
    assert [way for way in ways if way["excess"]] == []


def test_the_matrix_that_is_made_on_the_host_is_the_one_that_is_made_here(host):
    """Much smaller than what it is made of, and the same to the last finding."""
    host.sql("GRANT INSERT ON provider_marketshare TO PUBLIC")
    try:
        there = host.info(gather=["matrix", "grid", "findings"], all_roles=True)
        here = host.info(gather=["effective", "findings"], all_roles=True)
    finally:
        host.sql("REVOKE INSERT ON provider_marketshare FROM PUBLIC")
    assert "effective" not in there.values
    assert there.values["grid"] == grids(here.values)
    assert any(way["excess"] for matrix in there.values["grid"] for way in matrix["ways"])
