"""Findings about owners that no plan changes."""

from __future__ import annotations

import datetime

from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.audit import audit
from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.effective import Effective
from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.facts import Facts
from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.findings import Finding
from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.owners import find
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.tests.unit.access.snapshots import POLICY, cluster, objects, role

OWNED = (
    catalog.Owned("EXTENSION", "hstore", "reader"),
    catalog.Owned("EVENT TRIGGER", "e", "postgres"),
    catalog.Owned("PUBLICATION", "P", "reader"),
    catalog.Owned("USER MAPPING", "sv", "postgres"),
    # A plan changes this one's.
    catalog.Owned("COLLATION", "public.c", "reader", "public"),
)


def found() -> list[Finding]:
    there = objects(
        owned=OWNED,
        servers=(catalog.Named("sv", "reader", ()),),
        large_objects=(catalog.LargeObject(7, "reader", ()), catalog.LargeObject(5, "reader", ())),
    )
    held = cluster()
    return list(find(Facts(parse(POLICY), held, there, Effective(held, there), ())))


def test_what_lies_in_no_schema_and_belongs_to_a_plain_role_is_a_finding_with_its_remedy():
    assert [(one.rule, one.severity, one.object, one.remedy) for one in found()] == [
        ("foreign-owner", "high", "foreign server sv", 'ALTER SERVER "sv" OWNER TO "postgres"'),
        ("foreign-owner", "high", "extension hstore", 'REASSIGN OWNED BY "reader" TO "postgres"'),
        ("foreign-owner", "medium", 'publication "P"', 'ALTER PUBLICATION "P" OWNER TO "postgres"'),
        (
            *("user-mapping", "medium", "user mapping for PUBLIC of the foreign server sv"),
            'DROP USER MAPPING FOR PUBLIC SERVER "sv"',
        ),
        (
            *("foreign-owner", "medium", "2 large objects (5, 7)"),
            'ALTER LARGE OBJECT 5 OWNER TO "postgres"; ALTER LARGE OBJECT 7 OWNER TO "postgres"',
        ),
    ]


def test_a_password_that_has_run_out_is_a_finding_of_its_own_word():
    held = cluster()
    reader = role("reader", login=True, valid_until="2020-01-01T00:00:00+00:00")
    held = cluster(roles={**held.roles, "reader": reader})
    (one,) = audit(parse(POLICY), held, {}, today=datetime.date(2026, 1, 1)).findings
    assert (one.rule, one.role, one.privilege) == ("role-attribute", "reader", "VALID UNTIL")
    assert one.remedy == "ALTER ROLE \"reader\" VALID UNTIL 'infinity'"
