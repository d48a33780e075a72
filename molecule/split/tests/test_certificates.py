"""Certificates are renewed before their end, revoked, and signed for nobody but whom they name; sessions live on."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from estate import AUTHORITY, PLACE, Pair, shared

FILES = (("server", "server"), ("collector", "scraper"), ("dashboards", "grafanareader"))
OPENSSL = "/usr/bin/openssl"


@pytest.fixture
def serials(request) -> t.Callable[[], dict[str, int]]:
    """A function that gives the serial number of each certificate, as it lies on its host."""

    def read() -> dict[str, int]:
        found = {}
        for where, name in FILES:
            content = request.getfixturevalue(where).file(f"{PLACE}/{name}.crt").content
            found[name] = x509.load_pem_x509_certificate(content).serial_number
        return found

    return read


@pytest.fixture
def held(grafanareader) -> t.Iterator[t.Callable[[], str]]:
    """A session of Grafana's that is open all the time; the function asks it for its process."""
    command = ["podman", "exec", "-i", f"{shared.scope()}-dashboards", "runuser", "-u", "grafana", "--"]
    command += ["psql", "-X", "-At", "-q", "-d", grafanareader.conninfo()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdin
        assert session.stdout

        def ask() -> str:
            session.stdin.write("SELECT pg_backend_pid();\n")
            session.stdin.flush()
            return session.stdout.readline().strip()

        yield ask
        session.stdin.close()


def served(server) -> int:
    """The serial number of the certificate that the running server shows."""
    said = server.run("openssl s_client -connect localhost:5432 -starttls postgres -no-interactive").stdout
    return x509.load_pem_x509_certificate(said[said.index("-----BEGIN") :].encode()).serial_number


def refused(server) -> set[int]:
    """The serial numbers that the server refuses."""
    return {one.serial_number for one in x509.load_pem_x509_crl(server.file(f"{PLACE}/ca.crl").content)}


def revoke(name) -> None:
    """As devops do it, under a name of its own: what lies there already stays revoked."""
    path = AUTHORITY / "issued" / f"{name}.crt"
    number = x509.load_pem_x509_certificate(path.read_bytes()).serial_number
    shutil.move(path, AUTHORITY / "revoked" / f"{name}.{number}.crt")


def of_one_pair(host, name) -> bool:
    """Whether the key and the certificate in their places belong together."""
    certificate = x509.load_pem_x509_certificate(host.file(f"{PLACE}/{name}.crt").content)
    key = serialization.load_pem_private_key(host.file(f"{PLACE}/{name}.key").content, None)
    return key.public_key() == certificate.public_key()


def test_what_ends_soon_is_made_anew_and_no_session_is_lost(play, serials, held, scraper, grafanareader, server):
    before, process = serials(), held()
    assert process
    play("certificates.yml", certificates_days=400, certificates_renew_before=399)
    after = serials()
    assert all(after[name] != before[name] for name in before)
    assert served(server) == after["server"]
    assert held() == process
    assert scraper.connect().rc == grafanareader.connect().rc == 0
    # What they had is refused from the next run on; then, by the usual days, nothing is due, and nothing changes.
    play("certificates.yml")
    assert set(before.values()) <= refused(server)
    assert held() == process
    assert not re.search(r"changed=[1-9]", play("certificates.yml").split("PLAY RECAP")[1])
    assert serials() == after


def test_grafana_is_restarted_for_its_certificate_and_nothing_of_it_is_written(play, dashboards, serials):
    """The playbook has looked at nothing that the dashboards need."""
    main = "systemctl show --value --property=MainPID grafana-server.service"
    before, process = serials(), dashboards.check_output(main)
    dashboards.check_output("sed -i '$ a # planted' /etc/grafana/grafana.ini")
    try:
        play("certificates.yml")
        assert dashboards.check_output(main) == process
        revoke("dashboards-grafanareader")
        play("certificates.yml")
        assert serials()["grafanareader"] != before["grafanareader"]
        assert dashboards.check_output(main) not in ("0", process)
        assert "# planted" in dashboards.file("/etc/grafana/grafana.ini").content_string
    finally:
        dashboards.check_output("sed -i '/^# planted$/d' /etc/grafana/grafana.ini")


def test_a_revoked_certificate_is_refused_and_its_host_has_a_new_key(play, scraper, collector, planted):
    stolen = Pair(*(collector.file(f"{PLACE}/scraper.{end}").content for end in ("crt", "key")))
    words = planted(collector, "collector", stolen)
    assert scraper.connect(**words).rc == 0
    revoke("collector-scraper")
    play("certificates.yml")
    assert scraper.turned_away("certificate revoked", **words)
    assert collector.file(f"{PLACE}/scraper.key").content != stolen.key
    assert scraper.connect().rc == 0
    assert not re.search(r"changed=[1-9]", play("certificates.yml").split("PLAY RECAP")[1])


def test_a_certificate_is_revoked_with_those_before_it_of_the_same_key(play, scraper, collector, planted):
    """A renewal keeps the key: whoever has that has them all."""
    stolen = Pair(*(collector.file(f"{PLACE}/scraper.{end}").content for end in ("crt", "key")))
    words = planted(collector, "collector", stolen)
    play("certificates.yml", certificates_days=400, certificates_renew_before=399)
    assert collector.file(f"{PLACE}/scraper.key").content == stolen.key
    revoke("collector-scraper")
    play("certificates.yml")
    assert scraper.turned_away("certificate revoked", **words)
    assert scraper.connect().rc == 0


def test_where_nothing_can_be_signed_the_server_keeps_a_pair_that_it_starts_with(play, server):
    before = server.file(f"{PLACE}/server.key").content
    revoke("database-server")
    play("certificates.yml", status=2, certificates_passphrase="a wrong one")  # noqa: S106
    assert server.file(f"{PLACE}/server.key").content == before
    # With another's certificate it would not start again.
    assert of_one_pair(server, "server")
    play("certificates.yml")
    assert server.file(f"{PLACE}/server.key").content != before
    assert of_one_pair(server, "server")
    assert [name for name in server.file(PLACE).listdir() if ".key" in name] == ["server.key"]
    key = server.file(f"{PLACE}/server.key")
    assert (key.user, key.mode) == ("postgres", 0o400)
    assert served(server) == x509.load_pem_x509_certificate(server.file(f"{PLACE}/server.crt").content).serial_number


def test_an_older_copy_of_the_authority_takes_no_revocation_back(play, server, tmp_path):
    """Each of the tests above has revoked one."""
    before = refused(server)
    assert before
    shutil.copytree(AUTHORITY, tmp_path / "ca")
    for path in (tmp_path / "ca" / "revoked").iterdir():
        path.unlink()
    said = play("certificates.yml", status=2, certificates_folder=str(tmp_path / "ca"))
    assert "and would accept them again" in " ".join(said.split())
    assert refused(server) == before


def test_what_would_not_be_revoked_for_its_name_is_refused(play, serials):
    path = AUTHORITY / "revoked" / "stolen.pem"
    path.write_text("anything")
    try:
        said = play("certificates.yml", status=2)
    finally:
        path.unlink()
    assert "what lies in revoked/ must be a certificate, and its name end in .crt" in " ".join(said.split())


# As somebody who has become root on the collector's host would have it: each module's answer brings variables.
TELLING = """#!/bin/sh
PYTHON "$@" | sed 's|^{|{"ansible_facts": FACTS, |'
"""


def test_a_host_does_not_choose_the_variables_of_a_run(play, collector, tmp_path):
    """Else it would be given any file of the control machine, as a certificate that it asked for."""
    secret = tmp_path / "secret"
    secret.write_text("PRIVATE KEY of the control machine\n")
    given = {"certificate": str(secret), "key": "PRIVATE KEY"}
    chosen = {"certificates_given": {"ca": str(secret), "scraper": given}, "certificates_new_authority": True}
    facts = json.dumps(chosen)
    python = collector.check_output("readlink -f /usr/bin/python3")
    link = collector.check_output("readlink /usr/bin/python3")
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    text = TELLING.replace("PYTHON", python).replace("FACTS", facts)
    authority = collector.file(f"{PLACE}/ca.crt").content
    try:
        collector.check_output("%s -c %s /usr/bin/python3.planted %s", python, write, text)
        collector.check_output("chmod 755 /usr/bin/python3.planted")
        collector.check_output("mv /usr/bin/python3.planted /usr/bin/python3")
        play("certificates.yml")
    finally:
        collector.check_output("ln -sfT %s /usr/bin/python3", link)
    assert collector.file(f"{PLACE}/ca.crt").content == authority
    assert collector.run("grep -rl 'of the control machine' %s", PLACE).stdout == ""


# As somebody who has become root on the collector's host would have it: whatever is asked for, ask for another name.
FORGED = """#!/bin/sh
for word do
    shift
    [ "$word" = /CN=scraper ] && word=/CN=grafanareader
    set -- "$@" "$word"
done
exec /usr/bin/openssl.planted "$@"
"""


def test_a_host_that_asks_for_another_name_gets_nothing_signed(play, collector, serials):
    before = serials()
    issued = (AUTHORITY / "issued" / "collector-scraper.crt").read_bytes()
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    collector.check_output("mv %s %s.planted", OPENSSL, OPENSSL)
    try:
        collector.check_output("python3 -c %s %s %s", write, OPENSSL, FORGED)
        collector.check_output("chmod 755 %s", OPENSSL)
        said = play("certificates.yml", status=2)
    finally:
        collector.check_output("mv %s.planted %s", OPENSSL, OPENSSL)
    assert "collector asks for a certificate that it is not to have" in " ".join(said.split())
    assert (AUTHORITY / "issued" / "collector-scraper.crt").read_bytes() == issued
    assert serials() == before


def test_the_authority_is_its_owners_alone_and_git_leaves_it_out(tmp_path):
    assert AUTHORITY.stat().st_mode & 0o777 == 0o700
    assert (AUTHORITY / "ca.key").stat().st_mode & 0o777 == 0o600
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    shutil.copytree(AUTHORITY, tmp_path / "ca")
    listed = ["git", "ls-files", "--others", "--exclude-standard"]
    assert subprocess.run(listed, cwd=tmp_path, check=True, capture_output=True).stdout == b""


def test_another_control_machine_makes_no_second_authority(play, tmp_path, serials):
    before = serials()
    said = play("certificates.yml", status=2, certificates_folder=str(tmp_path / "ca"))
    assert "knows another authority than the one of" in " ".join(said.split())
    assert not (tmp_path / "ca").exists()
    assert serials() == before
