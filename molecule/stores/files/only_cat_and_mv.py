#!/usr/bin/python3 -I
"""The shell of a storage box: it has cat and mv, and nothing else. What was asked is written down."""

import os
import re
import sys

ASKED = os.environ.get("SSH_ORIGINAL_COMMAND", "")
WORD = "'[A-Za-z0-9_./-]+'"

with open("/srv/asked", "a") as log:  # noqa: PTH123
    log.write(f"{ASKED}\n")
if not re.fullmatch(f"cat( {WORD})+|cat >>? {WORD}|mv {WORD} {WORD}", ASKED):
    sys.exit("this account has cat and mv alone")
if os.path.exists("/srv/full") and not ASKED.startswith("cat '"):  # noqa: PTH110
    sys.exit("No space left on device")
os.execve("/bin/sh", ["sh", "-c", ASKED], {"PATH": "/srv/bin"})  # noqa: S606
