# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which dump of an archive on this host is restored."""

from __future__ import annotations

import datetime as dt

from ..folder import Folder
from ..names import DUMP, DumpName
from ..processes import DumpError
from ..signatures import Signers
from ..survey import survey


def choose(
    archive: Folder, signers: Signers | None, now: dt.datetime, *, name: str, database: str, verified: bool
) -> DumpName:
    """The dump *name*, or without one the newest of the *database* that has a right signature; DumpError for none.

    With *verified* a drill must have verified it.
    """
    held = [one for one in survey(archive, signers or Signers(), now).held if one.stored.name.kind == DUMP]
    if name:
        wanted = [one for one in held if str(one.stored.name) == name]
        if not wanted:
            raise DumpError(f"there is no dump {name} in {archive.path}")
        if verified and not wanted[0].verified:
            raise DumpError(f"no drill has verified {name}: choose another one, or drill it first")
        if database and wanted[0].stored.name.database != database:
            raise DumpError(f"{name} is a dump of {wanted[0].stored.name.database}, not of {database}")
        return wanted[0].stored.name
    found = [
        (one.stored.received, one.stored.name)
        for one in held
        if one.signed and (one.verified or not verified) and database in ("", one.stored.name.database)
    ]
    what = "verified dump" if verified else "dump with a right signature"
    if not found:
        raise DumpError(f"there is no {what}{f' of {database}' if database else ''} in {archive.path}")
    several = sorted({dump.database for _received, dump in found})
    if len(several) > 1:
        raise DumpError(f"{archive.path} holds dumps of {', '.join(several[:5])}: say which database, or name a dump")
    return max(found)[1]
