# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the carrying out of an action asks PostgreSQL's catalogues and statistics."""

from __future__ import annotations

RELATION = """
SELECT c.oid::int8, n.nspname, c.relname, c.relkind, c.relpersistence, c.relhasrules,
  ARRAY(SELECT jsonb_build_array(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
          COALESCE(a.attnum = ANY (i.indkey), false), a.attgenerated <> '', a.attidentity = 'a')
        FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)::text[],
  ARRAY(WITH RECURSIVE below(oid) AS (
          SELECT c.oid UNION SELECT h.inhrelid FROM pg_inherits h JOIN below b ON b.oid = h.inhparent)
        SELECT oid::int8 FROM below),
  EXISTS (WITH RECURSIVE below(oid) AS (
          SELECT c.oid UNION SELECT h.inhrelid FROM pg_inherits h JOIN below b ON b.oid = h.inhparent)
        SELECT FROM below JOIN pg_class f USING (oid)
        WHERE f.relkind NOT IN ('r', 'p') OR (f.oid <> c.oid AND NOT f.relispartition))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE """
NAMES = """
WITH RECURSIVE above(oid, depth) AS (
  SELECT %s::oid, 0 UNION ALL SELECT h.inhparent, a.depth + 1 FROM pg_inherits h JOIN above a ON a.oid = h.inhrelid)
SELECT n.nspname || '.' || c.relname
FROM above JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY above.depth
"""
# Those of a partition are its root's, unless the partition itself is named.
TRIGGERS = """
SELECT n.nspname || '.' || c.relname || '.' || g.tgname
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE g.tgrelid = ANY (%s::oid[]) AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A') AND g.tgtype & %s <> 0
  AND (g.tgparentid = 0 OR g.tgrelid = %s::oid)
ORDER BY 1
"""
LINKS = """
SELECT DISTINCT n.nspname, c.relname,
  ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS u(num, at)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.at)::text[],
  ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY AS u(num, at)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.at)::text[],
  k.confdeltype = 'c'
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.confrelid = ANY (%s::oid[])
  AND CASE WHEN %s THEN k.confdeltype ELSE k.confupdtype END IN ('c', 'n', 'd')
  AND (k.conparentid = 0 OR NOT EXISTS (
    SELECT FROM pg_constraint p WHERE p.oid = k.conparentid AND p.confrelid = ANY (%s::oid[])))
ORDER BY 1, 2, 3
"""
COUNTS = """
SELECT relid::int8, n_tup_ins, n_tup_upd + n_tup_del, n_tup_del FROM pg_stat_xact_all_tables
WHERE schemaname <> 'pg_catalog' AND schemaname <> 'information_schema' AND schemaname !~ '^pg_toast'
  AND n_tup_ins + n_tup_upd + n_tup_del > 0
"""
# What neither a change of rows nor a query takes. A table that was dropped is in no catalogue, but its lock is held.
TAKEN = """
SELECT DISTINCT relation::int8 FROM pg_locks
WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted
  AND mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
"""
# What was written to pg_class, and to the other catalogues, large objects among them: by a change of rows, nothing.
WRITTEN = """
SELECT COALESCE(sum(written) FILTER (WHERE relname = 'pg_class'), 0)::int8,
  COALESCE(sum(written) FILTER (WHERE relname <> 'pg_class'), 0)::int8
FROM (SELECT relname, n_tup_ins + n_tup_upd + n_tup_del AS written
      FROM pg_stat_xact_all_tables WHERE schemaname = 'pg_catalog') AS counted
"""
# With what TRUNCATE takes along: tables for long values, and indexes.
PARTS = """
WITH held AS (
  SELECT oid FROM pg_class WHERE oid = ANY (%s::oid[])
  UNION SELECT reltoastrelid FROM pg_class WHERE oid = ANY (%s::oid[]))
SELECT oid::int8 FROM held UNION SELECT indexrelid::int8 FROM pg_index WHERE indrelid IN (SELECT oid FROM held)
"""
# A rule may have put another table in place of the one that a statement names; that one is locked all the same.
RULED = """
SELECT DISTINCT n.nspname || '.' || c.relname
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_backend_pid() AND l.granted AND l.mode = 'RowExclusiveLock' AND c.relkind IN ('r', 'p')
  AND c.relhasrules
ORDER BY 1
"""
# Which of some tables refers to which other one.
REFERRING = """
SELECT DISTINCT conrelid::int8, confrelid::int8 FROM pg_constraint
WHERE contype = 'f' AND conrelid = ANY (%s::oid[]) AND confrelid = ANY (%s::oid[])
"""
LOCKS = """
SELECT DISTINCT n.nspname || '.' || c.relname || ' ' || l.mode
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'pg_toast')
ORDER BY 1
"""
