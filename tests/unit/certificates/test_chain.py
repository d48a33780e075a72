"""A certificate that a browser or the server would refuse is found out before any host has it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.certificates import chain, pem

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "stand_ins"))
import authority

NAME = "grafana.example.org"
NOW = datetime.now(UTC)
MADE, KEY, OTHER = authority.Authority(), authority.new_key(), authority.new_key()
MIDDLE = authority.text(MADE.intermediate)


def problems(text: str, key: authority.Key = KEY, now: datetime = NOW) -> list[str]:
    return chain.problems(pem.read_chain(text), pem.read_public_key(authority.pem(key)), [NAME], now)


@pytest.mark.parametrize(
    "text",
    [
        MADE.issue(KEY, NAME),
        MADE.issue(KEY, "elsewhere.example.org", NAME),
        MADE.issue(KEY, "*.example.org"),
        MADE.issue(KEY, "GRAFANA.example.org"),
        MADE.leaf(KEY, NAME),
        MADE.issue(KEY, NAME) + authority.text(MADE.root),
    ],
    ids=["chain", "second name", "star", "capitals", "alone", "with the root"],
)
def test_what_is_right_is_let_pass(text):
    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "there is no certificate in the file"),
        (authority.pem(KEY), "there is no certificate in the file"),
        (MIDDLE + MADE.leaf(KEY, NAME), "does not stand first"),
        (
            MADE.leaf(KEY, NAME) + authority.text(MADE.root) + MIDDLE,
            "was not issued by the next one in the file, CN=Root",
        ),
        (MADE.leaf(KEY, NAME) + MADE.leaf(KEY, NAME), "was not issued by the next one"),
        (MADE.issue(KEY, "elsewhere.example.org"), f"is for elsewhere.example.org, and not for {NAME}"),
        (MADE.issue(KEY, "*.org"), "and not for"),
        (MADE.issue(KEY, "*.grafana.example.org"), "and not for"),
        (MADE.issue(KEY, NAME, days=-1), f"ended on {NOW - timedelta(days=1):%Y-%m-%d}"),
        (MADE.issue(KEY, NAME, since=-1), f"begins on {NOW + timedelta(days=1):%Y-%m-%d}"),
    ],
)
def test_what_would_be_refused_is_said(text, sentence):
    assert any(sentence in one for one in problems(text)), problems(text)


def test_another_key_is_said():
    assert problems(MADE.issue(KEY, NAME), OTHER) == [f"the key is not that of the certificate of CN={NAME}"]


def test_a_forged_issuer_of_the_right_name_is_found_out():
    stranger = authority.Authority()
    found = problems(MADE.leaf(KEY, NAME) + authority.text(stranger.intermediate))
    assert any("was not issued by the next one" in one for one in found)


@pytest.mark.parametrize(("days", "count"), [(13.5, 1), (14.5, 0), (-1, 0)])
def test_fewer_than_fourteen_days_are_a_warning(days, count):
    found = chain.warnings(pem.read_chain(MADE.leaf(KEY, NAME, days=days)), NOW)
    assert len(found) == count
    assert all("in 13 days" in one for one in found)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (authority.pem(KEY, authority.BestAvailableEncryption(b"hunter2")), "has a passphrase"),
        ("hunter2", "must be a private key in PEM"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n", "must be a private key in PEM"),
    ],
)
def test_a_key_that_can_not_be_read_is_said_and_not_repeated(text, sentence):
    with pytest.raises(ValueError, match=sentence) as told:
        pem.read_public_key(text)
    assert "hunter2" not in str(told.value)


def test_a_certificate_that_can_not_be_read_is_said():
    with pytest.raises(ValueError, match="can't be read"):
        pem.read_chain("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
