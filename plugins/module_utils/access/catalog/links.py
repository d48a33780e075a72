# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one relation has to do with another, or with somebody's code, without any view: relations are oids."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Inheritance:
    """A row of pg_inherits. ``partition``: the child is one, so INSERT on the parent reaches it too."""

    parent: int
    child: int
    partition: bool


@dataclasses.dataclass(frozen=True)
class ForeignKey:
    """What DELETE and UPDATE on ``referenced`` do to the rows of ``referencing``: DELETE, UPDATE or (None) nothing."""

    name: str
    referenced: int
    referencing: int
    on_delete: str | None
    on_update: str | None


@dataclasses.dataclass(frozen=True)
class Call:
    """A routine that belongs neither to a superuser nor to the owner of the relation whose ``place`` calls it.

    ``place``: DEFAULT, CHECK, INDEX, POLICY, RULE (a view's query too) or TRIGGER (its WHEN). ``routine`` is
    schema.name(arguments). It acts as whoever uses the relation.
    """

    oid: int
    place: str
    routine: str
    owner: str
