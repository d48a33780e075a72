"""Policies for tests: small and whole ones, and tables of what is wrong, by whether a JSON schema can see it."""

from __future__ import annotations

import copy
import datetime as dt
import typing as t

GOOD: dict[str, t.Any] = {
    "version": 1,
    "scope": {"databases": ["app"], "schemas": ["public", "app_*"]},
    "mode": "authoritative",
    "roles": {"owner": {}, "reader": {"os_users": ["grafana"]}},
    "owners": {"public": "owner"},
    "grants": [{"to": "reader", "on": {"tables": "public.*"}, "privileges": ["select"], "future": True}],
    "assertions": [{"id": "a", "tables": "public.*", "writers": []}],
}
# Every key that there is.
WHOLE: dict[str, t.Any] = {
    "version": 1,
    "scope": {"databases": ["app", "Other.db"], "schemas": ["public", "app_*", 'We "ird'], "public": False},
    "mode": "adopt",
    "unlisted_roles": "disable",
    "ignore": {"roles": ["rds*", "monitor"], "schemas": ["app_tmp*"]},
    "roles": {
        "owner": None,
        '"public"': {"login": True, "password": "none"},
        "grp": {"member_of": "rdsadmin"},
        "scraper": {
            "hosts": ["192.0.2.0/24", {"address": "2001:db8::/32", "method": "scram-sha-256"}],
            "password": "keep",
            "inherit": False,
            "connection_limit": 5,
            "superuser": False,
            "createdb": True,
            "createrole": True,
            "replication": True,
            "bypassrls": True,
            "settings": {"work_mem": 4096, "search_path": ["a", "b c"], "jit": False, "random_page_cost": 1.1},
            "database_settings": {"app": {"statement_timeout": "30s"}, "elsewhere": {}},
            "member_of": ["owner", {"role": "pg_monitor", "inherit": True, "set": False, "admin": True}],
        },
        "reader": {"os_users": "grafana", "hosts": {"address": "0.0.0.0/0", "method": "cert"}},
    },
    "owners": {"public": "owner", "app_*": "pg_database_owner"},
    "database_owners": {"app": "owner", "Other.db": "postgres"},
    "database_settings": {"*": {"log_statement": "ddl"}, "app": {"search_path": "public"}},
    "public": {"revoke_connect": "all", "revoke_execute": ["pg_catalog.lo_*", "pg_catalog.pg_sleep(double precision)"]},
    "grants": [
        {"to": ["public", "reader"], "on": {"database": ["a*", "Other.db"]}, "privileges": ["CONNECT", "temp"]},
        {"to": "reader", "on": {"schema": ["app_x*", 'We "ird']}, "privileges": "usage", "databases": ["app"]},
        {
            "to": "reader",
            "on": {"tables": ["app_*.*", "public.*"], "except": {"schema": "public", "name": "a.b"}},
            "privileges": ["select", "maintain"],
            "future": True,
            "grant_option": True,
        },
        {
            "to": "reader",
            "on": {"tables": "public.t", "columns": ["id", "a.b"]},
            "privileges": ["select", "insert", "update", "references"],
        },
        {"to": "reader", "on": {"tables": "pg_catalog.pg_statistic"}, "privileges": "select"},
        {"to": "scraper", "on": {"sequences": "public.*"}, "privileges": ["usage"], "future": True},
        {
            "to": "scraper",
            "on": {
                "routines": [
                    "public.f(integer, s.t)",
                    {"schema": "public", "name": "f", "arguments": ""},
                    "information_schema._pg_x",
                ]
            },
            "privileges": "execute",
        },
        {"to": "scraper", "on": {"types": "public.*"}, "privileges": "usage", "future": True},
        {"to": "owner", "on": {"languages": "plp*"}, "privileges": "usage"},
        {"to": "owner", "on": {"foreign_data_wrappers": "*"}, "privileges": "usage"},
        {"to": "owner", "on": {"foreign_servers": "far"}, "privileges": "usage"},
        {"to": "owner", "on": {"large_objects": [16401, "16402"]}, "privileges": ["select", "update"]},
        {"to": "owner", "on": {"large_objects": "*"}, "privileges": "select"},
        {"to": "owner", "on": {"parameters": ["Work_Mem", "my.*"]}, "privileges": ["set", "alter system"]},
        {"to": "owner", "on": {"tablespaces": "fast"}, "privileges": "create"},
    ],
    "default_privileges": [
        {"creator": "postgres", "on": "tables", "to": "reader", "privileges": "select"},
        {
            "creator": "owner",
            "schema": "public",
            "on": "routines",
            "to": ["public", "reader"],
            "privileges": ["execute"],
            "databases": "app",
        },
        {"creator": "owner", "on": "schema", "to": "reader", "privileges": "usage", "grant_option": True},
    ],
    "assertions": [
        {"id": "a", "tables": "public.*", "writers": ["scraper"], "readers": "reader", "deleters": []},
        {
            "id": "b",
            "role": "reader",
            "may_not": ["write", "temp"],
            "allow": [{"role": "dba", "reason": "because", "expires": "2027-01-31"}],
        },
        {
            "id": "c",
            "tables": ["*.*"],
            "writers": [],
            "allow": [{"role": "x", "reason": "y", "expires": dt.date(2027, 1, 31)}],
        },
    ],
}


def changed(path: str, value: object, data: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
    """GOOD, or *data*, with *value* at the dotted *path*; ``...`` takes the key out."""
    data = copy.deepcopy(GOOD if data is None else data)
    at: t.Any = data
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in parents:
        at = at.setdefault(key, {}) if isinstance(at, dict) else at[key]
    if value is ...:
        del at[last]
    elif isinstance(at, list):
        at[last : last + 1] = [value]
    else:
        at[last] = value
    return data


def grant(**keys: object) -> dict[str, object]:
    return {"to": "reader", "on": {"tables": "public.t"}, "privileges": ["select"], **keys}


def on(kind: str, value: object, privilege: str, **keys: object) -> dict[str, object]:
    return {"to": "reader", "on": {kind: value}, "privileges": [privilege], **keys}


def default(**keys: object) -> list[object]:
    return [{"creator": "owner", "on": "tables", "to": "reader", "privileges": ["select"], **keys}]


def allowed(**keys: object) -> list[object]:
    return [{"role": "dba", "reason": "r", **keys}]


Case = tuple[str, object, str]

# Structure, types, choices: what a schema can see. (path, value, what the reader says)
MISSHAPEN: list[Case] = [
    ("version", 2, "version: write 1"),
    ("version", True, "version: write 1"),
    ("version", ..., "the key version is missing"),
    ("scope", ..., "the key scope is missing"),
    ("scope", [], "scope: write a mapping with the keys databases, schemas, public"),
    ("scope.databases", [], "scope.databases: the list is empty"),
    ("scope.databases", 7, "scope.databases: write a name as text, not 7"),
    ("scope.databases", "app_*", "scope.databases: app_* is a pattern, and none can stand here"),
    ("scope.schemas", ..., "scope: the key schemas is missing"),
    ("scope.schemas", ["pg_catalog"], "pg_catalog is PostgreSQL's own"),
    ("scope.schemas", ["pg_toast*"], "pg_toast* is PostgreSQL's own"),
    ("scope.schemas", "information_schema", "information_schema is PostgreSQL's own"),
    ("scope.public", "yes", "scope.public: write true or false, not 'yes'"),
    ("mode", "adapt", "mode: write authoritative or adopt or additive, not 'adapt'"),
    ("mode", ..., "the key mode is missing"),
    ("unlisted_roles", "drop", "unlisted_roles: write leave or disable, not 'drop'"),
    ("ignore", ["x"], "ignore: write a mapping with the keys roles, schemas"),
    ("ignore", {"role": "x"}, "ignore: the key role is unknown: did you mean roles?"),
    ("ignore", {"roles": 1}, "ignore.roles: write a name as text, not 1"),
    ("ignore", {"schemas": [""]}, "ignore.schemas[0]: the name is empty"),
    ("roles", ..., "the key roles is missing"),
    ("roles", {}, "roles: no role is defined, and an empty policy is refused"),
    ("roles", [], "roles: write a mapping"),
    ("role", {}, "the key role is unknown: did you mean roles?"),
    ("role_owners", {}, "the key role_owners is unknown: did you mean"),
    ("zzz", {}, "the key zzz is unknown: write one of version, scope"),
    ("roles.public", {}, "roles.public: PostgreSQL reserves this name"),
    ("roles.none", {}, "roles.none: PostgreSQL reserves this name"),
    ("roles.pg_mine", {}, "roles.pg_mine: PostgreSQL reserves this name"),
    ("roles." + "x" * 64, {}, "is longer than 63 bytes"),
    ("roles.a\nb", {}, "the name has a control character"),
    ("roles.owner", "x", "roles.owner: write a mapping with the keys login"),
    ("roles.owner.logn", True, "roles.owner: the key logn is unknown: did you mean login?"),
    ("roles.reader.os_users", "a b", "'a b' is no OS user's name"),
    ("roles.reader.os_users", "/x", "'/x' is no OS user's name"),
    ("roles.owner.connection_limit", "5", "roles.owner.connection_limit: write a number"),
    ("roles.owner.connection_limit", True, "roles.owner.connection_limit: write a number"),
    ("roles.owner.connection_limit", -2, "roles.owner.connection_limit: write a number"),
    ("roles.owner.connection_limit", 2**31, "roles.owner.connection_limit: write a number from 0 to 2147483647"),
    ("roles.owner.superuser", 1, "roles.owner.superuser: write true or false, not 1"),
    ("roles.owner.login", "yes", "roles.owner.login: write true or false, not 'yes'"),
    ("roles.owner.inherit", None, "roles.owner.inherit: write true or false, not nothing"),
    ("roles.owner.password", "s3cret", "roles.owner.password: write none or keep: a password itself never stands"),
    ("roles.owner.password", None, "roles.owner.password: write none or keep"),
    ("roles.owner.settings", {"work mem": "1"}, "roles.owner.settings.work mem: this is no setting's name"),
    ("roles.owner.settings", {"work_mem": {}}, "roles.owner.settings.work_mem: write the value as text"),
    ("roles.owner.settings", {"work_mem": ["1"]}, "roles.owner.settings.work_mem: write the value as text"),
    ("roles.owner.settings", {"search_path": [1]}, "roles.owner.settings.search_path: write the value as text"),
    ("roles.owner.settings", [], "roles.owner.settings: write a mapping"),
    ("roles.owner.database_settings", {"app": "x"}, "roles.owner.database_settings.app: write a mapping"),
    ("roles.owner.database_settings", {"a*": {}}, "roles.owner.database_settings: a* is a pattern"),
    ("roles.owner.member_of", 1, "roles.owner.member_of: write a name as text, not 1"),
    ("roles.owner.member_of", "public", "roles.owner.member_of: everybody has no members"),
    ("roles.owner.member_of", [{"inherit": True}], "roles.owner.member_of[0]: the key role is missing"),
    ("roles.owner.member_of", {"role": "pg_monitor", "sett": True}, "the key sett is unknown: did you mean set?"),
    ("roles.owner.member_of", [{"role": "reader", "admin": 1}], "member_of[0].admin: write true or false, not 1"),
    ("roles.owner.hosts", "db.example.org", "roles.owner.hosts: write addresses as 192.0.2.0/24"),
    ("roles.owner.hosts", [10], "roles.owner.hosts[0]: write addresses as 192.0.2.0/24 or 2001:db8::/64, not 10"),
    ("roles.owner.hosts", ["192.0.2.1"], "roles.owner.hosts[0]: write 192.0.2.1/32, not '192.0.2.1'"),
    ("roles.owner.hosts", "10.0.0.0/255.0.0.0", "roles.owner.hosts: write 10.0.0.0/8, not"),
    ("roles.owner.hosts", "all", "roles.owner.hosts: write addresses as"),
    ("roles.owner.hosts", "fe80::%eth0/64", "roles.owner.hosts: write addresses as"),
    ("roles.owner.hosts", {"method": "cert"}, "roles.owner.hosts: the key address is missing"),
    ("roles.owner.hosts", {"address": "::/0", "method": "md5"}, "hosts.method: write cert or scram-sha-256, not 'md5'"),
    ("roles.owner.hosts", {"address": "::/0", "metod": "cert"}, "the key metod is unknown: did you mean method?"),
    ("owners", [], "owners: write a mapping"),
    ("owners", {"public": 1}, "owners.public: write a name as text, not 1"),
    ("database_owners", {"app": None}, "database_owners.app: write a name as text, not nothing"),
    ("database_settings", {"app": []}, "database_settings.app: write a mapping"),
    ("public", {"revoke_connect": True}, "public.revoke_connect: write all"),
    ("public", {"revoke": "all"}, "public: the key revoke is unknown: did you mean revoke_"),
    ("public", {"revoke_execute": ["lo_*"]}, "write 'lo_*' as schema.name"),
    ("public", {"revoke_execute": []}, "public.revoke_execute: the list is empty"),
    ("grants", {}, "grants: write a list"),
    ("grants.0", "select", "grants[0]: write a mapping with the keys to, on, privileges, future, grant_option"),
    ("grants.0", grant(to=[]), "grants[0].to: the list is empty"),
    ("grants.0", on("schema", "pg_catalog", "usage"), "pg_catalog is PostgreSQL's own and never in scope"),
    ("grants.0", grant(to=None), "grants[0].to: write a name as text, not nothing"),
    ("grants.0", grant(with_grant_option=True), "the key with_grant_option is unknown: did you mean grant_option?"),
    ("grants.0", grant(future="yes"), "grants[0].future: write true or false"),
    ("grants.0", grant(databases=[]), "grants[0].databases: the list is empty"),
    ("grants.0", grant(on={}), "grants[0].on: write exactly one of database, schema, tables, sequences"),
    ("grants.0", grant(on={"tables": "public.a", "schema": "public"}), "grants[0].on: write exactly one of"),
    ("grants.0", grant(on={"table": "public.a"}), "the key table is unknown: did you mean tables?"),
    ("grants.0", grant(on={"tables": "t"}), "write 't' as schema.name, with * for any characters"),
    ("grants.0", grant(on={"tables": 'public."T"'}), "a name with dots or quotes as {schema: ..., name: ...}"),
    ("grants.0", grant(on={"tables": "a.b.c"}), "a name with dots or quotes as {schema: ..., name: ...}"),
    ("grants.0", grant(on={"tables": "public."}), "grants[0].on.tables: the name is empty"),
    ("grants.0", grant(on={"tables": [{"schema": "public"}]}), "grants[0].on.tables[0]: the key name is missing"),
    (
        "grants.0",
        grant(on={"tables": {"schema": "public", "name": "f", "arguments": ""}}),
        "grants[0].on.tables: the key arguments is unknown",
    ),
    (
        "grants.0",
        on("routines", {"schema": "public", "name": "f", "arguments": ["integer"]}, "execute"),
        'grants[0].on.routines.arguments: write them as text, as in "integer, text"',
    ),
    ("grants.0", on("routines", "public.f(integer", "execute"), "as schema.name(arguments)"),
    ("grants.0", grant(privileges="all"), "all says too little: list them; there are select, insert"),
    ("grants.0", grant(privileges=["usage"]), "grants[0].privileges[0]: 'usage' is no privilege on tables"),
    ("grants.0", grant(privileges=["Select"]), "'Select' is no privilege on tables; there are select"),
    ("grants.0", grant(privileges=[]), "grants[0].privileges: the list is empty"),
    ("grants.0", grant(privileges=[1]), "1 is no privilege on tables"),
    ("grants.0", on("parameters", "work_mem", "create"), "no privilege on parameters; there are set, alter system"),
    ("grants.0", on("parameters", "work mem", "set"), "'work mem': this is no setting's name"),
    ("grants.0", on("large_objects", 0, "select"), """write a large object's number, or "*" for all, not 0"""),
    ("grants.0", on("large_objects", ["lo"], "select"), "grants[0].on.large_objects[0]: write a large object's number"),
    ("grants.0", on("large_objects", 2**32, "select"), "write a large object's number"),
    ("grants.0", on("large_objects", True, "select"), "write a large object's number"),
    ("grants.0", on("schema", "public", "usage", future=True), "except and future are for tables, sequences, routines"),
    (
        "grants.0",
        grant(on={"schema": "public", "except": "public.a"}, privileges="usage"),
        "except and future are for tables, sequences, routines, types: leave them out",
    ),
    (
        "grants.0",
        grant(on={"sequences": "public.s", "columns": "a"}, privileges="usage"),
        "grants[0].on.columns: only tables have columns",
    ),
    ("grants.0", grant(on={"tables": "public.t", "columns": []}), "grants[0].on.columns: the list is empty"),
    (
        "grants.0",
        grant(on={"tables": "public.t", "columns": "a"}, privileges=["delete"]),
        "grants[0].privileges: delete is no privilege on columns; there are select, insert, update, references",
    ),
    (
        "grants.0",
        grant(on={"tables": "public.*", "columns": "a"}, future=True),
        "grants[0].future: default privileges have no columns",
    ),
    ("grants.0", grant(to="public", grant_option=True), "grants[0].to: PostgreSQL gives everybody no grant option"),
    ("grants.0", on("database", "app", "connect", databases="app"), "grants[0].databases: database belongs to no"),
    ("grants.0", on("parameters", "work_mem", "set", databases="app"), "parameters belongs to no single database"),
    ("default_privileges", {}, "default_privileges: write a list"),
    ("default_privileges", default(creater="x"), "the key creater is unknown: did you mean creator?"),
    ("default_privileges", [{}], "default_privileges[0]: the key creator is missing"),
    ("default_privileges", default(on="views"), "default_privileges[0].on: write tables or sequences or routines"),
    ("default_privileges", default(privileges="usage"), "'usage' is no privilege on tables"),
    (
        "default_privileges",
        default(schema="pg_catalog"),
        "default_privileges[0].schema: pg_catalog is PostgreSQL's own",
    ),
    (
        "default_privileges",
        default(on="schema", privileges="usage", schema="public"),
        "default_privileges[0].schema: schema lie in no schema: leave the key out",
    ),
    ("default_privileges", default(to="public", grant_option=True), "gives everybody no grant option"),
    ("default_privileges", default(creator="public"), "default_privileges[0].creator: everybody is no role"),
    ("assertions", {}, "assertions: write a list"),
    ("assertions.0.id", ..., "assertions[0]: the key id is missing"),
    ("assertions.0.writer", "reader", "the key writer is unknown: did you mean writers?"),
    ("assertions.0.role", "reader", "write either tables"),
    ("assertions.0.tables", ..., "write either tables"),
    ("assertions.0.writers", ..., "tables go with writers, readers or deleters"),
    ("assertions.0.may_not", ["write"], "tables go with writers, readers or deleters, and without may_not"),
    ("assertions.0", {"id": "x", "role": "reader", "may_not": ["fly"]}, "write write or create or temp"),
    ("assertions.0", {"id": "x", "role": "reader", "may_not": []}, "assertions[0].may_not: the list is empty"),
    ("assertions.0", {"id": "x", "role": "reader"}, "role goes with may_not"),
    ("assertions.0", {"id": "x", "role": "reader", "may_not": "write", "writers": []}, "role goes with may_not"),
    ("assertions.0.allow", [{"role": "dba"}], "assertions[0].allow[0]: the key reason is missing"),
    ("assertions.0.allow", allowed(reason=" "), "assertions[0].allow[0].reason: write why, in words"),
    ("assertions.0.allow", allowed(reason=7), "assertions[0].allow[0].reason: write why, in words"),
    ("assertions.0.allow", allowed(until="2027-01-31"), "the key until is unknown"),
    ("assertions.0.allow", allowed(expires="soon"), "expires: write a day as 2027-01-31, not 'soon'"),
    ("assertions.0.allow", allowed(expires="20270131"), "expires: write a day as 2027-01-31"),
    ("assertions.0.allow", allowed(expires="2027-W04-7"), "expires: write a day as 2027-01-31"),
    ("assertions.0.allow", allowed(expires="2027-1-31"), "expires: write a day as 2027-01-31"),
    ("assertions.0.allow", allowed(expires="2027-02-29"), "expires: write a day as 2027-01-31"),
    ("assertions.0.allow", allowed(expires="2027-01-31\n"), "expires: write a day as 2027-01-31"),
    ("assertions.0.allow", allowed(expires=20270131), "expires: write a day as 2027-01-31"),
    ("assertions.0.allow", allowed(expires=None), "expires: write a day as 2027-01-31"),
]
# What one part says of another, and what is counted in bytes: for the reader alone.
CONTRADICTORY: list[Case] = [
    ("roles." + "é" * 32, {}, "is longer than 63 bytes"),
    ("ignore", {"schemas": ["app_*"]}, "scope.schemas: app_* is left to others by ignore.schemas"),
    ("ignore", {"schemas": "*"}, "scope.schemas: public is left to others by ignore.schemas"),
    ("ignore", {"roles": "reader"}, "roles.reader: reader is left to others by ignore.roles: leave one of both out"),
    ("roles.reader.login", False, "OS users can't log in as a role with login: false"),
    ("roles.owner", {"hosts": "::/0", "login": False}, "other hosts can't log in as a role with login: false"),
    ("roles.owner.os_users", ["grafana"], "grafana is already owner: one role for each OS user"),
    ("roles.owner.hosts", "10.0.0.1/8", "roles.owner.hosts: write 10.0.0.0/8, not '10.0.0.1/8'"),
    ("roles.owner.hosts", "10.0.0.0/33", "roles.owner.hosts: write addresses as"),
    ("roles.owner.hosts", ["::/0", {"address": "0::/0"}], "roles.owner.hosts[1]: ::/0 is there twice"),
    (
        "roles.owner",
        {"hosts": {"address": "::/0", "method": "scram-sha-256"}, "password": "none"},
        "roles.owner.hosts: scram-sha-256 needs a password, and this role has none: write password: keep",
    ),
    (
        "roles.reader.hosts",
        {"address": "::/0", "method": "scram-sha-256"},
        "roles.reader.hosts: scram-sha-256 needs a password",
    ),
    ("roles.owner.member_of", "raeder", "the role raeder is not defined: write it under roles (did you mean reader?)"),
    ("roles.owner.member_of", "owner", "the role is a member of itself"),
    ("roles.owner.member_of", ["reader", {"role": "reader"}], "roles.owner.member_of[1]: reader is there twice"),
    ("roles.owner.settings", {"Work_mem": 1, "work_mem": 2}, "this setting is there twice"),
    ("owners", {"public": "nobody"}, "owners.public: the role nobody is not defined"),
    ("owners", {"other": "owner"}, "owners.other: the schema other is not in scope.schemas"),
    ("owners", {"app*": "owner"}, "owners.app*: the schema app* is not in scope.schemas: write it there (did you"),
    ("owners", {}, "grants[0].future: who will make them? Write the owner of public under owners"),
    ("database_owners", {"other": "owner"}, "database_owners.other: other is not in scope.databases"),
    ("database_owners", {"app": "nobody"}, "database_owners.app: the role nobody is not defined"),
    ("database_settings", {"other": {}}, "database_settings.other: other is not in scope.databases"),
    ("public", {"revoke_execute": "pg_catalog.*"}, "pg_catalog.* would take every operator away"),
    ("public", {"revoke_execute": "*.*"}, "*.* would take every operator away"),
    ("grants.0", grant(to="nobody"), "grants[0].to: the role nobody is not defined"),
    ("grants.0", grant(to="postgres"), "grants[0].to: the role postgres is not defined"),
    ("grants.0", grant(databases="other"), "grants[0].databases: other is not in scope.databases"),
    ("grants.0", grant(databases="*"), "grants[0].databases: * is not in scope.databases"),
    ("grants.0", grant(on={"tables": "*.t"}), "the schema of *.t is not in scope.schemas"),
    ("grants.0", grant(on={"tables": "app*.t"}), "the schema of app*.t is not in scope.schemas"),
    ("grants.0", grant(on={"tables": "other.t"}), "the schema of other.t is not in scope.schemas"),
    ("grants.0", on("types", "pg_catalog.int4", "usage"), "pg_catalog is PostgreSQL's own and never in scope"),
    ("grants.0", grant(on={"tables": "pg_toast.x"}), "pg_toast is PostgreSQL's own and never in scope"),
    ("grants.0", on("routines", "pg_catalog.*", "execute"), "pg_catalog.* is far more than anybody needs"),
    (
        "grants.0",
        grant(on={"tables": "public.*", "except": "publc.t"}),
        "grants[0].on.except: the schema of publc.t is not in scope.schemas: write it there (did you mean public?)",
    ),
    ("grants.0", on("schema", "other", "usage"), "the schema other is not in scope.schemas"),
    ("grants.0", on("database", "other", "connect"), "other is not in scope.databases"),
    ("grants.0", on("database", ["app", "b*"], "connect"), "b* is not in scope.databases"),
    ("grants.0", grant(future=True), "public.t is not a whole schema: write public.*, or no future"),
    ("grants.0", on("routines", "public.*(integer)", "execute", future=True), "is not a whole schema"),
    ("grants.0", grant(on={"tables": "app_*.*"}, future=True), "Write the owner of app_* under owners"),
    ("default_privileges", default(creator="nobody"), "default_privileges[0].creator: the role nobody is not"),
    ("default_privileges", default(to="nobody"), "default_privileges[0].to: the role nobody is not defined"),
    ("default_privileges", default(schema="other"), "default_privileges[0].schema: the schema other is not in scope"),
    ("default_privileges", default(schema="app*"), "default_privileges[0].schema: the schema app* is not in scope"),
    ("default_privileges", default(databases="other"), "default_privileges[0].databases: other is not in scope"),
    ("assertions.0.writers", ["nobody"], "the role nobody is not defined"),
    ("assertions", GOOD["assertions"] * 2, "the id a is there twice"),
]
