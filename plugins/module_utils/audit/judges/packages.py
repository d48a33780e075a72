# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's version, and files of packages that are not as they came."""

from __future__ import annotations

import typing as t

from ..model import Expected, Finding, Kind, Rule, Source

RULES = (
    Rule(
        "version-old", "high", "devops", "a newer minor version of PostgreSQL is there",
        "apt-get install --only-upgrade PACKAGE, in a quiet hour: the server restarts",
    ),
    Rule(
        "package-file-changed", "critical", "devops", "a program or library of a package is not as it came",
        "apt-get install --reinstall PACKAGE (dpkg --search FILE names it); find out who has changed it",
    ),
    Rule(
        "package-unverified", "high", "devops", "the checksums of a package's files are gone: they may be anything",
        "apt-get install --reinstall PACKAGE; find out who has removed them",
    ),
    Rule(
        "package-configuration-changed", "medium", "devops", "a package's settings were changed, by no role",
        "see what differs; put it into the inventory, or bring the package's own back",
    ),
)  # fmt: skip
# What no role owns alone: people read them, programs don't run them.
_PAPERS = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/info/", "/usr/share/locale/", "/usr/share/lintian/")


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``owned``, paths of packages' files that roles write; ``unverified`` packages that come so."""
    for one in source.data["versions"]:
        if one["installed"] and one["candidate"] and one["installed"] != one["candidate"]:
            evidence = f"{one['name']} is {one['installed']}, and apt has {one['candidate']}"
            yield Finding("version-old", source.host, f"package {one['name']}", evidence)
    for one in source.data["changed"]:
        path = one["path"]
        if path in expected.of(source.host).get("owned", []) or (one["missing"] and path.startswith(_PAPERS)):
            continue
        rule = "package-configuration-changed" if one["configuration"] else "package-file-changed"
        evidence = f"{path} {'is missing' if one['missing'] else 'was changed'}"
        yield Finding(rule, source.host, f"file {path}", evidence, value=f"{evidence}\0{one['digest']}")
    for name in source.data["unverified"]:
        if name not in expected.of(source.host).get("unverified", []):
            evidence = f"{name} has no checksums of its files"
            yield Finding("package-unverified", source.host, f"package {name}", evidence)


KIND = Kind("packages", "Packages", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
