"""SCRAM verifiers: as the RFCs have them, and of which passwords they say yes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

import pytest
from ansible_collections.taaraxtak.production.plugins.filter.scram_verifier import FilterModule, scram_verifier
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.passwords import (
    fits,
    prepared,
    salt_for,
    verifier,
)
from hypothesis import given, settings
from hypothesis import strategies as st

SALT = bytes(range(16))
PASSWORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)


def test_the_keys_are_those_of_rfc_7677_s_example():
    """Section 3: user "user", password "pencil". ClientProof and ServerSignature there follow from these keys."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    found = re.fullmatch(r"SCRAM-SHA-256\$4096:(.*)\$(.*):(.*)", verifier("pencil", salt))
    assert found
    stored, server = (base64.b64decode(key) for key in found.group(2, 3))
    nonce = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    message = f"n=user,r=rOprNGfwEbeRWgbNEkqO,{nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,{nonce}".encode()
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client = bytes(a ^ b for a, b in zip(proof, hmac.digest(stored, message, "sha256"), strict=True))
    assert hashlib.sha256(client).digest() == stored
    assert base64.b64encode(hmac.digest(server, message, "sha256")) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@pytest.mark.parametrize(
    ("password", "bytes_"),
    [
        ("I\u00adX", b"IX"),  # RFC 4013, section 3, as far as PostgreSQL goes by it: mapped to nothing
        ("user", b"user"),
        ("USER", b"USER"),
        ("\u00aa", b"a"),  # normalised
        ("\u2168", b"IX"),
        ("a\u00a0b", b"a b"),  # another blank
        ("a\u200bb", b"a b"),
        ("\u00ad", b"\xc2\xad"),  # nothing would be left
        ("\x07", b"\x07"),  # ASCII is not looked at
        ("é\x07", "é\x07".encode()),  # prohibited: as it is
        ("\u00aa\x07", "\u00aa\x07".encode()),
        ("\u0627\u0031", "\u06271".encode()),  # right-to-left, and no such character last
        ("\u0627a\u0627", "\u0627a\u0627".encode()),
        ("\u06271\u0627", "\u06271\u0627".encode()),
        ("\ufb2a\u0627", "\u05e9\u05c1\u0627".encode()),  # right-to-left through and through: normalised
        ("\u00aa😀", "\u00aa😀".encode()),  # unassigned in Unicode 3.2
        ("ﬁ", b"fi"),
        ("é", "é".encode()),
        ("e\u0301", "é".encode()),
    ],
)
def test_a_password_is_prepared_as_postgresql_does(password, bytes_):
    assert prepared(password) == bytes_


def test_the_form_is_the_one_that_pg_authid_has():
    assert re.fullmatch(r"SCRAM-SHA-256\$4096:[\w+/]{22}==\$[\w+/]{43}=:[\w+/]{43}=", verifier("x", SALT))
    assert verifier("x", SALT, 5000).startswith("SCRAM-SHA-256$5000:")


@settings(max_examples=50, deadline=None)
@given(PASSWORDS, PASSWORDS)
def test_only_the_password_fits(password, other):
    stored = verifier(password, SALT, 2)
    assert fits(password, stored)
    assert fits(other, stored) == (prepared(other) == prepared(password))
    assert not fits("", stored)


@pytest.mark.parametrize(
    "stored",
    [
        "md5a3556571e93b0d20722ba62be61e8c2d",
        "",
        "plain",
        "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA",
        verifier("x", SALT)[:-1],
        verifier("x", SALT) + "\n",
        verifier("x", SALT).replace("4096", "0"),
        verifier("x", SALT).replace("=", "é"),
    ],
)
def test_what_is_no_verifier_is_said_to_be_none(stored):
    with pytest.raises(ValueError, match="no SCRAM-SHA-256 verifier"):
        fits("x", stored)


@pytest.mark.parametrize(
    ("password", "said"), [("", "is empty"), ("a\0b", "no client can send"), ("\ud800", "no client")]
)
def test_a_password_that_can_never_log_in_is_refused(password, said):
    with pytest.raises(ValueError, match=said):
        verifier(password, SALT)


def test_the_salt_is_the_same_in_each_run_and_no_other_role_s():
    assert salt_for("db1", "reader") == salt_for("db1", "reader")
    assert len(salt_for("db1", "reader")) == 16
    four = {salt_for("db1", "reader"), salt_for("db1", "writer"), salt_for("db2", "reader"), salt_for("db1r", "eader")}
    assert len(four) == 4


def test_the_filter_makes_the_same_verifier_each_time_and_it_fits():
    made = FilterModule().filters()["scram_verifier"]
    assert made is scram_verifier
    assert made("pässword", "db1", "reader") == made("pässword", "db1", "reader") != made("pässword", "db1", "writer")
    assert fits("pässword", made("pässword", "db1", "reader"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("", "h", "r"), "the password is empty"),
        ((None, "h", "r"), "the password is empty or no text"),
        ((12345, "h", "r"), "the password is empty or no text"),
        (("s3cret", "", "r"), "the host is empty"),
        (("s3cret", "h", None), "the role is empty"),
    ],
)
def test_the_filter_refuses_what_is_missing_and_repeats_no_password(arguments, said):
    with pytest.raises(ValueError, match=said) as error:
        scram_verifier(*arguments)
    assert "s3cret" not in str(error.value)
    assert "12345" not in str(error.value)
