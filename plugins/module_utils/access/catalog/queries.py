# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue's queries: a small fixed number, each for a whole set of objects.

postgres.py runs them, all with the search_path pg_catalog, in one READ ONLY, REPEATABLE READ transaction, and
snapshot.py makes dataclasses of their rows. ACLs are ``aclexplode(coalesce(acl, acldefault()))``: NULL means the
default, not nothing. An owner's own privileges are left out, since they are never touched. Rows of ACLs are grouped:
one for each (grantee, grantor, privilege, grantable), with the oids of all that have it, because a hundred thousand
privileges are a few thousand such groups.

Oids below 16384 (FirstNormalObjectId) are what initdb made.
"""

from __future__ import annotations

# Parameters have ACLs and publications whole schemas since 15; memberships have options since 16.
PARAMETER_ACLS = PUBLISHED_SCHEMAS = 150000
MEMBERSHIP_OPTIONS = 160000

# Version, who has logged in, whether that is a superuser, whom initdb made, and whether nothing can be written.
SERVER = """
SELECT current_setting('server_version_num')::int, session_user, rolsuper,
       (SELECT rolname FROM pg_roles WHERE oid = 10), pg_is_in_recovery()
FROM pg_roles WHERE rolname = session_user
"""
# A verifier itself is never read: its kind, and a digest to compare it by.
_ROLES = """
SELECT oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
       rolconnlimit,
       CASE WHEN rolpassword IS NULL THEN NULL
            WHEN starts_with(rolpassword, 'SCRAM-SHA-256$') THEN 'scram-sha-256'
            WHEN rolpassword ~ '^md5[0-9a-f]{32}$' THEN 'md5'
            ELSE 'other' END,
       encode(sha256(convert_to(rolpassword, 'UTF8')), 'hex')
FROM pg_authid
ORDER BY rolname
"""
# Role 0 is every role, database 0 is every database.
_ROLE_SETTINGS = """
SELECT s.setrole, d.datname, split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c LEFT JOIN pg_database d ON d.oid = s.setdatabase
ORDER BY s.setrole, s.setdatabase, c
"""
_MEMBERSHIPS = "SELECT roleid, member, grantor, admin_option, NULL, NULL FROM pg_auth_members ORDER BY 1, 2, 3"
_MEMBERSHIPS_16 = """
SELECT roleid, member, grantor, admin_option, inherit_option, set_option FROM pg_auth_members ORDER BY 1, 2, 3
"""
# A connection limit of -2 marks what a DROP DATABASE has left half dropped.
_DATABASES = """
SELECT oid, datname, datdba, datallowconn AND datconnlimit <> -2, datistemplate FROM pg_database ORDER BY datname
"""
_TABLESPACES = "SELECT oid, spcname, spcowner FROM pg_tablespace ORDER BY spcname"
_SHARED_ACLS = """
WITH own AS (
  SELECT 'pg_database' AS class, oid, datdba AS owner, coalesce(datacl, acldefault('d', datdba)) AS acl FROM pg_database
  UNION ALL
  SELECT 'pg_tablespace', oid, spcowner, coalesce(spcacl, acldefault('t', spcowner)) FROM pg_tablespace
)
SELECT o.class, a.grantee, a.grantor, a.privilege_type, a.is_grantable, array_agg(o.oid::int8)
FROM own o CROSS JOIN aclexplode(o.acl) a
WHERE a.grantee <> o.owner OR a.grantor <> o.owner
GROUP BY 1, 2, 3, 4, 5
"""
# They have no owner: what isn't granted by somebody else is granted by the role that initdb made (10).
_PARAMETERS = """
SELECT a.grantee, a.grantor, a.privilege_type, a.is_grantable, array_agg(p.parname)
FROM pg_parameter_acl p CROSS JOIN aclexplode(p.paracl) a
WHERE a.grantee <> 10 OR a.grantor <> 10
GROUP BY 1, 2, 3, 4
"""
_NO_ROWS = "SELECT WHERE false"


def cluster(version: int) -> dict[str, str]:
    """The queries of what all databases share, for a server of *version*, by the arguments of snapshot.cluster."""
    return {
        "roles": _ROLES,
        "role_settings": _ROLE_SETTINGS,
        "memberships": _MEMBERSHIPS_16 if version >= MEMBERSHIP_OPTIONS else _MEMBERSHIPS,
        "databases": _DATABASES,
        "tablespaces": _TABLESPACES,
        "acls": _SHARED_ACLS,
        "parameters": _PARAMETERS if version >= PARAMETER_ACLS else _NO_ROWS,
    }


# The first of a database: which of these schemas are in scope, only the policy knows.
SCHEMAS = "SELECT oid, nspname, nspowner FROM pg_namespace ORDER BY nspname"
# Read again in each database, since roles may have been made since the cluster was read.
ROLE_NAMES = "SELECT oid, rolname FROM pg_roles"

# %(schemas)s: the oids of the schemas in scope; %(system)s: of pg_catalog and information_schema.
_EXTENSIONS = """
SELECT d.classid::regclass::text, array_agg(d.objid::int8)
FROM pg_depend d WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.objsubid = 0
GROUP BY d.classid
"""
# The last column: the table that an identity or serial sequence belongs to, whose owner it follows.
_RELATIONS = """
SELECT c.oid, c.relnamespace, c.relname, c.relkind, c.relowner, c.relispartition, c.relrowsecurity,
       c.relforcerowsecurity, s.refobjid
FROM pg_class c LEFT JOIN pg_depend s
  ON c.relkind = 'S' AND s.classid = 'pg_class'::regclass AND s.objid = c.oid AND s.objsubid = 0
  AND s.refclassid = 'pg_class'::regclass AND s.deptype IN ('a', 'i')
WHERE c.relnamespace = ANY(%(schemas)s::oid[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
ORDER BY c.relnamespace, c.relname
"""
_COLUMN_ACLS = """
SELECT c.oid, t.attname, a.grantee, a.grantor, a.privilege_type, a.is_grantable
FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid CROSS JOIN aclexplode(t.attacl) a
WHERE t.attacl IS NOT NULL AND NOT t.attisdropped AND c.relnamespace = ANY(%(schemas)s::oid[])
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (a.grantee <> c.relowner OR a.grantor <> c.relowner)
ORDER BY t.attnum
"""
# A row whose ACL is empty is a row all the same: without a schema, it takes away what is built in.
_DEFAULT_ACLS = """
SELECT d.oid, d.defaclrole, d.defaclnamespace, d.defaclobjtype,
       a.grantee, a.grantor, a.privilege_type, a.is_grantable
FROM pg_default_acl d LEFT JOIN LATERAL aclexplode(d.defaclacl) a ON a.grantee <> d.defaclrole
WHERE d.defaclnamespace = 0 OR d.defaclnamespace = ANY(%(schemas)s::oid[])
"""
# %(named_schemas)s (oids) and %(named_routines)s (LIKE), side by side: what the policy names outside of its scope.
# The last part: PostgreSQL's own, and extensions' among them, whose ACL isn't the initial one.
_ROUTINES = """
SELECT p.oid, p.pronamespace, p.proname, pg_get_function_identity_arguments(p.oid), p.proowner, p.prokind,
       p.prosecdef, p.proconfig, l.lanname
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
  LEFT JOIN pg_init_privs i ON i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid AND i.objsubid = 0
WHERE p.pronamespace = ANY(%(schemas)s::oid[])
  OR EXISTS (SELECT FROM unnest(%(named_schemas)s::oid[], %(named_routines)s::text[]) AS w (schema, name)
             WHERE p.pronamespace = w.schema AND p.proname LIKE w.name)
  OR (p.pronamespace = ANY(%(system)s::oid[]) AND p.proacl IS DISTINCT FROM i.initprivs
      AND coalesce(p.proacl, acldefault('f', p.proowner)) <> coalesce(i.initprivs, acldefault('f', p.proowner))
      AND (p.oid < 16384 OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                                    AND d.objid = p.oid AND d.deptype = 'e')))
ORDER BY p.pronamespace, p.proname, 4
"""
# Without arrays (their element's ACL counts) and the row types of tables. Since 17 a multirange's range counts too.
_TYPES = """
SELECT t.oid, t.typnamespace, t.typname, t.typowner, t.typtype
FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE t.typnamespace = ANY(%(schemas)s::oid[]) AND t.typtype IN ('b', 'c', 'd', 'e', 'r', 'm')
  AND (t.typtype <> 'm' OR current_setting('server_version_num')::int < 170000)
  AND (t.typtype <> 'c' OR c.relkind = 'c')
  AND NOT (t.typelem <> 0 AND t.typsubscript = 'array_subscript_handler'::regproc)
ORDER BY t.typnamespace, t.typname
"""
_NAMED = """
SELECT 'pg_language', oid, lanname, lanowner FROM pg_language
UNION ALL
SELECT 'pg_foreign_data_wrapper', oid, fdwname, fdwowner FROM pg_foreign_data_wrapper
UNION ALL
SELECT 'pg_foreign_server', oid, srvname, srvowner FROM pg_foreign_server
ORDER BY 3
"""
_LARGE_OBJECTS = "SELECT oid, lomowner FROM pg_largeobject_metadata ORDER BY oid"
# %(routines)s and %(types)s: oids. The ACL of an untrusted language means nothing: only superusers use it.
_ACLS = """
WITH own AS (
  SELECT 'pg_class' AS class, oid, relowner AS owner,
         coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) AS acl
  FROM pg_class WHERE relnamespace = ANY(%(schemas)s::oid[]) AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT 'pg_namespace', oid, nspowner, coalesce(nspacl, acldefault('n', nspowner))
  FROM pg_namespace WHERE oid = ANY(%(schemas)s::oid[])
  UNION ALL
  SELECT 'pg_proc', oid, proowner, coalesce(proacl, acldefault('f', proowner))
  FROM pg_proc WHERE oid = ANY(%(routines)s::oid[])
  UNION ALL
  SELECT 'pg_type', oid, typowner, coalesce(typacl, acldefault('T', typowner))
  FROM pg_type WHERE oid = ANY(%(types)s::oid[])
  UNION ALL
  SELECT 'pg_language', oid, lanowner, coalesce(lanacl, acldefault('l', lanowner))
  FROM pg_language WHERE lanpltrusted
  UNION ALL
  SELECT 'pg_foreign_data_wrapper', oid, fdwowner, coalesce(fdwacl, acldefault('F', fdwowner))
  FROM pg_foreign_data_wrapper
  UNION ALL
  SELECT 'pg_foreign_server', oid, srvowner, coalesce(srvacl, acldefault('S', srvowner)) FROM pg_foreign_server
  UNION ALL
  SELECT 'pg_largeobject', oid, lomowner, coalesce(lomacl, acldefault('L', lomowner)) FROM pg_largeobject_metadata
)
SELECT o.class, a.grantee, a.grantor, a.privilege_type, a.is_grantable, array_agg(o.oid::int8)
FROM own o CROSS JOIN aclexplode(o.acl) a
WHERE a.grantee <> o.owner OR a.grantor <> o.owner
GROUP BY 1, 2, 3, 4, 5
"""
# The ACLs that initdb or an extension's script left, which pg_init_privs has where they are not the default.
_INITIAL = """
WITH own AS (
  SELECT 'pg_proc' AS class, 'pg_proc'::regclass AS classoid, oid, proowner AS owner,
         acldefault('f', proowner) AS standard
  FROM pg_proc WHERE oid = ANY(%(routines)s::oid[])
  UNION ALL
  SELECT 'pg_class', 'pg_class'::regclass, c.oid, relowner,
         acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)
  FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
    AND d.deptype = 'e'
  WHERE relnamespace = ANY(%(schemas)s::oid[]) AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT 'pg_language', 'pg_language'::regclass, oid, lanowner, acldefault('l', lanowner)
  FROM pg_language WHERE lanpltrusted
  UNION ALL
  SELECT 'pg_foreign_data_wrapper', 'pg_foreign_data_wrapper'::regclass, oid, fdwowner, acldefault('F', fdwowner)
  FROM pg_foreign_data_wrapper
  UNION ALL
  SELECT 'pg_foreign_server', 'pg_foreign_server'::regclass, oid, srvowner, acldefault('S', srvowner)
  FROM pg_foreign_server
)
SELECT o.class, a.grantee, a.grantor, a.privilege_type, a.is_grantable, array_agg(o.oid::int8)
FROM own o
  LEFT JOIN pg_init_privs i ON i.classoid = o.classoid AND i.objoid = o.oid AND i.objsubid = 0
  CROSS JOIN aclexplode(coalesce(i.initprivs, o.standard)) a
WHERE a.grantee <> o.owner OR a.grantor <> o.owner
GROUP BY 1, 2, 3, 4, 5
"""
# %(relation_schemas)s and %(named_relations)s: as with routines. Only what isn't the initial ACL, or is named, comes
# back. What information_schema.sql grants is not on record in pg_init_privs: SELECT to PUBLIC, and nothing else.
# Columns come with a relation whose ACL is not the initial one: a REVOKE on it would take theirs along unseen.
_SYSTEM_RELATIONS = """
WITH relation AS (
  SELECT c.oid, c.relnamespace, c.relname, c.relkind, c.relowner, c.relacl,
         acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner) AS standard,
         EXISTS (SELECT FROM unnest(%(relation_schemas)s::oid[], %(named_relations)s::text[]) AS w (schema, name)
                 WHERE c.relnamespace = w.schema AND c.relname LIKE w.name) AS named
  FROM pg_class c
  WHERE c.relnamespace = ANY(%(system)s::oid[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
), own AS (
  SELECT r.oid, r.relnamespace, r.relname, r.relkind, r.relowner, NULL::name AS attname,
         coalesce(r.relacl, r.standard) AS acl,
         coalesce(i.initprivs, CASE WHEN r.relnamespace = 'information_schema'::regnamespace AND r.oid < 16384
                                         AND r.relacl IS NOT NULL
                                    THEN r.standard || makeaclitem(0, r.relowner, 'SELECT', false)
                                    ELSE r.standard END) AS initial,
         r.named
  FROM relation r
    LEFT JOIN pg_init_privs i ON i.classoid = 'pg_class'::regclass AND i.objoid = r.oid AND i.objsubid = 0
  UNION ALL
  SELECT r.oid, r.relnamespace, r.relname, r.relkind, r.relowner, t.attname,
         coalesce(t.attacl, acldefault('c', r.relowner)), coalesce(i.initprivs, acldefault('c', r.relowner)), false
  FROM relation r JOIN pg_attribute t ON t.attrelid = r.oid AND NOT t.attisdropped
    LEFT JOIN pg_init_privs i ON i.classoid = 'pg_class'::regclass AND i.objoid = r.oid AND i.objsubid = t.attnum
  WHERE t.attacl IS NOT NULL OR i.initprivs IS NOT NULL
)
SELECT o.oid, o.relnamespace, o.relname, o.relkind, o.relowner, o.attname,
       a.initial, a.grantee, a.grantor, a.privilege_type, a.is_grantable
FROM own o LEFT JOIN LATERAL (
  SELECT false AS initial, x.* FROM aclexplode(o.acl) x UNION ALL SELECT true, x.* FROM aclexplode(o.initial) x
) a ON a.grantee <> o.relowner OR a.grantor <> o.relowner
WHERE o.named OR o.acl <> o.initial
  OR EXISTS (SELECT FROM own w WHERE w.oid = o.oid AND w.attname IS NULL AND w.acl <> w.initial)
ORDER BY o.relnamespace, o.relname, o.attname NULLS FIRST
"""
# The third column has the bits 4 UPDATE, 8 INSERT, 16 DELETE: what works on the view, but for what INSTEAD rules (whose
# ev_type is the bit's number) and INSTEAD OF triggers (in tgtype: 4 INSERT, 8 DELETE, 16 UPDATE) do in its place.
_VIEWS = """
SELECT c.oid,
       EXISTS (SELECT FROM pg_options_to_table(c.reloptions) o
               WHERE o.option_name = 'security_invoker' AND o.option_value::bool),
       CASE c.relkind WHEN 'v' THEN pg_relation_is_updatable(c.oid, true) ELSE 0 END
         & ~ coalesce(r.bits, 0) & ~ coalesce(t.bits, 0)
FROM pg_class c
  LEFT JOIN (SELECT ev_class, bit_or(1 << ev_type::text::int) AS bits
             FROM pg_rewrite WHERE is_instead AND ev_type <> '1' GROUP BY ev_class) r ON r.ev_class = c.oid
  LEFT JOIN (SELECT tgrelid, bit_or(((tgtype & 12) << 1) | ((tgtype & 16) >> 2)) AS bits
             FROM pg_trigger WHERE tgtype & 64 <> 0 GROUP BY tgrelid) t ON t.tgrelid = c.oid
WHERE c.relnamespace = ANY(%(schemas)s::oid[]) AND c.relkind IN ('v', 'm')
"""
# A view is a rule too (event 1: SELECT). That a rule mentions its own relation says nothing.
_RULES = """
SELECT r.ev_class, r.rulename, r.ev_type,
       array_agg(DISTINCT d.refobjid::int8) FILTER (WHERE d.refobjid <> r.ev_class)
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
  LEFT JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'n'
WHERE c.relnamespace = ANY(%(schemas)s::oid[])
GROUP BY r.oid, r.ev_class, r.rulename, r.ev_type
ORDER BY r.ev_class, r.rulename
"""
# Before 15 the copies of a trigger on partitions are marked internal; what enforces a constraint always is.
_TRIGGERS = """
SELECT t.tgrelid, t.tgname, n.nspname, p.proname, p.prosecdef, p.proowner, t.tgenabled <> 'D', p.oid
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
  JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE c.relnamespace = ANY(%(schemas)s::oid[])
  AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstrrelid = 0 AND t.tgconstrindid = 0))
ORDER BY t.tgrelid, t.tgname
"""
_ROW_POLICIES = """
SELECT p.polrelid, p.polname, p.polcmd, p.polpermissive, p.polroles::int8[]
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
WHERE c.relnamespace = ANY(%(schemas)s::oid[])
ORDER BY p.polrelid, p.polname
"""
_EVENT_TRIGGERS = """
SELECT e.evtname, e.evtowner, e.evtevent, n.nspname, p.proname, e.evtenabled <> 'D'
FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid JOIN pg_namespace n ON n.oid = p.pronamespace
ORDER BY e.evtname
"""
# The last two columns: schema and table, the table NULL for a whole schema, both NULL for nothing.
_PUBLICATIONS = """
SELECT p.oid, p.pubname, p.pubowner, p.puballtables, n.nspname, c.relname
FROM pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid
  LEFT JOIN pg_class c ON c.oid = r.prrelid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY p.pubname, n.nspname, c.relname
"""
_PUBLICATIONS_15 = """
SELECT p.oid, p.pubname, p.pubowner, p.puballtables, w.nspname, w.relname
FROM pg_publication p LEFT JOIN (
  SELECT r.prpubid AS oid, n.nspname, c.relname
  FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL
  SELECT s.pnpubid, n.nspname, NULL FROM pg_publication_namespace s JOIN pg_namespace n ON n.oid = s.pnnspid
) w USING (oid)
ORDER BY p.pubname, w.nspname, w.relname NULLS FIRST
"""
_SUBSCRIPTIONS = """
SELECT subname, subowner, subenabled FROM pg_subscription
WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY subname
"""
_LO_COMPAT = "SELECT current_setting('lo_compat_privileges')::bool"
# The last of a database. %(outside)s: oids of relations that views and rules reach.
OUTSIDE = """
SELECT c.oid, n.nspname, c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY(%(outside)s::oid[])
"""


def members(version: int) -> dict[str, str]:
    """The queries that need nothing but the schemas of the scope, by their key in snapshot.objects's rows."""
    return {
        "extensions": _EXTENSIONS,
        "relations": _RELATIONS,
        "column_acls": _COLUMN_ACLS,
        "default_acls": _DEFAULT_ACLS,
        "routines": _ROUTINES,
        "types": _TYPES,
        "named": _NAMED,
        "large_objects": _LARGE_OBJECTS,
        "system_relations": _SYSTEM_RELATIONS,
        "views": _VIEWS,
        "rules": _RULES,
        "triggers": _TRIGGERS,
        "row_policies": _ROW_POLICIES,
        "event_triggers": _EVENT_TRIGGERS,
        "publications": _PUBLICATIONS_15 if version >= PUBLISHED_SCHEMAS else _PUBLICATIONS,
        "subscriptions": _SUBSCRIPTIONS,
        "lo_compat": _LO_COMPAT,
    }


# After members(): they need the oids of the routines and types found.
ACLS = {"acls": _ACLS, "initial": _INITIAL}


def count(version: int) -> int:
    """How many queries one database takes, whatever is in it: the schemas, the roles' names and OUTSIDE too."""
    return 3 + len(members(version)) + len(ACLS)
