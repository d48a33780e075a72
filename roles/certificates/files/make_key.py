"""Make a private key on the host that uses it, for one account to read: make_key.py PATH ACCOUNT.

The key is made beside its place and renamed into it: there is a whole key or the one from before.
"""

import os
import pwd
import subprocess
import sys
from pathlib import Path

command = ["/usr/bin/openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
key = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
path = Path(sys.argv[1])
owner = pwd.getpwnam(sys.argv[2])
new = Path(f"{path}.new")
new.unlink(missing_ok=True)
number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400)
with os.fdopen(number, "wb") as out:
    out.write(key)
    out.flush()
    os.fchown(number, owner.pw_uid, owner.pw_gid)
    os.fsync(number)
new.rename(path)
