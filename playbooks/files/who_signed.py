"""Whose signature of stdin is this, among those whose dumps count here? who_signed.py SIGNATURE."""

import sys

sys.path.insert(0, "/usr/local/lib/taaraxtak")
from dumps.signatures import Signers

print(Signers().verify(sys.stdin.buffer.read(), sys.argv[1]))
