"""Ask the running PostgreSQL, until it shows the certificate that it was given: ask_server.py ADDRESS PORT CERTIFICATE.

A reload comes back before it is done, and says nothing where the server could not read what it was given. Where nobody
listens, or not by TLS, there is nothing to compare: a server reads its files when it starts, and fails where it can't.
"""

import socket
import ssl
import sys
import time
from pathlib import Path

SECONDS = 10
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
# SSLRequest: https://www.postgresql.org/docs/current/protocol-message-formats.html
REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


def served(address: str, port: int) -> bytes:
    """The certificate that is shown, in DER; empty where there is none."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is compared with the file, which is more
    try:
        plain = socket.create_connection((address, port), timeout=5)
    except ConnectionRefusedError:
        return b""
    with plain:
        plain.sendall(REQUEST)
        if plain.recv(1) != b"S":
            return b""
        with context.wrap_socket(plain) as secured:
            return secured.getpeercert(binary_form=True) or b""


def wrong(address: str, port: int, path: str) -> str:
    """What is wrong; empty where nothing is."""
    wanted = ssl.PEM_cert_to_DER_cert(BEGIN + Path(path).read_text().split(BEGIN)[1].split(END)[0] + END)
    try:
        got = served(address, port)
    except OSError as error:
        return f"PostgreSQL at {address}, port {port}, does not show a certificate: {error}"
    if got and got != wanted:
        return (
            f"PostgreSQL shows another certificate than {path} after a reload: its log says why it could not read that"
        )
    return ""


end = time.monotonic() + SECONDS
while (said := wrong(sys.argv[1], int(sys.argv[2]), sys.argv[3])) and time.monotonic() < end:
    time.sleep(0.2)
sys.exit(said or 0)
