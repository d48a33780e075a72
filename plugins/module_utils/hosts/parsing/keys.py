# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of authorized_keys, as sshd(8) reads them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import typing as t

_TYPES = ("ssh-", "ecdsa-", "sk-", "rsa-sha2-", "webauthn-sk-")
NO_KEY = "it is no key"
# How each key begins in base64: with the length of its type's name.
_BEGINS = re.compile(r"(?:^|[^A-Za-z0-9+/])AAAA[A-Za-z0-9+/]{4}")


def lines(text: str) -> list[dict[str, t.Any]]:
    """Every line that is no comment: its options, type, fingerprint and comment; ``problem`` where it is no key."""
    found = []
    # a line ends here alone: not at a form feed, as Python has it
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip(" \t\r")
        if stripped and not stripped.startswith("#"):
            found.append({"line": number, **key(stripped)})
    return found


def key(line: str) -> dict[str, t.Any]:
    """One line; options are in the order of the line."""
    options, rest = ("", line) if line.startswith(_TYPES) else _options(line)
    words = [word for word in re.split(r"[ \t]+", rest, maxsplit=2) if word]
    # What is no key may be anything, a password say: nothing of it is told.
    problem = "it may be a key, and can't be read" if _BEGINS.search(line) else NO_KEY
    empty: dict[str, t.Any] = {"options": [], "type": "", "fingerprint": "", "comment": "", "problem": problem}
    if len(words) < 2 or not words[0].startswith(_TYPES):
        return empty
    try:
        # sshd passes over these in a key
        blob = base64.b64decode(re.sub(r"[\r\v\f]", "", words[1]), validate=True)
    except (binascii.Error, ValueError):
        return empty
    # the blob says its type itself
    if blob[4 : 4 + int.from_bytes(blob[:4], "big")] != _type(words[0]).encode():
        return empty
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    comment = words[2] if len(words) > 2 else ""
    known = {"options": split(options), "type": words[0], "comment": comment, "problem": ""}
    return {**empty, **known, "fingerprint": f"SHA256:{digest}"}


def _type(word: str) -> str:
    """The type of the key itself, where the line has the name of a kind of signature, which sshd takes too."""
    return "ssh-rsa" if word.startswith("rsa-sha2-") else word.removeprefix("webauthn-")


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
