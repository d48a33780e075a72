# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read certificates and keys from PEM, by cryptography, which ansible-core itself needs: on the control machine."""

from __future__ import annotations

import typing as t
import warnings
from datetime import UTC, datetime

from .chain import Certificate

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
except ImportError:
    MISSING = True
else:
    MISSING = False


def read_chain(text: str) -> tuple[Certificate, ...]:
    """The certificates of a file, in its order; ValueError where one can't be read."""
    if MISSING:
        raise ValueError("the Python package cryptography is missing on this machine.")
    if "-----BEGIN CERTIFICATE-----" not in text:
        return ()
    try:
        found = x509.load_pem_x509_certificates(text.encode())
        return tuple(_certificate(one, following) for one, following in zip(found, [*found[1:], None], strict=True))
    except ValueError as error:
        raise ValueError("a certificate of the file can't be read: it must be PEM, as text.") from error


def led_to(text: str, authority: str) -> list[str]:
    """What is wrong with the last certificate of *text*, which one of *authority*, as text in PEM, must have signed."""
    if "-----BEGIN CERTIFICATE-----" not in authority:
        return ["there is no certificate in the authority's file"]
    try:
        known = x509.load_pem_x509_certificates(authority.encode())
        last = x509.load_pem_x509_certificates(text.encode())[-1]
    except ValueError as error:
        raise ValueError("a certificate of the authority can't be read: it must be PEM, as text.") from error
    if last in known or any(_signed(last, one) for one in known):
        return []
    return [f"the certificate of {last.subject.rfc4514_string()} does not lead to the authority that is given"]


def read_public_key(text: str) -> bytes:
    """The public half of a private key, in DER; ValueError, without a word of the key, where there is none."""
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except TypeError as error:
        raise ValueError("the key has a passphrase, which nobody could type when the server starts.") from error
    except Exception:  # ValueError, UnsupportedAlgorithm: their words could repeat what was given
        raise ValueError("the key can't be read: it must be a private key in PEM, as text.") from None
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _certificate(one: x509.Certificate, following: x509.Certificate | None) -> Certificate:
    begins, ends = _times(one)
    return Certificate(
        subject=one.subject.rfc4514_string() or "no subject",
        common_name=", ".join(str(part.value) for part in one.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)),
        names=_names(one),
        begins=begins,
        ends=ends,
        key=one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        signed_by_next=None if following is None else _signed(one, following),
    )


def _names(one: x509.Certificate) -> tuple[str, ...]:
    try:
        held = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (*held.get_values_for_type(x509.DNSName), *map(str, held.get_values_for_type(x509.IPAddress)))


def _signed(one: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _times(one: x509.Certificate) -> tuple[datetime, datetime]:
    if hasattr(one, "not_valid_after_utc"):
        return one.not_valid_before_utc, one.not_valid_after_utc
    old: t.Any = one  # before cryptography 42 they come without a zone, and are UTC
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return old.not_valid_before.replace(tzinfo=UTC), old.not_valid_after.replace(tzinfo=UTC)
