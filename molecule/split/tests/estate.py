"""The four hosts of the scenario, and logins to the database from the hosts where their roles are."""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib.util
import ipaddress
import json
import sys
import typing as t
from pathlib import Path

import acting
import pytest
import testinfra
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT = Path(__file__).resolve().parents[3]
SCENARIO = ROOT / "molecule" / "split"
AUTHORITY = ROOT / "build" / "molecule" / "split" / "ca"
PLACE = "/etc/taaraxtak/tls"


def load(name: str) -> t.Any:
    """A file of the tests that the scenarios share, as a module."""
    path = ROOT / "molecule" / "shared" / "tests" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"shared_{name}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


shared = load("conftest")
until = shared.until


def host_fixture(host_name: str, fixture_name: str = "") -> t.Any:
    """A fixture: the host *host_name* of the scenario."""

    def host() -> t.Any:
        return testinfra.get_host(f"podman://{shared.scope()}-{host_name}")

    return pytest.fixture(scope="session", name=fixture_name or host_name)(host)


# "database" is a parameter of shared tests.
server = host_fixture("database", "server")
collector, dashboards, store = map(host_fixture, ("collector", "dashboards", "store"))


class Remote(shared.Login):  # type: ignore[misc]
    """Statements as one account and one role from another host than the database's."""

    def conninfo(self, **changed: str) -> str:
        """How it connects, with the words of libpq in *changed* in place of what is usual."""
        words = {
            "host": "database",
            "dbname": self.database,
            "user": self.role,
            "sslmode": "verify-full",
            "sslrootcert": f"{PLACE}/ca.crt",
            "sslcert": f"{PLACE}/{self.role}.crt",
            "sslkey": f"{PLACE}/{self.role}.key",
            "gssencmode": "disable",
            "connect_timeout": "10",
        }
        return " ".join(f"{key}={value}" for key, value in {**words, **changed}.items())

    def connect(self, sql: str = "SELECT 1", **changed: str) -> t.Any:
        """Run *sql* over a connection that differs from the usual one in *changed*."""
        command = "runuser -u %s -- psql -X -At -v ON_ERROR_STOP=1 -d %s -c %s"
        return self.host.run(command, self.account, self.conninfo(**changed), sql)

    def turned_away(self, sentence: str, **changed: str) -> bool:
        """Whether no session comes about, for the reason that *sentence* gives."""
        done = self.connect(**changed)
        assert done.rc == 2, done.stdout + done.stderr
        assert sentence in done.stderr, done.stderr
        return True

    def _psql(self, sql: str) -> t.Any:
        command = "runuser -u %s -- psql -X -At -v VERBOSITY=sqlstate -v ON_ERROR_STOP=1 -d %s -c %s"
        return self.host.run(command, self.account, self.conninfo(), sql)


@pytest.fixture(scope="session")
def scraper(collector: t.Any) -> Remote:
    """collect.py's way in."""
    return Remote(collector, "collector", "scraper")


@pytest.fixture(scope="session")
def grafanareader(dashboards: t.Any) -> Remote:
    """Grafana's way in."""
    return Remote(dashboards, "grafana", "grafanareader")


@pytest.fixture(scope="session")
def dumper(server: t.Any) -> t.Any:
    """The dumps' way in, by the socket."""
    return shared.Login(server, "pgdumper", "dumper")


@pytest.fixture(scope="session")
def dba(server: t.Any) -> t.Any:
    """A database administrator's way in, by the socket."""
    return shared.Login(server, "alice", "dba")


@pytest.fixture(scope="session")
def postgres(server: t.Any) -> t.Any:
    """Break-glass."""
    return shared.Login(server, "postgres", "postgres")


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes


def issue(name: str, *, own: bool = True, ends: int = 1, server: bool = False) -> Pair:
    """A certificate of *name* that *ends* in so many days, of this authority or (not *own*) of one of its name."""
    key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.load_pem_x509_certificate((AUTHORITY / "ca.crt").read_bytes())
    ca_key: t.Any = ec.generate_private_key(ec.SECP256R1())
    if own:
        ca_key = serialization.load_pem_private_key((AUTHORITY / "ca.key").read_bytes(), None)
    now = dt.datetime.now(dt.UTC)
    usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    signed = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=9))
        .not_valid_after(now + dt.timedelta(days=ends))
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    return Pair(signed.public_bytes(pem), key.private_bytes(pem, form, serialization.NoEncryption()))


WRITE = """
import os, pwd, sys
path, account, content = sys.argv[1:]
owner = pwd.getpwnam(account)
with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o400), "w") as file:
    file.write(content)
os.chown(path, owner.pw_uid, owner.pw_gid)
"""


@pytest.fixture
def planted() -> t.Iterator[t.Callable[..., dict[str, str]]]:
    """A function that lays a certificate on a host, for an account, and gives the words of libpq for it."""
    laid: list[tuple[t.Any, str]] = []

    def lay(host: t.Any, account: str, pair: Pair) -> dict[str, str]:
        words = {}
        for word, content in (("sslcert", pair.certificate), ("sslkey", pair.key)):
            words[word] = f"/run/planted.{account}.{word}"
            host.check_output("python3 -c %s %s %s %s", WRITE, words[word], account, content.decode())
            laid.append((host, words[word]))
        return words

    yield lay
    for host, path in laid:
        host.check_output("rm -f %s", path)


@pytest.fixture(scope="session")
def play() -> t.Callable[..., str]:
    """A function that runs a playbook of the collection on the scenario's hosts; it gives what that prints."""

    inventories = [ROOT / "inventory" / "split", SCENARIO / "containers"]

    def run(playbook: str, **options: t.Any) -> str:
        return acting.play(f"playbooks/{playbook}", inventories=inventories, **options)

    return run


def address(host: t.Any) -> str:
    """The address of *host* on the containers' network."""
    shown = json.loads(host.check_output("ip -json -4 address show scope global"))
    return str(ipaddress.ip_address(shown[0]["addr_info"][0]["local"]))
