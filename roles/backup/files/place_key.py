"""Put a new ssh key in the place of another, its private half first: place_key.py NEXT PLACE.

Where an earlier run has ended in between, the private half is in its place already, and the public one follows it.
Folders of NEXT that are empty then go.
"""

import contextlib
import os
import sys
from pathlib import Path

new, place = Path(sys.argv[1]), Path(sys.argv[2])
for suffix in ("", ".pub"):
    half = Path(f"{new}{suffix}")
    if half.exists() or suffix:
        half.rename(f"{place}{suffix}")
for parent in (new.parent / "store_keys", *new.parents[:2]):
    # Another key's may be there; and above the folder of keys to come is that of all that is kept.
    if parent.is_relative_to("/etc/taaraxtak/next"):
        with contextlib.suppress(OSError):
            parent.rmdir()
folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
os.fsync(folder)
os.close(folder)
