"""Grafana as people elsewhere meet it: by nginx, TLS, and its one name. The store stands for anybody elsewhere."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "stand_ins"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import authority as authorities
from published import CLIENT, GIVEN, LISTENER, NAME, PEBBLE, SCENARIO, TLS, changed, read

CONVERGE = str(Path(__file__).resolve().parents[3] / "molecule/dashboards/converge.yml")
PAIRS = "/etc/nginx/taaraxtak"
SCOPE = f"taaraxtak-{SCENARIO.name}"


@pytest.fixture(scope="module")
def asked(store):
    """A function that asks production from the store, as a browser would: what it was told, or the error."""
    subprocess.run(["podman", "cp", TLS / "ca.pem", f"{SCOPE}-store:/tmp/ca.pem"], check=True)
    return lambda **given: json.loads(store.check_output("python3 -c %s %s", CLIENT, json.dumps(given)))


@pytest.fixture
def listener(production, until):
    """Grafana is down, and the function starts something in its place that notes what it hears."""
    production.check_output("systemctl stop grafana-server.service")

    def start() -> None:
        production.check_output("systemd-run --quiet --unit=listener python3 -c %s", LISTENER)
        listens = lambda: ":3000" in production.check_output("ss -Hltn sport = :3000")  # noqa: E731
        until(listens, seconds=20, what="the listener", host=production, unit="listener")

    yield start
    production.run("systemctl stop listener.service")
    production.check_output("systemctl start grafana-server.service")
    health = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:3000/api/health')"
    until(
        lambda: production.run("python3 -c %s", health).rc == 0,
        seconds=30, what="Grafana", host=production, unit="grafana-server",
    )  # fmt: skip


@pytest.fixture(scope="module")
def authority(production, store, until):
    """An ACME authority on the store: pebble, from Debian. The path there of its root's certificate."""
    store.check_output("apt-get -qq install --yes --no-install-recommends pebble")
    made, key = authorities.Authority(), authorities.new_key()
    files = {
        store: {
            "pebble.json": json.dumps(PEBBLE),
            "pebble.pem": made.issue(key, "store"),
            "pebble.key": authorities.pem(key),
        },
        production: {"pebble-ca.crt": authorities.text(made.root)},
    }
    write = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    for host, held in files.items():
        for name, content in held.items():
            folder = "/tmp" if host is store else "/usr/local/share/ca-certificates"
            host.check_output("python3 -c %s %s %s", write, f"{folder}/{name}", content)
    production.check_output("update-ca-certificates")
    address = store.check_output("getent ahostsv4 production").split()[0]
    hosts = store.file("/etc/hosts").content_string + f"{address} {NAME}\n"
    store.check_output("python3 -c %s %s %s", write, "/etc/hosts", hosts)
    quick = "-E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_WFE_NONCEREJECT=0"
    store.check_output(f"systemd-run --quiet --unit=pebble {quick} pebble -config /tmp/pebble.json")
    root = (
        "import ssl, urllib.request as u; print(u.urlopen('https://store:15000/roots/0', "
        "context=ssl._create_unverified_context()).read().decode())"
    )
    until(lambda: store.run("python3 -c %s", root).rc == 0, seconds=20, what="pebble", host=store, unit="pebble")
    store.check_output("python3 -c %s %s %s", write, "/tmp/pebble-root.pem", store.check_output("python3 -c %s", root))
    return "/tmp/pebble-root.pem"


def der(name: str) -> str:
    """The first certificate of a file of the scenario, in DER, as hexadecimal digits."""
    first = (TLS / name).read_text().split("-----END")[0] + "-----END CERTIFICATE-----\n"
    return ssl.PEM_cert_to_DER_cert(first).hex()


def files(production) -> list[str]:
    """What lies where the pairs lie, with owner and mode."""
    return sorted(production.check_output("find %s -type f -printf %s", PAIRS, "%f %u:%g %m\\n").splitlines())


# --- What people meet -------------------------------------------------------------------------------------------------
def test_plain_http_is_sent_to_https(asked):
    told = asked(port=80, path="/d/some?from=now-1h")
    assert (told["status"], told["headers"]["location"]) == (301, f"https://{NAME}/d/some?from=now-1h")
    assert told["headers"]["server"] == "nginx", "without its version"


def test_https_is_grafana_with_a_certificate_that_verifies_and_browsers_stay_with_it(asked):
    told = asked(path="/api/frontend/settings")
    assert told["status"] == 200
    assert "buildInfo" in told["body"]
    assert told["headers"]["strict-transport-security"] == "max-age=31536000"
    assert told["headers"]["server"] == "nginx"
    assert told["certificate"] == der("good.pem")
    assert "CERTIFICATE_VERIFY_FAILED" in asked(ca="/etc/ssl/certs/ca-certificates.crt")["error"]


def test_grafana_itself_is_not_reached_from_elsewhere(asked):
    assert "refused" in asked(port=3000)["error"]


def test_another_name_gets_no_answer(asked):
    assert "without response" in asked(port=80, host="other.test")["error"]
    assert "without response" in asked(port=80, host="production")["error"]
    assert "without response" in asked(host="other.test")["error"], "asked in a connection to the right name"
    assert "UNRECOGNIZED_NAME" in asked(sni="other.test")["error"]


def test_old_tls_is_refused_by_the_server(store):
    """The client is told to speak it, so that the refusal is the server's."""
    said = {}
    for version in ("tls1_1", "tls1_2", "tls1_3"):
        given = f"-connect production:443 -servername {NAME} -{version} -cipher DEFAULT@SECLEVEL=0"
        said[version] = store.run(f"timeout 20 openssl s_client {given} </dev/null")
    assert said["tls1_1"].rc != 0
    assert "alert protocol version" in said["tls1_1"].stderr
    assert (said["tls1_2"].rc, said["tls1_3"].rc) == (0, 0)


def test_what_says_the_version_without_a_login_is_not_there(asked):
    plugins = ("/metrics/plugins/x", "/metrics//plugins/x/", "/%6detrics/plugins%2fx")
    for path in ("/metrics", "/api/health", "//metrics", "/api//health/", "/%6detrics", *plugins):
        told = asked(path=path)
        assert (told["status"], "<center>nginx</center>" in told["body"]) == (404, True), (
            f"Grafana was asked for {path}"
        )


def test_more_than_a_query_is_refused(asked):
    assert asked(method="POST", path="/api/ds/query", size=2 << 20)["status"] == 413


def test_tries_of_a_password_are_limited_and_nothing_else_is(asked):
    """By whatever spelling of the login's path; and with Basic authentication at any path."""
    tries = asked(method="POST", path="/login", times=25)["all"]
    assert tries[0] != 429
    assert tries[-1] == 429
    assert 15 <= sum(one != 429 for one in tries) <= 23, tries
    assert asked(method="POST", path="//login/")["status"] == 429
    assert asked(path="/api/org", headers={"Authorization": "basic YWRtaW46YWRtaW4="})["status"] == 429
    assert asked(path="/api/org", headers={"Authorization": "Bearer x"})["status"] == 401
    assert asked(path="/api/frontend/settings", times=50)["all"] == [200] * 50


def test_a_network_of_ipv6_addresses_has_no_more_tries_than_one_address(production):
    """Whoever has one address of a /64 has them all. The host itself asks here, by such addresses."""
    subprocess.run(["podman", "cp", TLS / "ca.pem", f"{SCOPE}-production:/tmp/ca.pem"], check=True)

    def ask(network: str, times: int) -> list[int]:
        sources = [f"{network}:{number:x}:0:0:{number:x}" for number in range(1, times + 1)]
        lines = "\n".join(f"address replace {source}/128 dev lo nodad" for source in sources)
        production.check_output("echo %s | ip -6 -batch -", lines)
        given = {"at": "::1", "sources": sources, "method": "POST", "path": "/login", "times": times}
        return json.loads(production.check_output("python3 -c %s %s", CLIENT, json.dumps(given)))["all"]

    tries = ask("2001:db8:1:2", 60)
    assert (tries[0], 429 in tries) == (404, True), tries
    assert ask("2001:db8:1:3", 1) != [429], "another network"


def test_where_grafana_is_down_a_page_says_so_and_what_comes_back_hears_who_asks(production, asked, listener):
    """What a client says of itself by these headers is not believed; a live connection goes through both ways."""
    told = asked(path="/")
    assert told["status"] == 502
    assert told["body"] == "Grafana is not there just now. Try again in a minute.\n"
    assert told["headers"]["server"] == "nginx"
    listener()
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "X-Forwarded-Proto": "gopher"}
    told = asked(path="/api/live/ws", headers=forged, live=True)
    assert (told["status"], told["live"]) == (101, "the same")
    heard = json.loads(production.check_output("cat /run/heard.json"))
    assert heard["host"] == NAME
    assert (heard["upgrade"], heard["connection"].lower()) == ("websocket", "upgrade")
    assert (heard["x-forwarded-proto"], heard["x-forwarded-host"]) == ("https", NAME)
    assert heard["x-forwarded-for"] == heard["x-real-ip"] == told["from"]


# --- The certificate and its key --------------------------------------------------------------------------------------
def test_nobody_but_root_reads_the_key_and_it_is_nowhere_else(production):
    [pair] = {line.split(".")[0] for line in files(production)}
    assert files(production) == [f"{pair}.key root:root 640", f"{pair}.pem root:root 640"]
    assert production.check_output("stat -c %s %s", "%a", PAIRS) == "750"
    line = (TLS / "good.key").read_text().splitlines()[1]
    where = production.run("grep -rlF %s /etc /var/lib /var/log /tmp /root /run", line).stdout.split()
    assert where == [f"{PAIRS}/{pair}.key"]
    assert line not in production.check_output("journalctl --no-pager --output=cat")


def test_another_key_is_refused_before_anything_changes_and_the_site_goes_on(production, play, asked):
    before = read(production)
    said = play(CONVERGE, status=2, dashboards_tls_key=(TLS / "other.key").read_text())
    assert f"the key is not that of the certificate of CN={NAME}" in re.sub(r"\s+", " ", said)
    assert changed(said) == 0
    assert read(production) == before
    assert asked(path="/api/frontend/settings")["status"] == 200


def test_a_certificate_that_nginx_does_not_take_up_is_put_back(production, play, asked):
    """Its reload says nothing of it: what is served is looked at."""
    before = production.check_output("cat /etc/nginx/nginx.conf")
    drop_in = "/run/systemd/system/nginx.service.d"
    production.check_output("mkdir -p %s", drop_in)
    production.check_output("printf '[Service]\\nExecReload=\\nExecReload=/bin/true\\n' > %s/deaf.conf", drop_in)
    production.check_output("systemctl daemon-reload")
    try:
        said = play(CONVERGE, status=2, **GIVEN["next"])
    finally:
        production.check_output("rm -r %s", drop_in)
        production.check_output("systemctl daemon-reload")
    told = re.sub(r"\s+", " ", said)
    assert f"Grafana was not published at https://{NAME}/, and nginx is as it was before" in told
    assert "serves the certificate" in told
    assert production.check_output("cat /etc/nginx/nginx.conf") == before
    assert asked()["certificate"] == der("good.pem")


def test_a_new_certificate_is_served_the_old_key_is_gone_and_no_key_is_shown(production, play, asked):
    said = play(CONVERGE, "-vvv", "--diff", **GIVEN["next"])
    assert asked()["certificate"] == der("next.pem")
    old, new = ((TLS / name).read_text().splitlines()[1] for name in ("good.key", "next.key"))
    assert len(files(production)) == 2
    assert production.run("grep -rqF %s /etc", old).rc == 1
    for key in (old, new):
        assert key not in said
        assert key not in production.check_output("journalctl --no-pager --output=cat")


def test_a_certificate_that_ends_soon_is_warned_of(play, asked):
    said = play(CONVERGE, **GIVEN["soon"], dashboards_hsts_seconds=0)
    assert re.search(rf"WARNING: the certificate of CN={NAME} ends on \S+, in 7 days", re.sub(r"\s+", " ", said))
    told = asked()
    assert told["certificate"] == der("soon.pem")
    assert "strict-transport-security" not in told["headers"], "0 says nothing"


# --- From an authority ------------------------------------------------------------------------------------------------
def test_an_authority_that_gives_none_leaves_the_site_as_it_was(production, play, asked):
    before = read(production)
    said = play(CONVERGE, status=2, **(GIVEN["acme"] | {"dashboards_acme_directory": "https://store:1/dir"}))
    assert "and nginx is as it was before" in re.sub(r"\s+", " ", said)
    assert read(production) == before
    assert asked()["certificate"] == der("soon.pem")


def test_an_authority_gives_a_certificate_and_certbot_renews_it(production, play, asked, authority):
    said = play(CONVERGE, **GIVEN["acme"])
    assert "has fewer than 14 days left" in re.sub(r"\s+", " ", said), "the authority's are that short"
    first = asked(ca=authority, path="/api/frontend/settings")
    assert first["status"] == 200
    assert files(production) == [], "the key that was given"
    assert changed(play(CONVERGE, **GIVEN["acme"])) == 0
    timer = production.service("certbot.timer")
    assert timer.is_enabled
    assert timer.is_running
    run = production.check_output("systemctl show --property=ExecStart --value certbot.service")
    command = re.search(r"argv\[\]=(.+?) ;", run)[1]
    production.check_output(f"{command} --force-renewal")
    assert asked(ca=authority, until_not=first["certificate"])["certificate"] != first["certificate"]
    key = production.check_output("stat -Lc %s /etc/letsencrypt/live/taaraxtak-dashboards/privkey.pem", "%U %a")
    assert key == "root 600"


# --- No more ----------------------------------------------------------------------------------------------------------
def test_what_is_published_no_more_is_gone(production, play, asked):
    said = play(CONVERGE, dashboards_published=False)
    assert "Grafana is not published, since dashboards_published is false" in re.sub(r"\s+", " ", said)
    assert "refused" in asked()["error"]
    assert "refused" in asked(port=80)["error"]
    assert not production.file(PAIRS).exists
    assert not production.file("/etc/letsencrypt/renewal/taaraxtak-dashboards.conf").exists
    assert changed(play(CONVERGE, dashboards_published=False)) == 0
