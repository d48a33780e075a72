# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The before.yml that a person begins with: every key with what to write there, and nothing filled in that matters."""

from __future__ import annotations

import datetime as dt
import re

from ..dumps.names import utc_text
from .plan import INCIDENT, INCIDENT_LENGTH

# A plan that nobody has carried out by then was not urgent, and what it was made for has changed.
LIFE = dt.timedelta(days=3)

_TEXT = """\
# yaml-language-server: $schema={schema}
# Before-action report: written before anything is done, by whoever has to do it. No SQL is run from this file until it
# has been rehearsed on a copy, approved by somebody else, and confirmed by name. An edit after that voids both.
version: 1
incident: {incident}

# What went wrong? What did somebody see?
problem: ""
# Why could it happen? What did testing, what did validation miss?
cause: ""
# Who found it, and when was devops contacted (UTC)?
reporter: ""
devops_contacted: {contacted}

# Where: the host by what `hostname` says there, all of it, and one database.
host: {host}
database: {database}

# What is done, in this order, in one transaction. Each step is one INSERT, UPDATE or DELETE; each table stands with its
# schema. The rows that a step touches are saved first.
steps:
  - id: first-step
    why: ""
    sql: |
      DELETE FROM public.a_table
      WHERE id = 0
    # Exactly so many, or {{min: 1, max: 5}}: any other count rolls everything back.
    expect_rows: 0
    # Each only where the statement needs it:
    # allow_without_where: true     # it touches every row
    # allow_truncate: true          # it is TRUNCATE
    # allow_ddl: true               # it changes the schema; then without expect_rows
    # cascades: [public.b_table]    # tables that foreign keys may reach
    # triggers: [public.a_table.a_trigger]
    # functions: [public.f]         # functions that you have read, and that change nothing else

# How will we see that the problem has been fixed? Each query is asked before the steps and after them, before COMMIT.
# The answer is one value, or a list of rows: [[a, 1], [b, 2]]. At least one answer has to differ.
assess:
  - id: first-assessment
    # why: what the answer shows
    query: SELECT count(*) FROM public.a_table WHERE id = 0
    before: 0
    after: 0

# What must be the same after the steps as before them: counts and sums of what isn't to be touched.
# invariants:
#   - id: other-rows
#     query: SELECT count(*) FROM public.a_table WHERE id <> 0

# How many rows all steps together may touch at most, what foreign keys reach included.
max_rows: 0
# How long a step waits for other sessions, and how long a statement may take.
lock_timeout: 5s
statement_timeout: 1min
# How old the rehearsal's dump may be when this is carried out.
max_dump_age: 24h
# After this it may not be carried out (UTC).
expires: {expires}

# Only where nobody but the DBA who carries it out is there to approve it: why. It is in every report.
# break_glass: ""
"""


def name_of(slug: str, day: dt.date) -> str:
    """The incident's name for *slug*, a few words; ValueError where they can't be part of one."""
    name = f"{day:%Y-%m-%d}-{slug}"
    if re.fullmatch(INCIDENT, name, re.ASCII) is None or len(name) > INCIDENT_LENGTH:
        raise ValueError(f"{slug!r} can't name an incident: write a few words in small letters, as duplicate-rows")
    return name


def template(
    incident: str, now: dt.datetime, *, schema: str, host: str = "production", database: str = "taaraxtak"
) -> str:
    """The text of a new before.yml; *schema* is the path of docs/incident.schema.json from there."""
    return _TEXT.format(
        incident=incident,
        contacted=utc_text(now),
        expires=utc_text(now + LIFE),
        schema=schema,
        host=host,
        database=database,
    )
