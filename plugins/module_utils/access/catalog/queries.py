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

# Parameters have ACLs since 15; memberships have options since 16.
PARAMETER_ACLS = 150000
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
       encode(sha256(convert_to(rolpassword, 'UTF8')), 'hex'), nullif(to_json(rolvaliduntil) #>> '{}', 'infinity')
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
# What has an owner and no ACL: in the schemas, as ALTER names it; and in none (schema 0), by its name. A user mapping
# for PUBLIC has the role 0: it lends one password to everybody who may use its server.
_OWNED = """
WITH lying AS (
  SELECT 'pg_collation'::regclass AS class, 'COLLATION' AS noun, oid, collnamespace AS schema, collowner AS owner
  FROM pg_collation
  UNION ALL
  SELECT 'pg_conversion', 'CONVERSION', oid, connamespace, conowner FROM pg_conversion
  UNION ALL
  SELECT 'pg_operator', 'OPERATOR', oid, oprnamespace, oprowner FROM pg_operator
  UNION ALL
  SELECT 'pg_opclass', 'OPERATOR CLASS', oid, opcnamespace, opcowner FROM pg_opclass
  UNION ALL
  SELECT 'pg_opfamily', 'OPERATOR FAMILY', oid, opfnamespace, opfowner FROM pg_opfamily
  UNION ALL
  SELECT 'pg_statistic_ext', 'STATISTICS', oid, stxnamespace, stxowner FROM pg_statistic_ext
  UNION ALL
  SELECT 'pg_ts_config', 'TEXT SEARCH CONFIGURATION', oid, cfgnamespace, cfgowner FROM pg_ts_config
  UNION ALL
  SELECT 'pg_ts_dict', 'TEXT SEARCH DICTIONARY', oid, dictnamespace, dictowner FROM pg_ts_dict
)
SELECT class::text, oid, noun, schema, (pg_identify_object(class, oid, 0)).identity, owner
FROM lying WHERE schema = ANY(%(schemas)s::oid[])
UNION ALL
SELECT 'pg_extension', oid, 'EXTENSION', 0, extname, extowner FROM pg_extension
UNION ALL
SELECT 'pg_event_trigger', oid, 'EVENT TRIGGER', 0, evtname, evtowner FROM pg_event_trigger
UNION ALL
SELECT 'pg_publication', oid, 'PUBLICATION', 0, pubname, pubowner FROM pg_publication
UNION ALL
SELECT 'pg_user_mapping', u.oid, 'USER MAPPING', 0, s.srvname, s.srvowner
FROM pg_user_mapping u JOIN pg_foreign_server s ON s.oid = u.umserver WHERE u.umuser = 0
ORDER BY 3, 5
"""
# %(column_schemas)s and %(column_tables)s: as with routines. The columns of the tables that grants on columns name.
_COLUMN_NAMES = """
SELECT c.relnamespace, c.relname, array_agg(DISTINCT a.attname::text) FILTER (WHERE NOT a.attisdropped)
FROM unnest(%(column_schemas)s::oid[], %(column_tables)s::text[]) AS w (schema, name)
  JOIN pg_class c ON c.relnamespace = w.schema AND c.relname LIKE w.name AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid
GROUP BY c.relnamespace, c.relname
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
        "owned": _OWNED,
        "column_names": _COLUMN_NAMES,
        "large_objects": _LARGE_OBJECTS,
        "system_relations": _SYSTEM_RELATIONS,
    }


# After members(): they need the oids of the routines and types found.
ACLS = {"acls": _ACLS, "initial": _INITIAL}


def count(version: int) -> int:
    """How many queries one database takes, whatever is in it: the schemas and the roles' names too."""
    return 2 + len(members(version)) + len(ACLS)
