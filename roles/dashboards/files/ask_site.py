"""Ask nginx on its own host for the site, until it answers with the certificate that it is to have.

    ask_site.py ADDRESS NAME [CERTIFICATE]

A reload comes back before the new workers are there, and says nothing when they aren't: so the certificate that is
served is compared with the file's first one. Without a file it is enough that somebody listens at port 80.
"""

import hashlib
import socket
import ssl
import sys
import time
from pathlib import Path

SECONDS = 10
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def served(address: str, name: str) -> bytes:
    """The certificate that is served, in DER."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is compared with the file, which is more
    plain = socket.create_connection((address, 443), timeout=5)
    with context.wrap_socket(plain, server_hostname=name) as secured:
        return secured.getpeercert(binary_form=True) or b""


def wrong(address: str, name: str, path: str) -> str:
    """What is wrong; empty where all is right."""
    try:
        if not path:
            socket.create_connection((address, 80), timeout=5).close()
            return ""
        wanted = ssl.PEM_cert_to_DER_cert(BEGIN + Path(path).read_text().split(BEGIN)[1].split(END)[0] + END)
        got = served(address, name)
    except OSError as error:
        return f"{address} does not answer for {name}: {error}"
    if got != wanted:
        digests = [hashlib.sha256(one).hexdigest()[:16] for one in (got, wanted)]
        return f"{address} serves the certificate {digests[0]} for {name}, and not {digests[1]} of {path}"
    return ""


end = time.monotonic() + SECONDS
while (said := wrong(*sys.argv[1:3], sys.argv[3] if len(sys.argv) > 3 else "")) and time.monotonic() < end:
    time.sleep(0.2)
sys.exit(said or 0)
