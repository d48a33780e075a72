# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show a change of a file as Ansible's diff mode wants it, without the secrets."""

from __future__ import annotations

import hashlib

from .plan import Action, Observed

# Ansible's own modules show no file that is longer (104448 bytes).
LONGEST_SHOWN = 102 * 1024


def diff_of(action: Action) -> dict[str, str]:
    """One element of a module's ``diff`` list: attributes that change come as lines before the content."""
    before, after = _attributes(action)
    if action.new_content and action.entry is not None:
        old = action.before.content if action.before.kind == "file" else b""
        if action.entry.secret:
            before += "(secret content)\n" if action.before.kind == "file" else ""
            after += "(new secret content)\n"
        else:
            before += _shown(old, action.before.size)
            after += _shown(action.entry.content, len(action.entry.content))
    path = action.path
    return {
        "before_header": f"{path} (missing)" if action.before.kind == "missing" else path,
        "after_header": f"{path} (removed)" if action.verb == "remove" else path,
        "before": before,
        "after": after,
    }


def _attributes(action: Action) -> tuple[str, str]:
    old = _lines(action.before)
    entry = action.entry
    new: dict[str, str] = {}
    if action.verb != "remove" and entry is not None:
        new = {"is": entry.kind, "owner": entry.owner, "group": entry.group}
        if entry.kind == "link":
            new["target"] = entry.target
        else:
            new["mode"] = f"{entry.mode:04o}"
        # a name and a number may stand for the same user: say what the host calls it
        if action.before.kind != "missing" and action.before.uid == action.uid:
            new["owner"] = action.before.owner
        if action.before.kind != "missing" and action.before.gid == action.gid:
            new["group"] = action.before.group
    names = [name for name in ("is", "owner", "group", "mode", "target") if old.get(name) != new.get(name)]
    return (
        "".join(f"{name}: {old[name]}\n" for name in names if name in old),
        "".join(f"{name}: {new[name]}\n" for name in names if name in new),
    )


def _lines(before: Observed) -> dict[str, str]:
    if before.kind == "missing":
        return {}
    lines = {"is": before.kind, "owner": before.owner, "group": before.group}
    if before.kind == "link":
        lines["target"] = before.target
    else:
        lines["mode"] = f"{before.mode:04o}"
    return lines


def _shown(content: bytes | None, size: int) -> str:
    if content is None or len(content) > LONGEST_SHOWN:
        return f"({size} bytes, too long to show{_sum(content)})\n"
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return f"(binary content of {size} bytes{_sum(content)})\n"
    return f"(binary content of {size} bytes{_sum(content)})\n" if "\0" in text else text


def _sum(content: bytes | None) -> str:
    return "" if content is None else f", sha256 {hashlib.sha256(content).hexdigest()}"
