"""A certificate authority of the tests' own, with an intermediate: it writes what a test gives to a server.

    authority.py FOLDER NAME

writes into FOLDER ca.pem, and for NAME good.pem and good.key (the chain and its key), more chains of that key
(elsewhere.pem of another name, ended.pem, soon.pem with seven days left, disordered.pem), next.pem with next.key,
other.key, and wrapped.key with a passphrase.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

Key = ec.EllipticCurvePrivateKey
DAY = timedelta(days=1)


def new_key() -> Key:
    """A key that is made in no time."""
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: Key, how: KeySerializationEncryption | None = None) -> str:
    """The private key as text."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how or NoEncryption()).decode()


class Authority:
    """A root and an intermediate, which signs."""

    def __init__(self) -> None:
        self.root_key, self.key = new_key(), new_key()
        self.root = self._sign("Root", self.root_key.public_key(), "Root", self.root_key, authority=True)
        self.intermediate = self._sign("Intermediate", self.key.public_key(), "Root", self.root_key, authority=True)

    def issue(self, key: Key, *names: str, days: float = 90, since: float = 30) -> str:
        """A certificate for *names*, which began *since* days ago and has *days* left, and the intermediate's."""
        return self.leaf(key, *names, days=days, since=since) + text(self.intermediate)

    def leaf(self, key: Key, *names: str, days: float = 90, since: float = 30) -> str:
        """The certificate alone."""
        return text(
            self._sign(names[0], key.public_key(), "Intermediate", self.key, names=names, days=days, since=since)
        )

    @staticmethod
    def _sign(
        subject: str,
        public: ec.EllipticCurvePublicKey,
        issuer: str,
        key: Key,
        *,
        authority: bool = False,
        names: tuple[str, ...] = (),
        days: float = 90,
        since: float = 300,
    ) -> x509.Certificate:
        def named(name: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(named(issuer), named(subject), public, x509.random_serial_number())
            .not_valid_before(now - since * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            # OpenSSL 3.5 and Python's strict mode ask for both
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        )
        if authority:
            usage = dict.fromkeys(
                ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
                False,
            )
            builder = builder.add_extension(
                x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False),
                critical=True,
            )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), False)
        return builder.sign(key, hashes.SHA256())


def text(certificate: x509.Certificate) -> str:
    """The certificate as text."""
    return certificate.public_bytes(Encoding.PEM).decode()


def write(folder: Path, name: str) -> None:
    """Write the files."""
    made, key, following = Authority(), new_key(), new_key()
    files = {
        "ca.pem": text(made.root),
        "good.pem": made.issue(key, name),
        "good.key": pem(key),
        "next.pem": made.issue(following, name),
        "next.key": pem(following),
        "other.key": pem(new_key()),
        "wrapped.key": pem(key, BestAvailableEncryption(b"passphrase")),
        "elsewhere.pem": made.issue(key, "elsewhere.example.org"),
        "ended.pem": made.issue(key, name, days=-1),
        "soon.pem": made.issue(key, name, days=7.5),
        "disordered.pem": text(made.intermediate) + made.leaf(key, name),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (folder / file).write_text(content)


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2])
