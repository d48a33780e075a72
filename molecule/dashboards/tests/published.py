"""What the tests of the published Grafana share: a client on the store, a listener in Grafana's place, an authority."""

from __future__ import annotations

import os
import re
from pathlib import Path

NAME = "grafana.test"
SCENARIO = Path(__file__).resolve().parents[3] / "build/molecule" / os.environ["MOLECULE_SCENARIO_NAME"]
TLS = SCENARIO / "tls"


def given(chain: str, key: str) -> dict[str, object]:
    """The variables of a certificate that lies on the control machine."""
    path = TLS / key
    return {
        "dashboards_tls_certificate": str(TLS / chain),
        "dashboards_tls_key": path.read_text() if path.exists() else "",
    }


GIVEN = {
    "next": given("next.pem", "next.key"),
    "soon": given("soon.pem", "good.key"),
    "acme": {
        "dashboards_tls_certificate": "",
        "dashboards_acme_directory": "https://store:14000/dir",
        "dashboards_acme_email": "devops@example.org",
        "dashboards_acme_terms_agreed": True,
    },
}


def changed(said: str) -> int:
    """What the recap of a run counts as changed on production."""
    return int(re.search(r"^production\s.*changed=(\d+)", said, re.MULTILINE)[1])


def read(production) -> list[str]:
    """All that nginx reads of ours, by its digests."""
    return sorted(production.check_output("sha256sum /etc/nginx/nginx.conf /etc/nginx/taaraxtak/*").splitlines())


# One or many requests to production, each in a connection of its own, as a browser elsewhere makes them.
CLIENT = """
import http.client, json, socket, ssl, sys, time
given = json.loads(sys.argv[1])
port, host = given.get("port", 443), given.get("host", "grafana.test")
said = {}
def connect():
    source = (given["sources"].pop(), 0) if given.get("sources") else None
    raw = socket.create_connection((given.get("at", "production"), port), timeout=20, source_address=source)
    said["from"] = raw.getsockname()[0]
    if port != 443:
        return raw
    context = ssl.create_default_context(cafile=given.get("ca", "/tmp/ca.pem"))
    secured = context.wrap_socket(raw, server_hostname=given.get("sni", "grafana.test"))
    said["certificate"] = secured.getpeercert(binary_form=True).hex()
    return secured
def ask():
    connection = http.client.HTTPConnection("production", port)
    connection.sock = connect()
    headers = {"Host": host, **given.get("headers", {})}
    if given.get("live"):
        headers |= {"Upgrade": "websocket", "Connection": "Upgrade"}
    connection.request(given.get("method", "GET"), given.get("path", "/"), b"x" * given.get("size", 0), headers)
    if given.get("live"):
        sock = connection.sock
        text = b""
        while b"\\r\\n\\r\\n" not in text:
            text += sock.recv(4096)
        sock.sendall(b"the same")
        said.update(status=int(text.split()[1]), live=sock.recv(4096).decode())
        return said["status"]
    answer = connection.getresponse()
    headers = {key.lower(): ", ".join(answer.headers.get_all(key)) for key in answer.headers}
    said.update(status=answer.status, headers=headers, body=answer.read().decode("utf-8", "replace"))
    return answer.status
try:
    end = time.monotonic() + 15
    while "until_not" in given and connect() and said["certificate"] == given["until_not"] and time.monotonic() < end:
        time.sleep(0.3)
    said["all"] = [ask() for _ in range(given.get("times", 1))]
except (OSError, http.client.HTTPException) as error:
    said["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""

# In Grafana's place: it notes what it hears, and then says the same back.
LISTENER = """
import json, socket
server = socket.create_server(("127.0.0.1", 3000))
while True:
    client, _ = server.accept()
    text = b""
    while b"\\r\\n\\r\\n" not in text:
        text += client.recv(4096)
    lines = [line.partition(": ") for line in text.decode().split("\\r\\n\\r\\n")[0].split("\\r\\n")[1:]]
    with open("/run/heard.json", "w") as out:
        json.dump({name.lower(): value for name, _, value in lines}, out)
    client.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n")
    client.sendall(client.recv(4096))
    client.close()
"""

# Certificates for seven days, given to whoever answers at port 80 of the name that is asked for.
PEBBLE = {
    "pebble": {
        "listenAddress": "0.0.0.0:14000",
        "managementListenAddress": "0.0.0.0:15000",
        "certificate": "/tmp/pebble.pem",
        "privateKey": "/tmp/pebble.key",
        "httpPort": 80,
        "tlsPort": 443,
        "certificateValidityPeriod": 7 * 86400,
    }
}
