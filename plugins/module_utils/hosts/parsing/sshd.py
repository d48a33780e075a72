# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of sshd_config(5) that sshd itself, asked what it would do, can't tell of."""

from __future__ import annotations

import re

# A keyword may be in quotation marks, and have an equals sign behind it.
_LINE = re.compile(r'^[ \t\r]*"?([A-Za-z]+)"?[ \t\r=]+(.*)$')
# Each account is asked for: what holds for it by these is seen.
_ASKED = ("user", "group")


def matches(text: str) -> list[tuple[str, list[str]]]:
    """Each Match that depends on anything but who comes, on whence, say, or on the port: its conditions and lines."""
    found: list[tuple[str, list[str]]] = []
    for keyword, words in _lines(text):
        if keyword == "match":
            found.append((words, []))
        elif found:
            # up to the next one, or the file's end
            found[-1][1].append(f"{keyword} {words}")
    return [one for one in found if not _by_name(one[0])]


def includes(text: str) -> list[str]:
    """The patterns of every file that is read too."""
    return [word for keyword, words in _lines(text) if keyword == "include" for word in _words(words)]


def _lines(text: str) -> list[tuple[str, str]]:
    found = [_LINE.match(line) for line in text.split("\n")]
    return [(match.group(1).lower(), match.group(2).strip()) for match in found if match]


def _by_name(words: str) -> bool:
    """Whether all conditions are of the account and its groups, each with its names; what is not understood is not."""
    listed = _words(words)
    if [word.lower() for word in listed[:1]] == ["all"]:
        return len(listed) == 1 or listed[1].startswith("#")
    names = listed[::2]
    return len(listed) % 2 == 0 and bool(names) and all(name.lower() in _ASKED for name in names)


def _words(text: str) -> list[str]:
    return [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|([^ \t\r"]+)', text)]
