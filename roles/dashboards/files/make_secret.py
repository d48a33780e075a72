"""Make a secret on the host that nobody has seen: letters and digits in a file of root's that Grafana's group reads.

The file is made beside its place and linked into it: there is a whole secret or none, and one that is there is kept.
"""

import grp
import os
import secrets
import sys
from pathlib import Path

# Letters and digits alone: Grafana expands a dollar, and cuts at some other characters.
text = secrets.token_hex(24) + "\n"
path = Path(sys.argv[1])
new = Path(f"{path}.new")
new.unlink(missing_ok=True)
number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
with os.fdopen(number, "w", encoding="ascii") as out:
    out.write(text)
    out.flush()
    os.fchown(number, 0, grp.getgrnam("grafana").gr_gid)
    os.fchmod(number, 0o640)
    os.fsync(number)
path.hardlink_to(new)
new.unlink()
