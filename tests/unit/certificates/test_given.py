"""A certificate that is given for a host is what the server or the role needs, of the authority that is given."""

from __future__ import annotations

import datetime as dt
import ipaddress
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.filter import certificate_findings
from cryptography import x509
from cryptography.hazmat.primitives import hashes

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "stand_ins"))
import authority

MADE, STRANGER, KEY = authority.Authority(), authority.Authority(), authority.new_key()
ROOT = authority.text(MADE.root)


def problems(text: str, **options: t.Any) -> list[str]:
    found = certificate_findings.FilterModule().filters()["certificate_findings"]
    return found(text, **{"key": authority.pem(KEY), **options})["problems"]


def test_a_clients_certificate_is_known_by_its_common_name():
    assert problems(MADE.issue(KEY, "scraper"), common_name="scraper", authority=ROOT) == []
    said = problems(MADE.issue(KEY, "grafanareader", "scraper"), common_name="scraper", authority=ROOT)
    assert said == ["the common name of the certificate is grafanareader, and not scraper"]


def test_each_name_of_a_server_must_be_covered():
    text = MADE.issue(KEY, "database", "database.example.org")
    assert problems(text, name=["database", "database.example.org"], authority=ROOT) == []
    said = problems(text, name=["database", "elsewhere", "192.0.2.20"], authority=ROOT)
    assert [one.split("and not for ")[1] for one in said] == ["elsewhere", "192.0.2.20"]


@pytest.mark.parametrize(("held", "asked"), [("192.0.2.20", "192.0.2.20"), ("2001:db8::1", "2001:DB8:0::1")])
def test_an_address_is_covered_by_itself(held, asked):
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    built = (
        x509.CertificateBuilder(MADE.root.subject, name, KEY.public_key(), 1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(held))]), critical=False)
    )
    text = authority.text(built.sign(MADE.root_key, hashes.SHA256()))
    assert problems(text, name=[asked], authority=ROOT) == []
    assert problems(text, name=["192.0.2.21"], authority=ROOT) != []


def test_another_authoritys_is_found_out():
    """Its name is the same, and its signature is not."""
    sentence = ["the certificate of CN=scraper does not lead to the authority that is given"]
    assert problems(STRANGER.issue(KEY, "scraper"), common_name="scraper", authority=ROOT)[-1:] == [
        "the certificate of CN=Intermediate does not lead to the authority that is given"
    ]
    # The intermediate is missing, so that nobody could follow it.
    assert problems(MADE.leaf(KEY, "scraper"), common_name="scraper", authority=ROOT) == sentence
    both = authority.text(STRANGER.root) + ROOT
    assert problems(MADE.issue(KEY, "scraper"), common_name="scraper", authority=both) == []


def test_an_authority_that_can_not_be_read_is_said():
    assert problems(MADE.issue(KEY, "scraper"), common_name="scraper", authority="nothing") == [
        "there is no certificate in the authority's file"
    ]
