# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who can read the secrets, and write where only one may."""

from __future__ import annotations

import typing as t

from ..model import Expected, Finding, Kind, Rule, Source

RULES = (
    Rule("secret-open", "critical", "devops", "a file is not its owner's as it was set up", "run playbooks/site.yml"),
    Rule("secret-missing", "medium", "looked", "a file that a role has made is not there", "run playbooks/site.yml"),
    Rule("secret-acl", "critical", "devops", "a file's access list lets in more than its mode says", "setfacl -b FILE"),
)  # fmt: skip


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``files``, with ``path``, ``owner``, ``group``, ``mode`` and perhaps ``kind`` (file)."""
    found = {one["path"]: one for one in source.data["files"]}
    for wanted in expected.of(source.host).get("files", []):
        path = wanted["path"]
        one, about = found[path], f"file {path}"
        if one["kind"] == "nothing":
            yield Finding("secret-missing", source.host, about, f"{path} is not there")
            continue
        kind = wanted.get("kind", "file")
        has = (one["kind"], one["owner"], one["group"], one["mode"])
        if has != (kind, wanted["owner"], wanted["group"], wanted["mode"].zfill(4)):
            meant = f"{kind} of {wanted['owner']}:{wanted['group']} with {wanted['mode']}"
            evidence = f"{path} is a {has[0]} of {has[1]}:{has[2]} with {has[3]}, and should be a {meant}"
            yield Finding("secret-open", source.host, about, evidence)
        folder = one["folder"]
        if folder["owner"] not in ("root", wanted["owner"]) or int(folder["mode"], 8) & 0o022:
            evidence = f"{path} lies in {folder['path']}, {folder['owner']}'s with mode {folder['mode']}"
            yield Finding("secret-open", source.host, about, evidence, what="folder")
        if one["acl"]:
            yield Finding("secret-acl", source.host, about, f"{path} has an access list", value=one["acl"])


KIND = Kind("secrets", "Secrets", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
