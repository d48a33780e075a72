# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of authorized_keys, as sshd(8) reads them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import typing as t

_TYPES = ("ssh-", "ecdsa-", "sk-")


def lines(text: str) -> list[dict[str, t.Any]]:
    """Every line that is no comment: its options, type, fingerprint and comment; ``problem`` where it is no key."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            found.append({"line": number, **key(stripped)})
    return found


def key(line: str) -> dict[str, t.Any]:
    """One line; options are in the order of the line."""
    options, rest = ("", line) if line.startswith(_TYPES) else _options(line)
    words = rest.split(None, 2)
    empty = {"options": split(options), "type": "", "fingerprint": "", "comment": "", "problem": "it is no key"}
    if len(words) < 2 or not words[0].startswith(_TYPES):
        return empty
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        return empty
    # the blob says its type itself
    if blob[4 : 4 + int.from_bytes(blob[:4], "big")] != words[0].encode():
        return empty
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    comment = words[2] if len(words) > 2 else ""
    return {**empty, "type": words[0], "fingerprint": f"SHA256:{digest}", "comment": comment, "problem": ""}


def _options(line: str) -> tuple[str, str]:
    """The options, up to the first blank that is in no quotation marks, and what follows."""
    quoted, previous = False, ""
    for position, character in enumerate(line):
        if character == '"' and previous != "\\":
            quoted = not quoted
        elif character in " \t" and not quoted:
            return line[:position], line[position:].strip()
        previous = character
    return line, ""


def split(options: str) -> list[str]:
    """Options by their commas, but for those in quotation marks."""
    found, start, quoted, previous = [], 0, False, ""
    for position, character in enumerate(options):
        if character == '"' and previous != "\\":
            quoted = not quoted
        elif character == "," and not quoted:
            found.append(options[start:position])
            start = position + 1
        previous = character
    return [one for one in [*found, options[start:]] if one]
