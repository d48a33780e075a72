# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from hosts, made harmless: nothing in it can be markup, move a cursor, or hide what follows."""

from __future__ import annotations

import unicodedata

# Categories of characters that are no plain text: control, format (such as those that turn the direction round),
# surrogates, private use, unassigned, and the separators of lines and paragraphs.
_ODD = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


def _shown(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def plain(value: object) -> str:
    """*value* on one line, in which every character that is no plain text is shown by its number: ``\\x1b``."""
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(one) if unicodedata.category(one) in _ODD else one for one in text)


def markup(value: object) -> str:
    """*value* as the text or an attribute's value of HTML and XML."""
    return plain(value).translate(_MARKUP)


def block(value: object) -> str:
    """The same on as many lines as it has, for preformatted text."""
    return "\n".join(markup(line) for line in str(value).split("\n"))


def label(value: object) -> str:
    """*value* as the value of a metric's label, without its quotes."""
    return plain(value).replace("\\", "\\\\").replace('"', '\\"')


def cut(value: object, width: int) -> str:
    """*value* plain and in at most *width* characters, the last of them a dot leader where it was longer."""
    text = plain(value)
    return text if len(text) <= width else text[: width - 1] + "…"
