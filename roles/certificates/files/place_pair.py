"""Put a new key and the certificate that was signed for it in their places: place_pair.py FOLDER NAME < CERTIFICATE.

They go together. Until then the host goes on with the pair from before, whatever happened to the signing.
"""

import os
import sys
from pathlib import Path

folder, name = Path(sys.argv[1]), sys.argv[2]
new = folder / f"{name}.crt.new"
new.unlink(missing_ok=True)
number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
with os.fdopen(number, "wb") as out:
    out.write(sys.stdin.buffer.read())
    out.flush()
    os.fchmod(number, 0o644)
    os.fsync(number)
(folder / f"{name}.key.next").rename(folder / f"{name}.key")
new.rename(folder / f"{name}.crt")
place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
os.fsync(place)
os.close(place)
