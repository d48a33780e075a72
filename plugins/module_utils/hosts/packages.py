# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's packages: which version, which files of theirs are not as they came."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from .digests import digest
from .parsing.packages import changed, owners, policies
from .running import run

_QUERY = "/usr/bin/dpkg-query"
# What lies below /usr, and is named without it too.
_MERGED = ("/bin/", "/lib", "/sbin/")
# The kernel takes 2 MiB of arguments.
_LONGEST, _AT_ONCE = 4096, 250
_INFO = Path("/var/lib/dpkg/info")
_NO_CACHE = ("-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=")


def look(patterns: t.Sequence[str]) -> dict[str, t.Any]:
    """``versions`` of packages that match *patterns*; ``changed`` files of all packages, ``unverified`` packages."""
    # 1: nothing matches
    rows = run([_QUERY, "--show", "--showformat=${Package} ${db:Status-Abbrev}\\n", *patterns], statuses=(0, 1))
    names = sorted({line.split()[0] for line in rows.splitlines() if line.split()[1:2] == ["ii"]}) if patterns else []
    versions = policies(run(["/usr/bin/apt-cache", *_NO_CACHE, "policy", *names])) if names else []
    # What differs is printed, and the status says nothing of it. 2: it could not go on. Of a package whose list of
    # files is gone it warns, and looks at nothing.
    verified = run(["/usr/bin/dpkg", "--verify"], warned=False)
    files = [{**one, "digest": "" if one["missing"] else digest(one["path"])} for one in changed(verified)]
    return {"versions": versions, "changed": files, "unverified": _unverified()}


def _unverified() -> list[str]:
    """The packages whose files' checksums are not there, so that nobody can tell whether they are as they came."""
    rows = run([_QUERY, "--show", "--showformat=${binary:Package} ${db:Status-Abbrev}\\n"])
    names = [line.split()[0] for line in rows.splitlines() if line.split()[1:2] == ["ii"]]
    return sorted(name for name in names if not _beside(name, "md5sums") and _has_files(name))


def _beside(package: str, kind: str) -> list[Path]:
    # of a package that can be there for several architectures the names have its own
    names = (package, package.partition(":")[0])
    return [path for name in names if (path := _INFO / f"{name}.{kind}").is_file()]


def _has_files(package: str) -> bool:
    return any(
        Path(line).is_file() and not Path(line).is_symlink()
        for path in _beside(package, "list")
        for line in os.fsdecode(path.read_bytes()).split("\n")
        if line
    )


def shipped(paths: t.Sequence[str]) -> set[str]:
    """Those of *paths* that came with a package. Before /usr was merged, some were written down without it."""
    names = {path: _written(path) for path in paths}
    # no package has a longer one than the kernel takes
    asked = sorted({name for both in names.values() for name in both if len(os.fsencode(name)) < _LONGEST})
    found: set[str] = set()
    for piece in (asked[start : start + _AT_ONCE] for start in range(0, len(asked), _AT_ONCE)):
        # 1: some are in no package
        found |= owners(run([_QUERY, "--search", *piece], statuses=(0, 1)))
    return {path for path, both in names.items() if not found.isdisjoint(both)}


def _written(path: str) -> set[str]:
    """The names that a package may have the file by."""
    short = path.removeprefix("/usr")
    return {path, short, f"/usr{short}"} if short.startswith(_MERGED) else {path}
