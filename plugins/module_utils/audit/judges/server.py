# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``pg_server_info`` says: the files that say who logs in, settings and the version that runs."""

from __future__ import annotations

import typing as t

from ..model import Expected, Finding, Kind, Rule, Source

_SITE = "run playbooks/site.yml"
RULES = (
    Rule(
        "login-file", "high", "devops", "pg_hba.conf or pg_ident.conf is not the policy's, or was not loaded", _SITE,
    ),
    Rule(
        "login-uncompared", "medium", "devops", "nobody compares the files that say who logs in with the policy",
        "have the policy write them: mode authoritative (docs/policy.md)",
    ),
    Rule("server-setting", "medium", "devops", "a setting of the server is not as the inventory has it", _SITE),
    Rule(
        "server-listens", "high", "devops", "the server listens on other addresses than the inventory has", _SITE,
    ),
    Rule(
        "server-restart", "medium", "devops", "something waits for a restart of the server",
        "restart it: database_restart_allowed lets playbooks/site.yml do that for a setting",
    ),
)  # fmt: skip


def judge(source: Source, _expected: Expected) -> t.Iterator[Finding]:
    """The differences that the module has found, and what it had nothing to compare with."""
    host, files = source.host, source.data["login_files"]
    # Who accepts that they are others has seen these.
    contents = "\0".join(f"{path} {digest}" for path, digest in sorted(files["contents"].items()))
    if not files["compared"]:
        evidence = (
            "the policy's mode leaves pg_hba.conf and pg_ident.conf to somebody else: who may log in was not judged"
        )
        yield Finding("login-uncompared", host, "file pg_hba.conf", evidence, value=contents)
    for path in files["different"]:
        evidence = f"{path} is not what the access policy says"
        yield Finding("login-file", host, f"file {path}", evidence, key="content", value=contents)
    for path in files["not_loaded"]:
        yield Finding("login-file", host, f"file {path}", f"{path} was not loaded since it was changed", key="loaded")
    if files["broken"]:
        yield Finding(
            "login-file", host, "file pg_hba.conf", f"the server can't read it: {files['broken']}", key="lines"
        )
    for one in source.data["settings"]:
        rule = "server-listens" if one["name"].lower() == "listen_addresses" else "server-setting"
        evidence = f"{one['name']} is {one['live'] or 'empty'}, and should be {one['wanted'] or 'empty'}"
        yield Finding(rule, host, f"setting {one['name']}", evidence, what=one["name"])
    for name in source.data["pending_restart"]:
        evidence = f"{name} waits for a restart of the server"
        yield Finding("server-restart", host, f"setting {name}", evidence, value=source.data["waiting"][name])
    if source.data["installed"] != source.data["version"]:
        evidence = f"PostgreSQL {source.data['version']} runs, and {source.data['installed']} is installed"
        yield Finding("server-restart", host, "server", evidence)


KIND = Kind("server", "The database server", ("database_hosts",), judge, RULES)
