"""An estate for the tests of the report: two hosts with what their modules answer, and names that want to be more."""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import typing as t

from ansible_collections.taaraxtak.production.plugins.module_utils.audit.declared import Absence, Deviation
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.frame import Host, Judged, judge
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.hosts import merged
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import Document, Source
from ansible_collections.taaraxtak.production.tests.unit.audit import hosts

NOW = dt.datetime(2026, 11, 23, 6, 30, tzinfo=dt.UTC)
HOSTS = (
    Host("production", ("collector_hosts", "dashboards_hosts", "database_hosts", "production_hosts"), "192.0.2.10"),
    Host("store", ("store_hosts",), "198.51.100.20"),
)
EXPECTED: dict[str, dict[str, t.Any]] = {
    "dumps": {"databases": ["taaraxtak"]},
    "provider": {"labels": ["production"]},
    "freshness": {"tables": [{"table": "public.w3techs", "column": "measured_at", "max_age": 3600}]},
}
EXPECTED |= merged({host.name: hosts.expected(host.groups) for host in HOSTS})
# 63 bytes, which is as long as a name can be; and names that are markup, a command of a terminal, a turn of direction.
LONG = "a_table_whose_name_has_as_many_bytes_as_postgresql_lets_it_have"
SCRIPT = "<script>alert(1)</script>"
ESCAPE = "\x1b[2J\x07"
TURNED = "user\u202etxt.exe"
HOSTILE = (SCRIPT, ESCAPE, TURNED, "\"' onmouseover=alert(1) x=", "]]>&amp;", "a\nb")

TABLES = ("categories", "ooni_web_connectivity_test", "provider_marketshare", "w3techs")


def effective(role: str, privileges: list[str], objects: t.Sequence[str], *path: str, kind: str = "table") -> Document:
    return {
        "role": role, "database": "taaraxtak", "path": [role, *path], "kind": kind, "privileges": privileges,
        "objects": list(objects), "usable": True,
    }  # fmt: skip


def row(role: str, **held: str) -> Document:
    words = dict.fromkeys(("read", "insert", "change", "delete", "truncate"), "none") | held
    rest = {"connect": True, "ddl": False, "temp": False, "tables": {}, "set_role": []}
    return {"role": role, "database": "taaraxtak", "via": "login", **words, **rest}


def finding(rule: str, role: str, about: str, privilege: str, **more: t.Any) -> Document:
    digest = hashlib.sha256(repr((role, about, privilege)).encode()).hexdigest()
    return {
        "id": f"{rule}-{digest[:10]}", "severity": "high", "rule": rule,
        "role": role, "database": "taaraxtak", "object": about, "privilege": privilege, "path": [role],
        "evidence": f"{role} may {privilege} on {about} in taaraxtak",
        "remedy": f'REVOKE {privilege} ON TABLE "public"."x" FROM "{role}" CASCADE', "exception": None, **more,
    }  # fmt: skip


def access() -> Document:
    """What pg_access_info answers under the policy: nothing is wrong."""
    tables = [f"public.{name}" for name in (*TABLES, LONG)]
    shared = [*tables, "public.ip_hostname_mapping"]
    return {
        "matrix": [
            row("dba"), row("dumper", read="all"), row("grafanareader", read="some"), row("scraper", insert="all"),
        ],
        "effective": [
            effective("dba", ["OWNER"], shared, "SET ROLE taaraxtak_owner", "owner"),
            effective("dumper", ["SELECT"], shared, "member of pg_read_all_data"),
            effective("grafanareader", ["SELECT"], tables),
            effective("scraper", ["INSERT"], shared),
            effective("scraper", ["SELECT"], ["public.ip_hostname_mapping", "public.provider_marketshare"]),
            *(
                effective(role, ["USAGE"], ["public"], kind="schema")
                for role in ("dba", "dumper", "grafanareader", "scraper")
            ),
            *(
                effective(role, ["CONNECT"], ["taaraxtak"], kind="database")
                for role in ("dba", "dumper", "grafanareader", "scraper")
            ),
            effective("scraper", ["USAGE"], ["public.measurement_id_seq"], kind="sequence"),
        ],
        "findings": [],
        "assertions": [{"id": "only-writer", "passed": True, "violations": [], "exceptions": [], "expired": []}],
        "probes": [
            {
                "id": f"probe-{role}", "role": role, "database": "taaraxtak", "what": "INSERT", "expected": "refused",
                "outcome": "passed", "sqlstate": "42501", "evidence": "permission denied", "stands_for": 1,
            }
            for role in ("dba", "dumper", "grafanareader", "scraper")
        ],
        "unread": [],
        "missing_roles": [],
    }  # fmt: skip


def broken(stranger: str = SCRIPT) -> Document:
    """The same after GRANT INSERT ON w3techs TO PUBLIC, and with a role that the policy doesn't name."""
    answer = access()
    table = "public.w3techs"
    for role in ("dba", "dumper", "grafanareader", "scraper"):
        answer["effective"].append(effective(role, ["INSERT"], [table], "PUBLIC"))
    answer["effective"].append(effective(stranger, ["SELECT", "DELETE"], [f"public.{LONG}"], "member of old_reports"))
    answer["findings"] = [
        finding(
            "excess-privilege", "public", f"table {table}", "INSERT", severity="critical",
            path=["PUBLIC", f"INSERT on table {table}"], evidence=f"PUBLIC may INSERT on table {table} in taaraxtak",
            remedy='REVOKE INSERT ON TABLE "public"."w3techs" FROM PUBLIC CASCADE',
        ),
        finding("excess-privilege", "old_reports", f"table public.{LONG}", "DELETE"),
        finding(
            "unlisted-role", stranger, f'role "{stranger}"', "LOGIN", database=None,
            evidence=f'the role "{stranger}" may log in and is not in the policy',
            remedy=f'ALTER ROLE "{stranger}" NOLOGIN',
        ),
        finding(
            "role-setting", "grafanareader", "role grafanareader", "statement_timeout", severity="medium",
            evidence="statement_timeout of grafanareader is 0, and the policy says 30s",
            remedy="ALTER ROLE \"grafanareader\" SET \"statement_timeout\" TO '30s'",
        ),
    ]  # fmt: skip
    return answer


def dump(number: int, **more: t.Any) -> Document:
    """The dump of a day, *number* days before NOW."""
    received = f"{NOW - dt.timedelta(days=number, hours=3):%Y-%m-%dT%H:%M:%SZ}"
    verified = more.get("verified", number % 7 == 2)
    return {
        "name": f"taaraxtak_{received[:10]}-{received[11:19].replace(':', '.')}.sql.zst", "database": "taaraxtak",
        "kind": "dump", "encrypted": False, "archived": True, "signed": True, "signer": "production",
        "verified": verified, "drill": {"ok": True, "problems": [], "finished": received} if verified else None,
        "adopted": False, "bytes": 48_000_000 - number * 410_000, "raw_bytes": 310_000_000, "sha256": "0" * 64,
        "rows": 2_912_345 - number * 23_456, "tables": {}, "started": received, "received": received,
        "age_s": number * 86_400, **more,
    }  # fmt: skip


def dumps(days: int = 30) -> Document:
    """What dump_info answers of a store with a dump a day."""
    listed = [dump(number) for number in reversed(range(days))]
    newest = {"database": "taaraxtak", "kind": "dump", "signer": "production", "archived": listed[-1]}
    verified = next((one for one in reversed(listed) if one["verified"]), None)
    return {"dumps": listed, "newest": [{**newest, "verified": verified}], "problems": [], "verdict": verdict()}


def verdict(*findings: Document) -> Document:
    """The store's own judgement."""
    return {"level": "critical" if findings else "ok", "at": "", "findings": list(findings), "groups": [], "space": {}}


def dashboards() -> Document:
    return {"added": [], "updated": [], "removed": [], "not_provisioned": [], "contents": {}, "equal": True}


def incidents() -> Document:
    return {
        "incidents": [
            {
                "name": "2026-11-20-duplicate-rows",
                "word": "closed",
                "why": "committed",
                "overdue": False,
                "unverified": False,
            }
        ]
    }


def server() -> Document:
    """What pg_server_info answers of a server that runs as it should."""
    return {
        "version": "17.6 (Debian 17.6-0+deb13u1)", "installed": "17.6 (Debian 17.6-0+deb13u1)",
        "login_files": {"compared": True, "different": [], "not_loaded": [], "broken": "", "contents": {}},
        "settings": [], "pending_restart": [], "waiting": {},
    }  # fmt: skip


def login(role: str = "grafanareader", **more: t.Any) -> Document:
    """One kind of login as pg_server_info has it."""
    return {
        "role": role, "database": "taaraxtak", "address": "[local]", "identity": "grafana", "method": "peer", **more,
    }  # fmt: skip


def sessions(*unexpected: Document) -> Document:
    """Its part about who was connected."""
    return {"connected": [login(), *unexpected], "unexpected": list(unexpected)}


def freshness(*more: Document, **state: t.Any) -> Document:
    """What freshness_info answers of a collector that writes."""
    said = {"state": "fresh", "sentence": "public.w3techs is fresh: 9 s old", "steady": "public.w3techs is fresh"}
    told = [{"table": "public.w3techs", "column": "measured_at", "max_age": 3600.0}]
    return {"outcomes": [{"about": "table public.w3techs", **said, **state}, *more], "tables": told}


def provider(**more: t.Any) -> Document:
    """What playbooks/linode.yml reports of an instance that is as it is asked for."""
    return {"version": 1, "hosts": [
        {"label": "production", "problems": [], "verified_at": f"{NOW:%Y-%m-%dT%H:%M:%SZ}", **more}
    ]}  # fmt: skip


def sources(**data: Document) -> list[Source]:
    """Every source, well; *data* by id stands in the place of one's own."""
    own = {
        "access": access(), "server": server(), "sessions": sessions(), "freshness": freshness(), "dumps": dumps(),
        "stores": {"stores": [{"name": "store", "kind": "dump_store"}]}, "provider": provider(),
        "dashboards": dashboards(), "incidents": incidents(), **data,
    }  # fmt: skip
    places = {"dumps": "store", "provider": "controller", "incidents": "controller"}
    listed = [(id_, places.get(id_, "production"), one) for id_, one in own.items()]
    for host in HOSTS:
        parts = hosts.parts(host.groups).items()
        listed += [(id_, host.name, one) for id_, one in parts if id_ not in data or host.name != "production"]
    return [Source(id_, host, "read", data=copy.deepcopy(one)) for id_, host, one in listed]


def judged(
    given: t.Iterable[Source] | None = None,
    *,
    absences: t.Sequence[Absence] = (),
    deviations: t.Sequence[Deviation] = (),
    now: dt.datetime = NOW,
    hosts: t.Sequence[Host] = HOSTS,
    expected: t.Mapping[str, t.Mapping[str, t.Any]] = EXPECTED,
) -> Judged:
    """The estate, judged."""
    found = sources() if given is None else given
    return judge(found, hosts, now=now, expected=expected, absences=absences, deviations=deviations)
