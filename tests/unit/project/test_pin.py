"""A project's pin is compared with the version that is here."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.project.pin import (
    DIFFERS,
    FITS,
    UNKNOWN,
    fits,
    judged,
    pinned,
)

NAME = "taaraxtak.production"


@pytest.mark.parametrize(
    ("wanted", "version", "expected"),
    [
        ("0.1.0", "0.1.0", True),
        ("==0.1.0", "0.1.0", True),
        ("v0.1.0", "0.1.0", True),
        ("0.1.0", "0.2.0", False),
        ("0.1", "0.1.0", True),
        (">=0.1,<1", "0.10.0", True),
        (">=0.1,<1", "1.0.0", False),
        (">0.9.0", "0.10.0", True),
        ("!=0.2.0", "0.2.0", False),
        ("*", "9.9.9", True),
        ("0.2.0-rc.1", "0.2.0-rc.1", True),
        ("0.2.0-rc.1", "0.2.0", False),
        ("0.2.0", "0.2.0-rc.1", False),
        (">=0.2.0", "0.2.0-rc.1", False),
        ("<0.2.0", "0.2.0-rc.1", True),
        (">0.2.0-rc.2", "0.2.0-rc.10", True),
    ],
)
def test_a_version_is_compared_by_its_numbers(wanted, version, expected):
    assert fits(wanted, version) is expected


@pytest.mark.parametrize("wanted", ["main", "0123abc", "~=1.2", ""])
def test_what_is_no_version_is_never_taken_for_one(wanted):
    with pytest.raises(ValueError, match="can't be compared"):
        fits(wanted, "0.1.0")


def test_the_pin_is_read():
    held = {"collections": ["ansible.posix", {"name": "ansible.posix"}, {"name": NAME, "version": "0.1.0"}]}
    assert pinned(held, NAME) == "0.1.0"


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (None, "is not there"),
        ({"collections": None}, "is not there"),
        ({"collections": [{"name": "another.one", "version": "1.0.0"}]}, "is not there"),
        ({"collections": [{"name": NAME}]}, "has no version"),
        ({"collections": [{"name": NAME, "version": "*"}]}, "has no version"),
    ],
)
def test_a_project_without_a_pin_is_said(held, why):
    with pytest.raises(ValueError, match=why):
        pinned(held, NAME)


@pytest.mark.parametrize(
    ("version", "kind", "verdict"),
    [
        ("0.1.0", None, FITS),
        ("7.0.0-rc.1", None, DIFFERS),
        ("0.1.0-rc.1", None, DIFFERS),
        ("O.2.0", None, DIFFERS),
        ("O.2.0", "git", DIFFERS),
        ("0.1.0.", None, DIFFERS),
        ("main", None, DIFFERS),
        ("main", "git", UNKNOWN),
        ("stable-2.15", "git", UNKNOWN),
        ("0123abcd", None, UNKNOWN),
        ("0123abc" * 6, None, DIFFERS),
        ("", None, DIFFERS),
    ],
)
def test_people_decide_of_nothing_but_commits_and_branches(version, kind, verdict):
    held = {"collections": [{"name": NAME, "version": version, **({"type": kind} if kind else {})}]}
    assert judged(held, "0.1.0")[0] == verdict


def test_a_project_without_a_pin_is_another_versions():
    assert judged(None, "0.1.0") == (
        DIFFERS,
        f"requirements.yml: {NAME} is not there: write its name and version below collections",
    )
