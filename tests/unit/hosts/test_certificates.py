"""When certificates of a host end, read from the files themselves; what is no certificate is told."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.hosts.certificates import look
from ansible_collections.taaraxtak.production.plugins.module_utils.hosts.parsing.certificates import ends
from ansible_collections.taaraxtak.production.tests.stand_ins.authority import Authority, new_key
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
FAR = dt.datetime(2061, 2, 3, 4, 5, 6, tzinfo=dt.UTC)


def listed(end: dt.datetime | None, *, revoked: int = 1) -> bytes:
    """A list of *revoked* certificates."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Root")])
    builder = x509.CertificateRevocationListBuilder(name, NOW, end or NOW)
    for number in range(revoked):
        one = x509.RevokedCertificateBuilder().serial_number(number + 1).revocation_date(NOW).build()
        builder = builder.add_revoked_certificate(one)
    return builder.sign(new_key(), hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def test_each_certificate_of_a_chain_tells_its_end(authority):
    chain = authority.issue(new_key(), "a.example.org", days=12.5)
    said = [one.not_valid_after_utc for one in x509.load_pem_x509_certificates(chain.encode())]
    assert len(said) == 2
    assert ends(chain.encode()) == said


@pytest.mark.parametrize("end", [NOW + dt.timedelta(days=20), FAR])
@pytest.mark.parametrize("revoked", [0, 3])
def test_a_list_of_revoked_certificates_tells_its_end(end, revoked):
    assert ends(listed(end, revoked=revoked)) == [end]


def test_a_certificate_that_ends_after_2049_tells_so(authority):
    days = (FAR - dt.datetime.now(dt.UTC)) / dt.timedelta(days=1)
    (end,) = ends(authority.leaf(new_key(), "a.example.org", days=days).encode())
    assert abs(end - FAR) < dt.timedelta(minutes=1)


@pytest.mark.parametrize("length", [0, 1, 5, 40, 200])
def test_one_that_is_cut_off_is_none(authority, length):
    text = authority.leaf(new_key(), "a.example.org")
    begin, *body, end = text.strip().splitlines()
    cut = "".join(body)[: length - length % 4]
    with pytest.raises(ValueError, match=r"ends|put together|padding"):
        ends(f"{begin}\n{cut or 'AAAA'}\n{end}\n".encode())


def test_of_a_file_the_first_end_counts(authority, tmp_path):
    path = tmp_path / "a.pem"
    path.write_text(authority.issue(new_key(), "a.example.org", days=200))
    (one,) = look([str(path)])["files"]
    # The intermediate's is earlier.
    assert dt.datetime.fromisoformat(one["ends"]) == authority.intermediate.not_valid_after_utc
    assert one["problem"] == ""


def test_a_pattern_stands_for_every_file_and_for_none_that_is_not_there(authority, tmp_path):
    for name in ("b.pem", "a.pem", "a.key"):
        (tmp_path / name).write_text(authority.leaf(new_key(), "a.example.org"))
    found = look([f"{tmp_path}/*.pem", f"{tmp_path}/none/*.pem"])["files"]
    assert [(Path(one["path"]).name, one["problem"]) for one in found] == [
        ("a.pem", ""),
        ("b.pem", ""),
        ("*.pem", "it is not there"),
    ]
    assert {one["asked"] for one in found} == {f"{tmp_path}/*.pem", f"{tmp_path}/none/*.pem"}


def test_what_is_no_certificate_is_told_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "text").write_text("nothing")
    (tmp_path / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    (tmp_path / "odd").write_text("-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n")
    said = {
        name: look([str(tmp_path / name)])["files"][0]["problem"]
        for name in ("fifo", "text", "large", "odd", "nowhere", ".")
    }
    assert said["fifo"] == "it can't be read: it is no file"
    assert said["text"] == "there is no certificate in it"
    assert said["large"] == "it can't be read: it is too large for a certificate"
    assert said["odd"].startswith("it can't be read: ")
    assert said["nowhere"] == "it is not there"
    assert said["."].startswith("it can't be read: ")
