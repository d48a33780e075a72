# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SCRAM-SHA-256 verifiers as PostgreSQL stores them in pg_authid.rolpassword: RFC 5803, 5802 and 7677."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import stringprep
import unicodedata

SCHEME = "SCRAM-SHA-256"
# SCRAM_SHA_256_DEFAULT_ITERATIONS and SCRAM_DEFAULT_SALT_LEN (bytes) of PostgreSQL's src/include/common/scram-common.h.
ITERATIONS = 4096
SALT_BYTES = 16
# RFC 4013, section 2.3: what a prepared password may not hold, unassigned code points too (RFC 3454, table A.1).
PROHIBITED = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
RIGHT_TO_LEFT = stringprep.in_table_d1
LEFT_TO_RIGHT = stringprep.in_table_d2


def verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """What ALTER ROLE ... PASSWORD takes in the place of *password*, and nobody can log in with.

    ValueError where *password* is empty, or no password can be like that.
    """
    if not password:
        raise ValueError("the password is empty, and PostgreSQL lets nobody in with such a one: write a password")
    if "\0" in password or re.search(r"[\ud800-\udfff]", password):
        raise ValueError("the password holds what no client can send (NUL, or broken Unicode): write another")
    stored, server = _keys(password, salt, iterations)
    return f"{SCHEME}${iterations}:{_base64(salt)}${_base64(stored)}:{_base64(server)}"


def fits(password: str, stored: str) -> bool:
    """Whether *password* is the one that the verifier *stored* was made of. ValueError where it is none of SCRAM's."""
    salt, iterations = _read(stored)
    return bool(password) and hmac.compare_digest(verifier(password, salt, iterations), stored)


def salt_for(host: str, role: str) -> bytes:
    """A salt that is the same in each run and another one for each role of each host.

    A salt is stored beside the keys and told to every client: it has to be unique, not secret.
    """
    return hashlib.sha256(f"{host}\0{role}".encode()).digest()[:SALT_BYTES]


def prepared(password: str) -> bytes:
    """*password* by SASLprep (RFC 4013), as pg_saslprep() does it: where SASLprep refuses it, its bytes as they are.

    PostgreSQL looks for what is prohibited before it normalises, unlike the RFC; a client and this have to agree.
    """
    raw = password.encode()
    if password.isascii():
        return raw
    mapped = "".join(
        " " if stringprep.in_table_c12(one) else one
        for one in password
        if stringprep.in_table_c12(one) or not stringprep.in_table_b1(one)
    )
    if not mapped or any(table(one) for one in mapped for table in PROHIBITED):
        return raw
    if any(RIGHT_TO_LEFT(one) for one in mapped) and not (
        RIGHT_TO_LEFT(mapped[0]) and RIGHT_TO_LEFT(mapped[-1]) and not any(LEFT_TO_RIGHT(one) for one in mapped)
    ):
        return raw
    return unicodedata.normalize("NFKC", mapped).encode()


def _read(stored: str) -> tuple[bytes, int]:
    """The salt and the iterations of a verifier; ValueError where it is none."""
    found = re.fullmatch(r"SCRAM-SHA-256\$([1-9][0-9]{0,8}):([^$:]+)\$([^$:]+):([^$:]+)", stored)
    try:
        if found is not None and all(len(_bytes(key)) == hashlib.sha256().digest_size for key in found.group(3, 4)):
            return _bytes(found[2]), int(found[1])
    except ValueError:
        pass
    raise ValueError(f"this is no {SCHEME} verifier: set the password anew with password_encryption scram-sha-256")


def _keys(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    """StoredKey and ServerKey (RFC 5802, section 3)."""
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    return hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
