# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's packages: which version, which files of theirs are not as they came."""

from __future__ import annotations

import typing as t

from .parsing.packages import changed, owners, policies
from .running import run

_QUERY = "/usr/bin/dpkg-query"
_NO_CACHE = ("-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=")


def look(patterns: t.Sequence[str]) -> dict[str, t.Any]:
    """``versions`` of the packages that match *patterns*; ``changed`` files of all packages."""
    # 1: nothing matches
    rows = run([_QUERY, "--show", "--showformat=${Package} ${db:Status-Abbrev}\\n", *patterns], statuses=(0, 1))
    names = sorted({line.split()[0] for line in rows.splitlines() if line.split()[1:2] == ["ii"]}) if patterns else []
    versions = policies(run(["/usr/bin/apt-cache", *_NO_CACHE, "policy", *names])) if names else []
    # 1 and 2: something differs
    verified = run(["/usr/bin/dpkg", "--verify"], statuses=(0, 1, 2))
    return {"versions": versions, "changed": changed(verified)}


def shipped(paths: t.Sequence[str]) -> set[str]:
    """Those of *paths* that came with a package. Before /usr was merged, some were written down without it."""
    asked = sorted({name for path in paths for name in (path, path.removeprefix("/usr"))})
    if not asked:
        return set()
    # 1: some are in no package
    found = owners(run([_QUERY, "--search", *asked], statuses=(0, 1)))
    return {path for path in paths if path in found or path.removeprefix("/usr") in found}
