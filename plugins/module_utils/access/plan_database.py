# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan one database: owners, then the ACLs of schemas, tables, columns, sequences and routines, then defaults."""

from __future__ import annotations

from .acl import Acl, Change, Pair, after_owner_change, difference, missing
from .catalog import Cluster, DefaultAcl, Objects, Relation, Schema
from .model import PREDEFINED, Grant, Pattern, Policy
from .plan_acl import acl_statements, public_pairs
from .plan_cluster import protected_roles
from .statements import Access, Name, Part, Plan, Skipped, Statement, Target, role_part, role_shown, shown

# relkind: the noun of ALTER ... OWNER TO, and what a person calls it.
KINDS = {
    "r": "TABLE",
    "p": "TABLE",
    "v": "VIEW",
    "m": "MATERIALIZED VIEW",
    "f": "FOREIGN TABLE",
    "S": "SEQUENCE",
}
# defaclobjtype: the noun of ALTER DEFAULT PRIVILEGES.
DEFAULTS = {"r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES", "n": "SCHEMAS", "L": "LARGE OBJECTS"}
# The server that MAINTAIN came with.
MAINTAIN = 170000


def plan_database(policy: Policy, cluster: Cluster, objects: Objects, *, skip_missing: bool = False) -> Plan:
    """The statements that make *objects* what *policy* wants.

    ValueError where a grant, its ``except`` or ``revoke_execute`` names what isn't there, unless *skip_missing*: then
    it is in the plan's ``skipped``. SECURITY DEFINER routines that others may run always are. A schema of the scope
    that isn't there is created for its owner.
    """
    return _Database(policy, cluster, objects).plan(skip_missing)


class _Database:
    def __init__(self, policy: Policy, cluster: Cluster, objects: Objects) -> None:
        self.policy = policy
        self.cluster = cluster
        self.objects = objects
        self.protected = protected_roles(policy, cluster)
        self.owners: list[Statement] = []
        self.changes: list[tuple[Target, Change]] = []

    def plan(self, skip_missing: bool) -> Plan:
        self._check_privileges()
        skipped = self._missing()
        if skipped and not skip_missing:
            lines = "; ".join(f"{one.what} {one.why}" for one in skipped)
            raise ValueError(f"the policy names what is not in the database {self.objects.database}: {lines}")
        for name in self.policy.schemas:
            self._schema(name)
        self._relations()
        self._routines()
        statements = [*self.owners, *acl_statements(self.changes, database=self.objects.database), *self._defaults()]
        return Plan(tuple(statements), (*skipped, *self._definers()))

    def _check_privileges(self) -> None:
        granted = {privilege for grant in self.policy.grants for privilege in grant.privileges}
        if "MAINTAIN" in granted and self.cluster.version < MAINTAIN:
            raise ValueError("the policy grants maintain, which PostgreSQL has since 17: leave it out")

    def _missing(self) -> list[Skipped]:
        """What the policy names and is not there, or is not what it takes it for: mostly a typing error."""
        there = {(relation.schema, relation.name): relation for relation in self.objects.relations}
        found: dict[Skipped, None] = {}
        for grant in self.policy.grants:
            for pattern in grant.patterns:
                relation = there.get((pattern.schema, pattern.name))
                if pattern.exact and (relation is None or relation.extension or not _is_kind(grant, relation)):
                    what = f"{grant.kind} {shown(pattern.schema, pattern.name)}"
                    found[Skipped(what, _why(relation), warn=relation is None)] = None
            for pattern in grant.excepted:
                why = _why_excepted(grant, pattern, there.get((pattern.schema, pattern.name)))
                if pattern.exact and why is not None:
                    found[Skipped(f"except {shown(pattern.schema, pattern.name)}", why, warn=True)] = None
        for pattern in self.policy.revoke_execute:
            if not any(pattern.matches(routine.schema, routine.name) for routine in self.objects.routines):
                found[Skipped(f"revoke_execute {pattern}", "does not exist", warn=True)] = None
        return list(found)

    def _definers(self) -> list[Skipped]:
        """SECURITY DEFINER routines that others may run: who does acts as the owner, past all that is granted here."""
        skipped = []
        for one in self.objects.definers:
            by = ["PUBLIC"] if one.public else [shown(role) for role in one.roles]
            revoked = any(pattern.matches(one.schema, one.name) for pattern in self.policy.revoke_execute)
            if not by or (revoked and self.policy.authoritative):
                continue
            what = f"routine {shown(one.schema, one.name)}({one.arguments}){self._place}"
            why = (
                f"is SECURITY DEFINER and {', '.join(by)} may run it with the rights of {shown(one.owner)}, which the "
                "policy does not look at: revoke that by hand, or name it under public.revoke_execute"
            )
            skipped.append(Skipped(what, why, warn=True))
        return skipped

    def _difference(self, owner: str, acl: Acl, wanted: set[Pair]) -> Change:
        if not self.policy.authoritative:
            return missing(owner, acl, wanted)
        if not self.policy.public:
            wanted = wanted | public_pairs(acl)
        return difference(owner, acl, wanted, self.protected)

    def _schema(self, name: str) -> None:
        wanted_owner = self.policy.owners.get(name)
        schema = self.objects.schemas.get(name)
        if schema is None:
            if wanted_owner is None:
                raise ValueError(
                    f"the schema {name} is not in the database {self.objects.database}: "
                    "write its owner under owners and it is created"
                )
            parts = ("CREATE SCHEMA ", Name((name,)), " AUTHORIZATION ", Name((wanted_owner,)))
            line = f"schema {shown(name)}{self._place} is owned by {shown(wanted_owner)}"
            self.owners.append(Statement("create", parts, after=(line,)))
            schema = Schema(name, wanted_owner, ())
        owner, acl = self._owned("SCHEMA", (name,), schema.owner, schema.acl, wanted_owner)
        wanted = {
            (role, privilege)
            for grant in self.policy.grants
            if grant.kind == "schema" and name in grant.names
            for role in grant.to
            for privilege in grant.privileges
        }
        self.changes.append((Target("SCHEMA", (name,)), self._difference(owner, acl, wanted)))

    @property
    def _place(self) -> str:
        return f" in {shown(self.objects.database)}"

    def _owned(self, noun: str, name: tuple[str, ...], owner: str, acl: Acl, wanted: str | None) -> tuple[str, Acl]:
        """Plan the change of owner, if any; who owns it then, and its ACL then."""
        if wanted is None or wanted == owner or not self.policy.authoritative:
            return owner, acl
        parts = (f"ALTER {noun} ", Name(name), " OWNER TO ", Name((wanted,)))
        line = f"{noun.lower()} {shown(*name)}{self._place} is owned by "
        relation = (name[0], name[1]) if len(name) > 1 else None
        before, after = (line + shown(owner),), (line + shown(wanted),)
        self.owners.append(Statement("owner", parts, before, after, relation=relation))
        return wanted, after_owner_change(acl, owner, wanted)

    def _relations(self) -> None:
        grants = {
            kind: [grant for grant in self.policy.grants if grant.kind == kind] for kind in ("tables", "sequences")
        }
        by_oid = {relation.oid: relation for relation in self.objects.relations}
        for relation in sorted(self.objects.relations, key=lambda one: (one.schema, one.name)):
            # What an extension made has the extension's own ACL, which pg_dump leaves to it too.
            if relation.extension:
                continue
            sequence = relation.kind == "S"
            name = (relation.schema, relation.name)
            wanted = {
                (role, privilege)
                for grant in grants["sequences" if sequence else "tables"]
                if grant.covers(*name)
                for role in grant.to
                for privilege in grant.privileges
            }
            owner, acl, new_owner = relation.owner, relation.acl, self.policy.owners.get(relation.schema)
            if relation.follows is None:
                owner, acl = self._owned(KINDS[relation.kind], name, owner, acl, new_owner)
            elif self.policy.authoritative:
                # Its table's ALTER ... OWNER takes it along; a table out of scope keeps its owner, and so does this.
                table = by_oid.get(relation.follows)
                follows = new_owner if table is not None and not table.extension else None
                acl = after_owner_change(acl, owner, follows) if follows not in (None, owner) else acl
                owner = follows or owner
            target = Target("SEQUENCE" if sequence else "TABLE", name)
            self.changes.append((target, self._difference(owner, acl, wanted)))
            if self.policy.authoritative and relation.columns:
                self._columns(relation, owner)

    def _columns(self, relation: Relation, owner: str) -> None:
        """The policy grants whole tables: what a column's own ACL has is taken away."""
        for column, acl in sorted(relation.columns.items()):
            merged = after_owner_change(acl, relation.owner, owner)
            target = Target("TABLE", (relation.schema, relation.name), column=column)
            self.changes.append((target, self._difference(owner, merged, set())))

    def _routines(self) -> None:
        if not self.policy.authoritative:
            return
        # initdb grants some functions to predefined roles: those stay.
        kept = self.protected | {name for name in self.cluster.roles if name.startswith(PREDEFINED)}
        for routine in sorted(self.objects.routines, key=lambda one: (one.schema, one.name, one.arguments)):
            target = Target("ROUTINE", (routine.schema, routine.name), arguments=routine.arguments)
            self.changes.append((target, difference(routine.owner, routine.acl, (), kept)))

    def _defaults(self) -> list[Statement]:
        wanted: dict[tuple[str, str | None, str], set[Pair]] = {}
        for grant in self.policy.grants:
            if grant.future:
                kind = "r" if grant.kind == "tables" else "S"
                for pattern in grant.patterns:
                    made = wanted.setdefault((self.policy.owners[pattern.schema], pattern.schema, kind), set())
                    made |= {(role, privilege) for role in grant.to for privilege in grant.privileges}
        live = {(one.creator, one.schema, one.kind): one for one in self.objects.defaults if self._counts(one)}
        statements: list[Statement] = []
        grants: list[Statement] = []
        for key in [*live, *(key for key in wanted if key not in live)]:
            acl = live[key].acl if key in live else ()
            change = self._difference(key[0], acl, wanted.get(key, set()))
            for verb, pairs in (("option", change.options), ("revoke", change.revokes), ("grant", change.grants)):
                for role in sorted({pair[0] for pair in pairs}):
                    privileges = tuple(sorted(privilege for one, privilege in pairs if one == role))
                    statement = self._default(key, verb, role, privileges)
                    (grants if verb == "grant" else statements).append(statement)
        return statements + grants

    def _counts(self, default: DefaultAcl) -> bool:
        """Whether what *creator* makes may come to lie in the scope.

        Without a schema they reach into the scope if their creator can: owners, the policy's roles, superusers.
        """
        if default.schema is not None:
            return True
        creators = self.policy.roles.keys() | set(self.policy.owners.values()) | self.protected
        return default.creator in creators

    def _default(
        self, key: tuple[str, str | None, str], verb: str, role: str, privileges: tuple[str, ...]
    ) -> Statement:
        creator, schema, kind = key
        where: tuple[Part, ...] = () if schema is None else (" IN SCHEMA ", Name((schema,)))
        head: tuple[Part, ...] = ("ALTER DEFAULT PRIVILEGES FOR ROLE ", Name((creator,)), *where)
        what = f"{', '.join(privileges)} ON {DEFAULTS[kind]} "
        if verb == "grant":
            parts: tuple[Part, ...] = (*head, f" GRANT {what}TO ", role_part(role))
        else:
            option = "GRANT OPTION FOR " if verb == "option" else ""
            parts = (*head, f" REVOKE {option}{what}FROM ", role_part(role), " CASCADE")
        place = f"{'any schema' if schema is None else shown(schema)} of {shown(self.objects.database)}"
        new = f"new {DEFAULTS[kind].lower()} of {shown(creator)} in {place}"
        line = f"{role_shown(role)} may {', '.join(privileges)}{', and grant it' if verb == 'option' else ''} on {new}"
        given = verb == "grant"
        return Statement(
            kind="grant" if given else "revoke",
            parts=parts,
            before=() if given else (line,),
            after=(line,) if given else (),
            access=Access(
                role=role,
                privileges=privileges,
                on=f"new {DEFAULTS[kind].lower()}",
                names=("*" if schema is None else f"{shown(schema)}.*",),
                database=self.objects.database,
                grant_option=verb == "option",
            ),
        )


def _is_kind(grant: Grant, relation: Relation) -> bool:
    return (grant.kind == "sequences") == (relation.kind == "S")


def _why_excepted(grant: Grant, pattern: Pattern, relation: Relation | None) -> str | None:
    """Why the name *pattern* excepts nothing from *grant*; None where it does."""
    if relation is None:
        return "does not exist"
    if not _is_kind(grant, relation):
        return f"is no name under {grant.kind}: it excepts nothing"
    if not any(covering.matches(pattern.schema, pattern.name) for covering in grant.patterns):
        return "is not among what the grant is on: it excepts nothing"
    return None


def _why(relation: Relation | None) -> str:
    if relation is None:
        return "does not exist"
    if relation.extension:
        return "belongs to an extension, whose privileges are left alone"
    return "is a sequence: write it under sequences" if relation.kind == "S" else "is a table: write it under tables"
