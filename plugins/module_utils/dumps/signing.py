# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign a trailer with the key that the dumping user alone can read."""

from __future__ import annotations

import os

from .guard import Guard
from .manifest import SIGNATURE_NAMESPACE
from .pipeline import ENVIRONMENT, Settings
from .processes import DumpError
from .signatures import signed, signer


def check_key(settings: Settings) -> None:
    """DumpError where the key can't be read: better before an hour's dump than after it."""
    try:
        os.close(os.open(settings.signing_key, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise DumpError(f"the signing key could not be read: {error}") from error


def sign(content: bytes, settings: Settings, guard: Guard) -> bytes:
    """The armoured signature of *content*."""
    child = guard.child(signer(settings.ssh_keygen, settings.signing_key, SIGNATURE_NAMESPACE, ENVIRONMENT))
    return signed(child, content, "the dump could not be signed")
