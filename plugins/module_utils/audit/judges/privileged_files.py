# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that give who runs them more than they have."""

from __future__ import annotations

import typing as t

from ..model import Document, Expected, Finding, Kind, Rule, Source

RULES = (
    Rule(
        "setuid-unknown", "critical", "devops", "a program runs as somebody else, and Debian doesn't ship it so",
        "chmod u-s,g-s FILE; find out who has made it so, and what it was used for",
    ),
    Rule(
        "capability-unknown", "critical", "devops", "a program has capabilities, and Debian doesn't ship it so",
        "setcap -r FILE; find out who has given them",
    ),
    Rule(
        "folder-unsearched", "high", "devops", "in an account's folder programs could not be looked for",
        "see what is there, and who has made it so; remove it",
    ),
)  # fmt: skip
_ROOT_S = (
    "chfn", "chsh", "fusermount3", "gpasswd", "mount", "newgidmap", "newgrp", "newuidmap", "ntfs-3g", "passwd", "ping",
    "pkexec", "su", "sudo", "umount",
)  # fmt: skip
# Debian 12 and 13: path, mode, owner, group.
SHIPPED = frozenset(
    {
        *((f"/usr/bin/{name}", "4755", "root", "root") for name in _ROOT_S),
        *((f"/usr/bin/{name}", "2755", "root", "shadow") for name in ("chage", "expiry")),
        ("/usr/bin/at", "6755", "daemon", "daemon"),
        ("/usr/bin/bsd-write", "2755", "root", "tty"),
        ("/usr/bin/crontab", "2755", "root", "crontab"),
        ("/usr/bin/dotlockfile", "2755", "root", "mail"),
        ("/usr/bin/ssh-agent", "2755", "root", "_ssh"),
        ("/usr/bin/wall", "2755", "root", "tty"),
        ("/usr/bin/write.ul", "2755", "root", "tty"),
        ("/usr/lib/dbus-1.0/dbus-daemon-launch-helper", "4754", "root", "messagebus"),
        ("/usr/lib/openssh/ssh-keysign", "4755", "root", "root"),
        ("/usr/lib/polkit-1/polkit-agent-helper-1", "4755", "root", "root"),
        ("/usr/libexec/polkit-agent-helper-1", "4755", "root", "root"),
        ("/usr/sbin/exim4", "4755", "root", "root"),
        ("/usr/sbin/mount.nfs", "4755", "root", "root"),
        ("/usr/sbin/unix_chkpwd", "2755", "root", "shadow"),
    }
)  # fmt: skip
_ENTRY: Document = {"path": "", "mode": "", "owner": "root", "group": "root", "capabilities": [], "sha256": ""}
CAPABLE = {"/usr/bin/ping": ["cap_net_raw"], "/usr/bin/mtr-packet": ["cap_net_raw"]}


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``paths`` that are known beside Debian's, each as it is to be (``_ENTRY``)."""
    known = [_entry(one) for one in expected.of(source.host).get("paths", [])]
    for one in source.data["files"]:
        path, whose = one["path"], (one["mode"], one["owner"], one["group"])
        if any(_is(one, entry) for entry in known):
            continue
        about, content = f"file {path}", "" if one["package"] else one["digest"]
        shipped = one["package"] and (_unmerged(path), *whose) in SHIPPED
        if int(one["mode"], 8) & 0o6000 and not shipped:
            evidence = f"{path} is {one['owner']}:{one['group']} with mode {one['mode']}, {_from(one)}"
            yield Finding("setuid-unknown", source.host, about, evidence, value=f"{evidence}\0{content}")
        given = one["capabilities"]
        if given and not (one["package"] and CAPABLE.get(path) == given):
            evidence = f"{path} has {', '.join(given)}, {_from(one)}"
            yield Finding("capability-unknown", source.host, about, evidence, value=f"{evidence}\0{content}")
    yield from _unsearched(source)


def _entry(said: t.Any) -> Document:
    """An entry of ``paths``, with what it leaves to its usual value."""
    if not isinstance(said, dict) or not {"path", "mode"} <= said.keys() <= _ENTRY.keys():
        raise ValueError(
            "audit_expected, privileged_files: write each of paths as a mapping with path and mode, and where they are "
            "others than root, root and none with owner, group and capabilities; perhaps with sha256"
        )
    entry = {**_ENTRY, **said}
    return {**entry, "mode": str(entry["mode"]).zfill(4), "capabilities": sorted(entry["capabilities"])}


def _is(one: Document, entry: Document) -> bool:
    has = {**one, "sha256": entry["sha256"], "capabilities": sorted(one["capabilities"])}
    # the host tells the beginning
    same = bool(one["digest"]) and str(entry["sha256"]).startswith(one["digest"])
    return (same or not entry["sha256"]) and entry == {key: has[key] for key in _ENTRY}


def _unsearched(source: Source) -> t.Iterator[Finding]:
    for one in source.data["unsearched"]:
        evidence = f"{one['path']}, of {one['owner']}'s, can't be searched: {one['why']}"
        yield Finding("folder-unsearched", source.host, f"folder {one['path']}", evidence, who=one["owner"])


def _unmerged(path: str) -> str:
    """Debian 12's /bin/su is /usr/bin/su where /usr is merged, which it is."""
    return path if path.startswith("/usr/") else f"/usr{path}"


def _from(one: t.Mapping[str, t.Any]) -> str:
    return "a package's file" if one["package"] else "of no package"


KIND = Kind(
    "privileged_files",
    "Programs that run as somebody else",
    ("production_hosts", "store_hosts"),
    judge,
    RULES,
    of_host=True,
)
